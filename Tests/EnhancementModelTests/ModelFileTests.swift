// SPDX-License-Identifier: Apache-2.0
import Foundation
import Tensors
import TestSupport
import Testing

@testable import EnhancementModel

@Suite struct ModelFileTests {
  private static let architectureKey = "videnhance.architecture"

  // MARK: - Round trips

  @Test(arguments: [
    Architecture.small(), .small(window: 1, blocks: 0), .small(window: 5, alignment: .none, scale: 4),
    .small(window: 5, fusion: .attention), .small(fusion: .attention, heads: 8),
  ])
  func weightsRoundTripExactly(_ architecture: Architecture) throws {
    let bench = try Workbench()
    let network = NetworkWeights.random(architecture, seed: 1, recipe: #"{"note":"ü \"x\""}"#)
    try network.file.write(path: bench.path("w.safetensors"))
    let read = try NetworkWeights(path: bench.path("w.safetensors"))
    #expect(read.architecture == architecture)
    #expect(read.recipe == network.recipe)
    #expect(read.weights.map { $0.map(\.bitPattern) } == network.weights.map { $0.map(\.bitPattern) })
    #expect(read.biases.map { $0.map(\.bitPattern) } == network.biases.map { $0.map(\.bitPattern) })
    #expect(read.file.serialized() == network.file.serialized())
    #expect(!QuantizedModel.isQuantized(network.file))
  }

  @Test(arguments: 2...8)
  func quantizedModelsRoundTripExactly(_ bits: Int) throws {
    let bench = try Workbench()
    let model = QuantizedModel.random(.small(window: 5), bits: bits, zeroPoints: true, seed: UInt64(bits))
    try model.file.write(path: bench.path("q.safetensors"))
    let read = try QuantizedModel(path: bench.path("q.safetensors"))
    #expect(read == model)
    #expect(read.file.serialized() == model.file.serialized())
    #expect(QuantizedModel.isQuantized(model.file))
    let body = try #require(model.architecture.graph.layers.first { $0.name == "body.0.a" })
    #expect(model.file.tensors["body.0.a.codes"]?.bytes.count == (body.weightCount * bits + 7) / 8)
  }

  /// An attention has a quantizer for each operand; its weights are never negative.
  @Test func modelsWithAttentionRoundTripExactly() throws {
    let model = QuantizedModel.random(.small(fusion: .attention), bits: 4, zeroPoints: true, seed: 6)
    let file = model.file
    #expect(try QuantizedModel(file: Safetensors(data: file.serialized(), path: "x")) == model)
    let graph = model.architecture.graph
    let place = try #require(graph.operations.firstIndex { if case .attention = $0 { true } else { false } })
    #expect(model.quantizers[place].count == 10)
    var bad = model
    bad.quantizers[place][9].zeroPoint = 1
    #expect(throws: ModelError.missingTensor(name: "quantizers.zeroPoints")) {
      try QuantizedModel(file: bad.file)
    }
    // Files of older versions have no key for the fusion.
    let text = try #require(NetworkWeights.random(.small(), seed: 1).file.metadata[Self.architectureKey])
    #expect(!text.contains("fusion") && !text.contains("heads"))
  }

  @Test(arguments: WeightGrid.allCases)
  func gridsRoundTripExactly(_ grid: WeightGrid) throws {
    for bits in grid.bits {
      let model = QuantizedModel.random(.small(), bits: bits, grid: grid, zeroPoints: true, seed: 4)
      var file = model.file
      #expect(try QuantizedModel(file: Safetensors(data: file.serialized(), path: "x")) == model)
      let body = try #require(zip(model.architecture.graph.layers, model.layers).first { !$0.0.isEdge }).1
      #expect(body.grid == grid && Set(body.codes) == Set(grid.values(bits: bits)), "all of its values")
      #expect(file.tensors["body.0.a.codes"]?.bytes.count == (body.codes.count * bits + 7) / 8)
      for bad: [Int32] in [[0], [-1], [3], [1, 1], []] {
        file.set("body.0.a.grid", shape: [bad.count], integers: bad)
        #expect(throws: ModelError.self) { try QuantizedModel(file: file) }
      }
    }
  }

