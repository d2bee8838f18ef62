// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Kernels
import QuantCalibration
import Tensors
import TestSupport
import Testing
import Training

@testable import Distillation

/// Compares the training forward pass with the integer engine, to the bit, for whole networks of all tasks
/// and bit widths.
@Suite struct EngineEqualityTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var architecture: Architecture
    var widths: Calibrator.Widths

    var testDescription: String {
      let a = architecture
      let mixed = widths.layers.isEmpty ? "" : ", mixed"
      let grid = widths.grid == .midTread ? "" : ", \(widths.grid.rawValue)"
      return
        "\(a.task.rawValue)\(a.isMasked ? " with a mask" : "")\(a.attends ? " with attention" : "") x\(a.scale), window \(a.window), \(a.alignment), \(widths.weights)-bit weights\(grid), \(widths.activationCodes) codes\(mixed)"
    }
  }

  static let architectures = [
    Architecture.small(window: 1, alignment: .none, encoderChannels: 16, channels: 32, blocks: 2),
    .small(window: 3, alignment: .none, encoderChannels: 16, channels: 32, blocks: 2),
    .small(window: 5, encoderChannels: 16, channels: 32, blocks: 2),
    .small(window: 3, encoderChannels: 16, channels: 32, blocks: 2, scale: 4),
    Architecture(
      task: .superResolution, scale: 2, window: 3, alignment: .block, encoderChannels: 16, channels: 32,
      blocks: 2, isConditioned: true, hasSharpness: true),
    Architecture(
      task: .restoration, scale: 1, window: 3, alignment: .block, encoderChannels: 16, channels: 32,
      blocks: 2,
      isConditioned: true),
    Architecture(
      task: .denoising, scale: 1, window: 7, alignment: .block, encoderChannels: 16, channels: 32, blocks: 2),
    Architecture(
      task: .interpolation, scale: 1, window: 2, alignment: .block, encoderChannels: 16, channels: 32,
      blocks: 2),
    Architecture(
      task: .interpolation, scale: 1, window: 2, alignment: .block, encoderChannels: 16, channels: 32,
      blocks: 2, hasMask: true),
    .small(window: 5, encoderChannels: 16, channels: 32, blocks: 1, fusion: .attention),
    Architecture(
      task: .superResolution, scale: 2, window: 3, alignment: .block, encoderChannels: 16, channels: 32,
      blocks: 1, isConditioned: true, fusion: .attention, heads: 3),
    Architecture(
      task: .denoising, scale: 1, window: 5, alignment: .block, encoderChannels: 16, channels: 32, blocks: 1,
      fusion: .attention),
  ]

  static let widths: [Calibrator.Widths] = {
    var finerActivations = Calibrator.Widths(4)
    finerActivations.activationCodes = 64
    var coarseWeights = Calibrator.Widths(2)
    coarseWeights.activationCodes = 13
    var thirteenCodes = Calibrator.Widths(3)
    thirteenCodes.activationCodes = 13
    var spread = thirteenCodes
    spread.grid = .spread
    var midRise = coarseWeights
    midRise.grid = .midRise
    var mixed = Calibrator.Widths(3)
    mixed.layers = ["body.0.a": 8, "body.1.b": 6]
    return [8, 6, 4, 3, 2].map(Calibrator.Widths.init) + [
      finerActivations, coarseWeights, thirteenCodes, midRise, spread, mixed,
    ]
  }()

  static let cases = architectures.flatMap { architecture in
    widths.map { Case(architecture: architecture, widths: $0) }
  }

  /// Returns the frames of a window: extreme noise, or moving textures.
  private static func frames(_ architecture: Architecture, areRandom: Bool, seed: UInt64) -> [PlanarFrame] {
    var random = SplitMix64(seed: seed)
    return (0..<architecture.window).map { index in
      let frame =
        areRandom
        ? noiseFrame(width: 46, height: 38, &random)
        : texturedFrame(
          width: 46, height: 38, seed: seed, x: Double(index) * 1.3, y: Double(index) * -0.6)
      if index % 2 == 1 {
        frame.quantizers = QuantizerMap(columns: 3, rows: 3, values: (0..<9).map { UInt8(14 * $0 + index) })
      }
      return frame
    }
  }

  /// Compares both for a window.
  private static func compare(
    _ model: QuantizedModel, weights: NetworkWeights, frames: [PlanarFrame], noiseLevel: Float? = nil
  ) throws {
    let architecture = model.architecture
    let (width, height) = (frames[0].width, frames[0].height)
    let integers = try IntegerNetwork(model, width: width, height: height, threads: 2)
    let conditions = WindowConditions(noiseLevel: noiseLevel)
    let window = WindowPacker(architecture).prepare(frames, at: 100, given: conditions)
    let expected = try integers.predict(frames, at: 100, given: conditions, profile: nil).residual
    setConvolutionThreads(1)  // Several of oneDNN's wait for each other by spinning.
    // oneDNN supports bf16 only on some processors.
    for precision in FloatPrecision.hasBFloat16 ? FloatPrecision.allCases : [.float32] {
      let pass = try FakeQuantizedPass(
        QuantizedParameters(model, weights: weights), batch: 1, height: height / 2, width: width / 2,
        precision: precision)
      pass.setModel(model)
      let inputs = window.codes().enumerated().map { slot, codes in
        let tensor = FloatTensor(
          height: height / 2, width: width / 2, channels: architecture.channels(ofSlot: slot))
        for i in 0..<codes.count { tensor.pointer[i] = Float(Int(codes[i]) - 128) }
        return tensor
      }
      let output = try pass.forward(frames: inputs).output
      #expect(output.count == architecture.outputChannels * (width / 2) * (height / 2))
      let actual = residuals(output, architecture: architecture, alignment: window.alignment)
      let different = actual.indices.filter { actual[$0] != expected.values[$0] }.count
      #expect(different == 0, "\(different) of \(actual.count) differ in \(precision.rawValue)")
      #expect(actual.contains { $0 != 0 }, "the network is silent")
    }
  }

  /// Returns the correction of the last layer's values: the values themselves, or with the mask applied.
  private static func residuals(
    _ output: FloatTensor, architecture: Architecture, alignment: FrameAlignment?
  ) -> [Int16] {
    let values = (0..<output.count).map { Int32(output.pointer[$0]) }
    guard architecture.isMasked, let alignment else { return values.map { Int16($0) } }
    let count = Architecture.frameChannels
    let planes = alignment.warped.map { frame in
      var packed = [Int32](repeating: 0, count: frame.gridWidth * frame.gridHeight * count)
      packed.withUnsafeMutableBufferPointer {
        frame.pack(into: $0.baseAddress!, pixelStride: count, rowStride: count * frame.gridWidth) {
          Int32($0)
        }
      }
      return packed
    }
    return planes[0].indices.map { i in
      let at = i / count * 2 * count + i % count
      // R + M (b - a) / 256, rounded to nearest.
      let sum = Double(values[at]) + Double(values[at + count] * (planes[1][i] - planes[0][i])) / 256
      return Int16(max(-32768, min(32767, (sum + 0.5).rounded(.down))))
    }
  }

  @Test(arguments: cases, [true, false])
  func trainingEqualsTheEngine(_ c: Case, areRandom: Bool) throws {
    let parameters = ParameterSet(graph: c.architecture.graph)
    parameters.initialize(graph: c.architecture.graph, seed: 7)
    var random = SplitMix64(seed: 8)
    // Large enough that every layer has an effect and some values clip.
    for layer in parameters.layers {
      for i in 0..<layer.all.count { layer.all[i] *= random.uniform(1...4) }
    }
    let weights = parameters.network(c.architecture, recipe: "test")
    let calibrator = Calibrator(weights, threads: 1)
    try calibrator.observe(
      WindowPacker(c.architecture).floatInputs(Self.frames(c.architecture, areRandom: areRandom, seed: 1)))
    let model = calibrator.model(widths: c.widths)
    try Self.compare(
      model, weights: weights, frames: Self.frames(c.architecture, areRandom: areRandom, seed: 2))
  }

  /// Clipping ranges that depend on the noise level.
  @Test(arguments: [8, 4, 2], [false, true]) func rangesOfEveryNoiseBand(bits: Int, attends: Bool) throws {
    let architecture = try #require(
      Self.architectures.first { $0.task == .denoising && $0.attends == attends })
    let weights = NetworkWeights.random(architecture, seed: 9)
    let calibrator = Calibrator(weights, threads: 1)
    let frames = Self.frames(architecture, areRandom: false, seed: 1)
    try calibrator.observe(WindowPacker(architecture).floatInputs(frames))
    var model = calibrator.model(bits: bits)
    var random = SplitMix64(seed: 10)
    let bounds = NoiseBands.standardBounds
    model.noiseBands = NoiseBands(
      bounds: bounds,
      factors: bounds.map { _ in architecture.graph.operations.map { _ in random.uniform(0.5...2) } })
    var results: Set<[UInt32]> = []
    for level: Float in [0, 9, 16, 30, 60] {
      try Self.compare(model, weights: weights, frames: frames, noiseLevel: level)
      results.insert(model.atNoiseLevel(level).quantizers.joined().map(\.step.bitPattern))
    }
    #expect(results.count == bounds.count)
  }

  /// The shipped models.
  @Test(
    arguments: [
      "sr-x2-balanced", "sr-x2-balanced-real", "sr-x2-best", "sr-x2-best-real", "sr-x2-fast",
      "sr-x2-fast-real", "sr-x4-balanced", "sr-x4-balanced-real", "denoise-balanced", "interp-balanced",
    ], [8, 6, 4, 3, 2])
  func shippedModels(family: String, bits: Int) throws {
    let resources = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Sources/EnhancementModel/Resources").standardized.path
    let model = try QuantizedModel(path: "\(resources)/\(family)-\(bits)bit.safetensors")
    let weights = try NetworkWeights(path: "\(resources)/\(family).safetensors")
    for areRandom in [true, false] {
      try Self.compare(
        model, weights: weights, frames: Self.frames(model.architecture, areRandom: areRandom, seed: 3))
    }
  }
}
