// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Kernels
import Tensors
import TestSupport
import Testing

@Suite struct IntegerNetworkTests {
  /// A kind of model and the extents of its test frames.
  struct Case: CustomTestStringConvertible, Sendable {
    var architecture: Architecture
    var bits: Int
    var zeroPoints: Bool
    var width, height: Int

    var testDescription: String {
      "\(bits) bits, window \(architecture.window) \(architecture.alignment), \(architecture.channels) channels, "
        + (architecture.attends ? "\(architecture.headCount) heads, " : "")
        + "\(architecture.blocks) blocks, x\(architecture.scale), \(width)x\(height)"
        + (zeroPoints ? ", zero points" : "")
    }
  }

  static let cases: [Case] = {
    var cases: [Case] = []
    for (index, bits) in [8, 6, 4, 3, 2].enumerated() {
      for (window, blocks) in [(1, 2), (3, 1), (5, 1)] {
        // 32 channels are enough for all transforms.
        let architecture = Architecture.small(
          window: window, encoderChannels: 16, channels: 32, blocks: blocks)
        cases.append(
          Case(
            architecture: architecture, bits: bits, zeroPoints: (index + window) % 4 < 2,
            width: window == 5 ? 18 : 26, height: window == 5 ? 10 : 14))
      }
    }
    return cases + [
      Case(architecture: .small(window: 3, blocks: 0), bits: 4, zeroPoints: false, width: 2, height: 2),
      Case(architecture: .small(window: 3, blocks: 3), bits: 4, zeroPoints: true, width: 6, height: 2),
      Case(architecture: .small(window: 1, blocks: 0), bits: 3, zeroPoints: true, width: 2, height: 30),
      Case(
        architecture: .small(window: 3, alignment: .none, encoderChannels: 24, channels: 40, scale: 4),
        bits: 6,
        zeroPoints: true, width: 10, height: 6),
      Case(
        architecture: .small(window: 5, alignment: .none, channels: 48, blocks: 2), bits: 2,
        zeroPoints: false,
        width: 14, height: 18),
      // Six output channels, which kernels pad to eight, and the noise level as an input.
      Case(architecture: denoising, bits: 4, zeroPoints: true, width: 26, height: 14),
      Case(architecture: denoising, bits: 8, zeroPoints: false, width: 14, height: 18),
      // Attention over the slots: few and many heads, all bits, and bands of noise as an input.
      Case(architecture: attention(5, heads: 4), bits: 4, zeroPoints: true, width: 26, height: 14),
      Case(architecture: attention(3, heads: 1), bits: 8, zeroPoints: true, width: 18, height: 10),
      Case(architecture: attention(3, heads: 8), bits: 3, zeroPoints: false, width: 14, height: 18),
      Case(architecture: attention(9, heads: 3), bits: 2, zeroPoints: false, width: 10, height: 6),
      Case(architecture: attention(5, heads: 2), bits: 6, zeroPoints: true, width: 2, height: 2),
      // Two frames warped to an instant between them.
      Case(architecture: interpolation, bits: 4, zeroPoints: true, width: 26, height: 14),
      Case(architecture: interpolation, bits: 6, zeroPoints: false, width: 18, height: 30),
    ]
  }()

  static func attention(_ window: Int, heads: Int) -> Architecture {
    .small(
      window: window, encoderChannels: 16, channels: 32, blocks: window == 5 ? 1 : 0, fusion: .attention,
      heads: heads)
  }

  static var denoising: Architecture {
    var result = Architecture.small(window: 3, scale: 1)
    result.task = .denoising
    return result
  }

  static var interpolation: Architecture {
    var result = Architecture.small(window: 2, encoderChannels: 16, channels: 32, scale: 1)
    result.task = .interpolation
    return result
  }