  /// With eight bits, mid-tread is the only grid.
  @Test(arguments: [1, 2] as [Int32]) func gridsFitTheirBits(_ grid: Int32) throws {
    var file = QuantizedModel.random(.small(), bits: 6, zeroPoints: false, seed: 4).file
    file.set("tail.grid", shape: [1], integers: [grid])
    #expect(throws: ModelError.missingTensor(name: "tail.grid")) { try QuantizedModel(file: file) }
  }

  @Test func noiseBandsRoundTripExactly() throws {
    let model = QuantizedModel.randomDenoiser(bits: 4, seed: 3)
    let read = try QuantizedModel(file: Safetensors(data: model.file.serialized(), path: "x"))
    #expect(read == model && read.noiseBands == model.noiseBands)
    // Networks for other tasks have no noise level.
    var other = QuantizedModel.random(.small(), bits: 4, zeroPoints: false, seed: 1).file
    model.noiseBands?.write(to: &other)
    #expect(try QuantizedModel(file: other).noiseBands == nil)
  }

  @Test func noiseBandsAreValidated() {
    let good = QuantizedModel.randomDenoiser(bits: 4, seed: 3).file
    func refused(_ change: (inout Safetensors) -> Void) {
      var file = good
      change(&file)
      #expect(throws: ModelError.self) { try QuantizedModel(file: file) }
    }
    refused { $0.tensors["noise.factors"] = nil }
    refused { $0.poison("noise.factors", at: 3, Float(0)) }
    refused { $0.poison("noise.factors", at: 3, Float.nan) }
    refused { $0.poison("noise.bounds", at: 1, Int32(256)) }
    refused { $0.poison("noise.bounds", at: 1, Int32(-1)) }
    refused { $0.poison("noise.bounds", at: 1, Int32(130)) }
    refused { $0.set("noise.bounds", shape: [0], integers: []) }
    refused { $0.set("noise.bounds", shape: [40], integers: (0..<40).map { Int32($0) }) }
  }

  @Test func kindsAreNotConfused() throws {
    let weights = NetworkWeights.random(.small(), seed: 1).file
    let model = QuantizedModel.random(.small(), bits: 4, zeroPoints: false, seed: 1).file
    #expect(throws: ModelError.self) { try QuantizedModel(file: weights) }
    #expect(throws: ModelError.missingTensor(name: "encoder.weight")) { try NetworkWeights(file: model) }
  }

  @Test func activationsBecomeFiner() {
    let model = QuantizedModel.random(.small(fusion: .attention), bits: 2, zeroPoints: false, seed: 5)
    var finer = model
    finer.refineActivations(levels: 12)
    #expect(finer.layers == model.layers)
    let graph = model.architecture.graph
    for (index, operation) in graph.operations.enumerated() {
      guard case .convolution(let layer, _, _) = operation else {
        #expect(finer.quantizers[index].allSatisfy { $0.levels == 12 }, "operands of an attention")
        continue
      }
      for (old, new) in zip(model.quantizers[index], finer.quantizers[index]) {
        if graph.layers[layer].isEdge {
          #expect(old == new)
        } else {
          #expect(new.levels == 12 && abs(new.step * 12 / (old.step * 3) - 1) < 1e-6, "ranges stay")
        }
      }
    }
  }

  // MARK: - Hostile files

  private static let badArchitectures: [String] = [
    "", "{}", "[]", "null", "3",
    #"{"alignment":"block","blocks":1,"channels":16,"encoderChannels":8,"scale":2,"task":"sr"}"#,
    #"{"alignment":"warp","blocks":1,"channels":16,"encoderChannels":8,"scale":2,"task":"sr","window":3}"#,
    #"{"alignment":"block","blocks":1,"channels":16,"encoderChannels":8,"scale":2,"task":"xx","window":3}"#,
    #"{"alignment":"block","blocks":-1,"channels":16,"encoderChannels":8,"scale":2,"task":"sr","window":3}"#,
    #"{"alignment":"block","blocks":65,"channels":16,"encoderChannels":8,"scale":2,"task":"sr","window":3}"#,
    #"{"alignment":"block","blocks":1,"channels":0,"encoderChannels":8,"scale":2,"task":"sr","window":3}"#,
    #"{"alignment":"block","blocks":1,"channels":12,"encoderChannels":8,"scale":2,"task":"sr","window":3}"#,
    #"{"alignment":"block","blocks":1,"channels":264,"encoderChannels":8,"scale":2,"task":"sr","window":3}"#,
    #"{"alignment":"block","blocks":1,"channels":16,"encoderChannels":-8,"scale":2,"task":"sr","window":3}"#,
    #"{"alignment":"block","blocks":1,"channels":16,"encoderChannels":8,"scale":3,"task":"sr","window":3}"#,
    #"{"alignment":"block","blocks":1,"channels":16,"encoderChannels":8,"scale":0,"task":"sr","window":3}"#,
    #"{"alignment":"block","blocks":1,"channels":16,"encoderChannels":8,"scale":2,"task":"sr","window":2}"#,
    #"{"alignment":"block","blocks":1,"channels":16,"encoderChannels":8,"scale":2,"task":"sr","window":-3}"#,
    #"{"alignment":"block","blocks":1,"channels":16,"encoderChannels":8,"scale":2,"task":"sr","window":11}"#,
    #"{"alignment":"block","blocks":1,"channels":16,"encoderChannels":8,"scale":2,"task":"sr","window":3.5}"#,
    #"{"alignment":"block","blocks":9223372036854775807,"channels":16,"encoderChannels":8,"scale":2,"task":"sr","window":3}"#,
    #"{"alignment":"block","blocks":1e99,"channels":16,"encoderChannels":8,"scale":2,"task":"sr","window":3}"#,
  ]

  @Test(arguments: badArchitectures)
  func badArchitecturesAreRefused(_ text: String) {
    for file in [
      NetworkWeights.random(.small(), seed: 1).file,
      QuantizedModel.random(.small(), bits: 4, zeroPoints: false, seed: 1).file,
    ] {
      var file = file
      file.metadata[Self.architectureKey] = text
      for read in [{ _ = try NetworkWeights(file: file) }, { _ = try QuantizedModel(file: file) }] {
        do {
          try read()
          Issue.record("accepted")
        } catch {
          guard case ModelError.badArchitecture? = error as? ModelError else {
            Issue.record("\(error)")
            continue
          }
        }
      }
    }
  }

  @Test func otherPlausibleArchitecturesLackTensors() {
    var file = NetworkWeights.random(.small(), seed: 1).file
    // The largest possible network: no memory is allocated for it.
    file.metadata[Self.architectureKey] =
      #"{"alignment":"block","blocks":64,"channels":256,"encoderChannels":256,"scale":4,"task":"sr","window":9}"#
    #expect(throws: ModelError.missingTensor(name: "encoder.weight")) { try NetworkWeights(file: file) }
    file.metadata = [:]
    #expect(throws: ModelError.badArchitecture("no architecture in the metadata")) {
      try NetworkWeights(file: file)
    }
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func nonFiniteNumbersAreRefused(_ value: Float) {
    for name in ["fusion.weight", "tail.bias"] {
      var file = NetworkWeights.random(.small(), seed: 1).file
      file.poison(name, at: 3, value)
      #expect(throws: ModelError.missingTensor(name: name)) { try NetworkWeights(file: file) }
    }
    for name in ["quantizers.steps", "body.0.a.steps", "body.0.b.bias", "stream.step"] {
      var file = QuantizedModel.random(.small(), bits: 4, zeroPoints: false, seed: 1).file
      file.poison(name, at: 0, value)
      #expect(throws: ModelError.missingTensor(name: name)) { try QuantizedModel(file: file) }
    }
  }

  @Test(arguments: [Float(0), -1])
  func stepsArePositive(_ value: Float) {
    for name in ["quantizers.steps", "body.0.a.steps", "stream.step"] {
      var file = QuantizedModel.random(.small(), bits: 4, zeroPoints: false, seed: 1).file
      file.poison(name, at: 0, value)
      #expect(throws: ModelError.missingTensor(name: name)) { try QuantizedModel(file: file) }
    }
  }