  private func frames(_ item: Case, count: Int, seed: UInt64) -> [PlanarFrame] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { index in
      // Moving textures, and noise of extreme values.
      index % 3 == 2
        ? noiseFrame(width: item.width, height: item.height, &random)
        : texturedFrame(
          width: item.width, height: item.height, seed: seed, x: 1.4 * Double(index), y: -0.6 * Double(index))
    }
  }

  @Test(arguments: cases) func agreesWithTheOracleToTheBit(_ item: Case) throws {
    let model = QuantizedModel.random(
      item.architecture, bits: item.bits, zeroPoints: item.zeroPoints,
      seed: UInt64(item.bits * 10 + item.width))
    let window = item.architecture.window
    let film = frames(item, count: window + 1, seed: 3)
    let oracle = QuantizedOracle(model, frameWidth: item.width, frameHeight: item.height)
    let packer = WindowPacker(item.architecture)
    let windows = [Array(film[..<window]), Array(film[1...])]
    let expected = windows.map { oracle.residual(packer.codes($0)) }
    // A model with constant output would pass any comparison.
    #expect(Set(expected[0]).count > min(50, expected[0].count / 4))
    #expect(expected[0] != expected[1])
    var ran = 0
    for instructionSet in InstructionSet.allCases where instructionSet.isSupported {
      for algorithm in [ConvolutionAlgorithm.direct, .automatic] {
        for threads in [1, 3] {
          let network = try IntegerNetwork(
            model, width: item.width, height: item.height, threads: threads, algorithm: algorithm,
            instructionSet: instructionSet)
          let how = "\(instructionSet.name), \(algorithm), \(threads) threads"
          // The second window reuses the first one's memory; the third equals the first.
          #expect(values(try network.predict(windows[0]).residual) == expected[0], "\(how)")
          #expect(values(try network.predict(windows[1]).residual) == expected[1], "second, \(how)")
          #expect(values(try network.predict(windows[0]).residual) == expected[0], "first again, \(how)")
          ran += 1
        }
      }
    }
    #expect(ran >= 4 && ran == 4 * InstructionSet.allCases.count { $0.isSupported })
  }

  /// Executors store lines, not planes: the result depends neither on the number of rows at a time nor on the
  /// height.
  @Test(arguments: [(4, 62), (8, 64), (32, 70), (12, 130), (64, 18)])
  func resultDoesNotDependOnRowsPerBand(_ rows: Int, _ height: Int) throws {
    for architecture in [
      .small(window: 3, encoderChannels: 16, channels: 32, blocks: 3), Self.denoising, Self.interpolation,
      Self.attention(3, heads: 2),
    ] as [Architecture] {
      let item = Case(architecture: architecture, bits: 4, zeroPoints: true, width: 18, height: height)
      let model = QuantizedModel.random(architecture, bits: 4, zeroPoints: true, seed: UInt64(rows + height))
      let window = frames(item, count: architecture.window, seed: 5)
      let expected = QuantizedOracle(model, frameWidth: item.width, frameHeight: height).residual(
        WindowPacker(architecture).codes(window))
      for threads in [1, 2, 5] {
        let network = try IntegerNetwork(
          model, width: item.width, height: height, threads: threads, rowsAtOnce: rows)
        for turn in 1...2 {
          #expect(
            values(try network.predict(window).residual) == expected, "\(threads) threads, turn \(turn)")
          // Interpolation predicts whole frames.
          if architecture.task != .interpolation {
            let rowsTaken = try taken(network, window)
            #expect(rowsTaken == expected, "\(threads) threads, turn \(turn), rows as they are made")
          }
        }
      }
    }
  }

  /// Residuals received a few rows at a time, combined.
  private func taken(_ network: IntegerNetwork, _ window: [PlanarFrame]) throws -> [Int16] {
    let lock = NSLock()
    nonisolated(unsafe) var parts: [(first: Int, values: [Int16])] = []  // Guarded by `lock`.
    try network.predictRows(window, given: WindowConditions(), profile: nil) { rows in
      let points = rows.rows.count * rows.gridWidth
      let values = (0..<points).flatMap { point in
        (0..<rows.channels).map { rows.values[point * rows.stride + $0] }
      }
      lock.withLock { parts.append((rows.rows.lowerBound, values)) }
    }
    return parts.sorted { $0.first < $1.first }.flatMap(\.values)
  }

  @Test func memoryDoesNotGrowWithHeight() throws {
    let model = QuantizedModel.random(.small(window: 3, blocks: 2), bits: 4, zeroPoints: false, seed: 1)
    func bytes(_ width: Int, _ height: Int) throws -> Int {
      try IntegerNetwork(model, width: width, height: height, threads: 2).tensorBytes
    }
    #expect(try bytes(64, 100) == bytes(64, 4000))
    #expect(try bytes(128, 100) > bytes(64, 100))
  }

  @Test(arguments: [(8, nil), (6, "winograd"), (4, "winograd"), (3, "winograd"), (2, "winograd")])
  func algorithmDependsOnBits(_ bits: Int, _ fixed: String?) throws {
    // Only vector kernels use transforms; without them, the cases above do not cover Winograd.
    guard InstructionSet.avx2.isSupported else { return }
    // At 8 bits, transforms need 16-bit operands, which are only faster without 8-bit dot products. Tiles take none.
    let algorithm =
      InstructionSet.best == .amx
      ? "direct"
      : fixed ?? (InstructionSet.best.rawValue > InstructionSet.avx2.rawValue ? "direct" : "winograd")
    let architecture = Architecture.small(window: 1, encoderChannels: 16, channels: 32, blocks: 1)
    let model = QuantizedModel.random(architecture, bits: bits, zeroPoints: false, seed: 1)
    let network = try IntegerNetwork(model, width: 26, height: 14, threads: 1)
    let steps = Dictionary(
      uniqueKeysWithValues: network.steps.map { step in
        (step.name, step.convolution.flatMap { IntegerConvolution($0.parameters)?.algorithmName })
      })
    #expect(steps["body.0.a"]??.hasPrefix(algorithm) == true, "\(steps)")
    #expect(steps["body.0.b"]??.hasPrefix(algorithm) == true, "\(steps)")
  }

  /// Noise bands change between windows; previous bands have no effect.
  @Test(arguments: [8, 4, 2]) func rangesFollowTheNoise(_ bits: Int) throws {
    let model = QuantizedModel.randomDenoiser(bits: bits, seed: 21)
    var random = SplitMix64(seed: 22)
    let window = (0..<3).map { _ in noiseFrame(width: 48, height: 40, &random) }
    let network = try IntegerNetwork(model, width: 48, height: 40, threads: 2)
    var seen: Set<[Int16]> = []
    for level: Float in [30, 3, 8, 50, 15, 30, 3] {
      let conditions = WindowConditions(noiseLevel: level)
      let own = try IntegerNetwork(model.atNoiseLevel(level), width: 48, height: 40, threads: 1)
      let (result, expected) = (
        try network.predict(window, at: 0, given: conditions, profile: nil).residual,
        try own.predict(window, at: 0, given: conditions, profile: nil).residual
      )
      let count = result.gridWidth * result.gridHeight * result.channels
      let values = Array(UnsafeBufferPointer(start: result.values, count: count))
      #expect(values == Array(UnsafeBufferPointer(start: expected.values, count: count)))
      seen.insert(values)
    }
    #expect(seen.count == 5)
  }

  @Test func sumsAreFusedAndNothingIsComputedTwice() throws {
    let model = QuantizedModel.random(.small(window: 3, blocks: 2), bits: 4, zeroPoints: false, seed: 1)
    let network = try IntegerNetwork(model, width: 8, height: 8, threads: 1)
    #expect(
      network.steps.map(\.name) == [
        "neighbour", "encoder", "neighbour", "fusion", "body.0.a", "body.0.b", "body.1.a", "body.1.b", "tail",
      ])
    #expect(
      network.steps.map { $0.addend != nil } == [false, false, false, false, false, true, false, true, false])
    #expect(network.steps.map(\.isOutput) == Array(repeating: false, count: 8) + [true])
    #expect(network.architecture == model.architecture)
  }

  @Test func attentionIsAStepOfItsOwn() throws {
    let model = QuantizedModel.random(Self.attention(3, heads: 4), bits: 4, zeroPoints: true, seed: 1)
    let network = try IntegerNetwork(model, width: 8, height: 8, threads: 1)
    #expect(
      network.steps.map(\.name) == [
        "neighbour", "encoder", "neighbour", "fusion.centre", "fusion.query", "fusion.key", "fusion.key",
        "fusion.key", "fusion.value", "fusion.value", "fusion.value", "attention", "fusion.projection",
        "tail",
      ])
    // Encodings have many readers; the projection adds to the stream of the centre.
    #expect(network.steps.map(\.outputs.count) == [2, 4, 2, 0] + Array(repeating: 1, count: 9) + [0])
    #expect(network.steps[12].addend == network.steps[3].value && network.steps[3].keepsStream)
    #expect(network.steps[11].convolution == nil && !network.steps[11].keepsStream)
    if InstructionSet.avx2.isSupported {
      // Layers of few bits are transformed, as in the body; the centre's is not.
      let transformed = network.steps.filter { step in
        let kernel = step.convolution.flatMap { IntegerConvolution($0.parameters) }
        return kernel?.algorithmName.hasPrefix("winograd-2x2") == true
      }
      let names = ["fusion.query", "fusion.key", "fusion.value", "fusion.projection"]
      #expect(Set(transformed.map(\.name)) == Set(names))
    }
    var far = model
    let attention = network.steps[11].operation
    for place in 0...1 { far.quantizers[attention][place].step = 1e38 }
    #expect(throws: ModelError.badArchitecture("steps of the attention and its reader are too far apart")) {
      try IntegerNetwork(far, width: 8, height: 8, threads: 1)
    }
  }

  @Test func outputsSaturate() throws {
    var model = QuantizedModel.random(.small(window: 1), bits: 4, zeroPoints: false, seed: 1)
    for index in model.layers.indices {
      model.layers[index].steps = model.layers[index].steps.map { $0 * 64 }
    }
    var random = SplitMix64(seed: 1)
    let window = [noiseFrame(width: 10, height: 6, &random)]
    let expected = QuantizedOracle(model, frameWidth: 10, frameHeight: 6).residual(
      WindowPacker(model.architecture).codes(window))
    #expect(expected.contains(.min) && expected.contains(.max))
    for instructionSet in InstructionSet.allCases where instructionSet.isSupported {
      let network = try IntegerNetwork(
        model, width: 10, height: 6, threads: 1, instructionSet: instructionSet)
      #expect(values(try network.predict(window).residual) == expected, "\(instructionSet.name)")
    }
  }

  @Test func biasesThatDoNotFitAreRefused() {
    var model = QuantizedModel.random(.small(window: 1), bits: 4, zeroPoints: false, seed: 1)
    model.layers[1].biases[3] = 1e9
    #expect(throws: ModelError.badArchitecture("bias of layer fusion does not fit")) {
      try IntegerNetwork(model, width: 8, height: 8, threads: 1)
    }
    // Valid in itself, but could exceed 32 bits together with the largest sums.
    model.layers[1].biases[3] = model.quantizers[2][0].step * model.layers[1].steps[3] * 0x1.fffffep29
    let fits = try? IntegerNetwork(model, width: 8, height: 8, threads: 1)
    #expect(fits != nil)
  }
}