  @Test(arguments: [
    ("quantizers.zeroPoints", Int32(-1)), ("quantizers.zeroPoints", 256), ("quantizers.zeroPoints", .min),
    ("quantizers.levels", 0), ("quantizers.levels", -1), ("quantizers.levels", 256),
    ("quantizers.levels", .max),
    ("body.0.a.bits", 1), ("body.0.a.bits", 9), ("body.0.a.bits", -4), ("body.0.a.bits", .max),
    ("body.0.a.bits", 5),
  ])
  func integersOutOfRangeAreRefused(_ name: String, _ value: Int32) {
    for at in [0, 4] where !name.hasSuffix("bits") || at == 0 {
      var file = QuantizedModel.random(.small(), bits: 4, zeroPoints: false, seed: 1).file
      file.poison(name, at: at, value)
      #expect(throws: ModelError.self) { try QuantizedModel(file: file) }
    }
  }

  @Test(arguments: ["1", "9", "-4", "four", "", "4.0", "99999999999999999999"])
  func bitsOutOfRangeAreRefused(_ text: String) {
    var file = QuantizedModel.random(.small(), bits: 4, zeroPoints: false, seed: 1).file
    file.metadata["videnhance.bits"] = text
    #expect(throws: ModelError.badArchitecture("bits are missing or not 2 to 8")) {
      try QuantizedModel(file: file)
    }
  }

  /// The quantizer of packed frames is fixed: other values in a file would overflow kernels that rely on it.
  @Test func framesKeepTheirQuantizer() throws {
    let model = QuantizedModel.random(.small(), bits: 4, zeroPoints: false, seed: 1)
    for (name, value) in [("quantizers.zeroPoints", Int32(0)), ("quantizers.levels", 200)] {
      var file = model.file
      file.poison(name, at: 0, value)
      #expect(throws: ModelError.self) { try QuantizedModel(file: file) }
    }
    var file = model.file
    file.poison("quantizers.steps", at: 0, Float(1) / 64)
    #expect(throws: ModelError.self) { try QuantizedModel(file: file) }
  }

  @Test func overflowingStepRatiosAreRefused() throws {
    for change in [
      { (model: inout QuantizedModel) in model.streamStep = 0x1p-147 }, { $0.streamStep = 3e38 },
      { $0.layers[1].steps[0] = 3e38 }, { $0.layers[1].steps[0] = 0x1p-147 },
      { $0.quantizers[6][0].step = 0x1p-147 },
    ] as [(inout QuantizedModel) -> Void] {
      var model = QuantizedModel.random(.small(window: 1, blocks: 2), bits: 4, zeroPoints: false, seed: 1)
      change(&model)
      #expect(throws: ModelError.self) { try IntegerNetwork(model, width: 8, height: 8, threads: 1) }
    }
  }

  @Test func damagedFilesNeverTrap() throws {
    let original = QuantizedModel.random(.small(window: 1, blocks: 1), bits: 3, zeroPoints: true, seed: 5)
    // Without a checksum, which would reject every damaged file first.
    let bytes = original.file.serializedAsIs()
    var random = SplitMix64(seed: 99)
    var (refused, read, ran) = (0, 0, 0)
    for _ in 0..<1500 {
      var damaged = bytes
      let header = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      for _ in 0...random.index(3) {
        // Half of the damage is in the header, where it has the largest effect.
        let at = random.chance(0.5) ? random.index(8 + header) : random.index(bytes.count)
        damaged[at] =
          random.chance(0.5) ? damaged[at] ^ (1 << UInt8(random.index(8))) : UInt8(random.index(256))
      }
      do {
        let model = try QuantizedModel(file: Safetensors(data: damaged, path: "x"))
        read += 1
        let network = try IntegerNetwork(model, width: 4, height: 4, threads: 1)
        _ = try network.predict([noiseFrame(width: 4, height: 4, &random)])
        ran += 1
      } catch {
        #expect(error is ModelError)
        refused += 1
      }
    }
    #expect(refused > 200 && read > 200 && ran > 100, "\(refused) refused, \(read) read, \(ran) ran")
  }
}

extension Safetensors {
  /// Overwrites an element of a tensor of four-byte elements.
  fileprivate mutating func poison<Value>(_ name: String, at index: Int, _ value: Value) {
    withUnsafeBytes(of: value) { bytes in
      for (offset, byte) in bytes.enumerated() { tensors[name]?.bytes[4 * index + offset] = byte }
    }
  }
}
