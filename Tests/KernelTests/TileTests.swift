// SPDX-License-Identifier: Apache-2.0
// The AMX kernels on emulated tile registers (Tests/CEmulatedTiles), on any processor: their source, packing
// and row loop are bit-exact with the scalar direct convolution. On processors with AMX, the other suites run
// the real instructions.
import CEmulatedTiles
import CQuantKernels
import Testing

@Suite struct TileTests {
  /// Pixels of two sum tiles.
  static let tile = 32

  private func expectEqual(_ shape: Shape, sourceLocation: SourceLocation = #_sourceLocation) {
    expectEqual(Problem(shape), sourceLocation: sourceLocation)
  }

  private func expectEqual(_ problem: Problem, sourceLocation: SourceLocation = #_sourceLocation) {
    guard let truth = problem.plan(VE_ISA_SCALAR), let plan = problem.planOnEmulatedTiles() else {
      Issue.record("no plan: \(problem.shape)", sourceLocation: sourceLocation)
      return
    }
    defer {
      ve_conv3x3_destroy(truth)
      ve_conv3x3_destroy(plan)
    }
    let equal = problem.run(plan, slack: 0xFF) == problem.run(truth)
    #expect(equal, "\(problem.shape)", sourceLocation: sourceLocation)
    #expect(!ve_emulated_tiles_in_use(), "tiles are given back", sourceLocation: sourceLocation)
  }

  @Test func everyWidth() {
    for width in 1...(2 * Self.tile + 2) {
      for channelsOut in [8, 32, 48, 64] {
        expectEqual(
          Shape(
            width: width, height: 1 + width % 3, channelsIn: 8, channelsOut: channelsOut, seed: UInt64(width))
        )
      }
    }
  }

  /// Runs of three taps have 12 to 768 codes, in steps of 12 to 64; some leave the last step incomplete.
  @Test(arguments: [4, 8, 12, 16, 20, 24, 28, 32, 40, 44, 64, 68, 96, 252, 256])
  func everyChannelCount(channelsIn: Int) {
    for channelsOut in [8, 16, 24, 32, 40, 64, 72] {
      for (i, streams) in Streams.allCases.enumerated() where channelsIn <= 64 || i % 3 == 0 {
        expectEqual(
          Shape(
            width: 15 + i, height: 2, channelsIn: channelsIn, channelsOut: channelsOut, streams: streams,
            outputs: i % 3, seed: UInt64(channelsIn + i)))
      }
    }
  }

  @Test func widestOutput() {
    expectEqual(Shape(width: 33, height: 1, channelsIn: 16, channelsOut: 256, streams: .both, outputs: 2))
  }

  @Test(arguments: 0..<operandLevels.count)
  func everyBitWidth(index: Int) {
    let (activations, weights) = operandLevels[index]
    for fill in Fill.allCases {
      for slots in [1, 2, 5, 16] {
        expectEqual(
          Shape(
            width: 18, height: 2, slots: slots, channelsIn: slots < 16 ? 20 : 4, channelsOut: 32,
            activationLevels: activations, weightLevels: weights, fill: fill, streams: .inPlace,
            seed: UInt64(slots)))
      }
    }
  }

  @Test func randomShapes() {
    for seed in 3000..<3150 as Range<UInt64> { expectEqual(randomShape(seed)) }
  }

  /// A single nonzero weight in every position: packing aligns each with its code.
  @Test func everyWeightHasItsPlace() {
    var problem = Problem(
      Shape(width: 2, height: 1, slots: 2, channelsIn: 24, channelsOut: 24, streams: .output, outputs: 0))
    problem.bias = problem.bias.map { _ in 0 }
    problem.multipliers = problem.multipliers.map { _ in 1 }
    problem.weights = problem.weights.map { _ in 0 }
    for i in stride(from: 0, to: problem.weights.count, by: 5) {
      problem.weights[i] = 1
      expectEqual(problem)
      problem.weights[i] = 0
    }
  }

  @Test func bandsEqualWhole() throws {
    let problem = Problem(Shape(width: 40, height: 9, slots: 2, streams: .inPlace, outputs: 2))
    let plan = try #require(problem.planOnEmulatedTiles())
    defer { ve_conv3x3_destroy(plan) }
    let whole = problem.run(plan)
    #expect(problem.run(plan, bandEnds: [1, 2, 5, 9]) == whole)
    #expect(problem.run(plan, bandEnds: [4, 4, 8, 9]) == whole)
  }

  /// Tiles need no transforms to save products: the same kernel is used for all bit widths.
  @Test func tilesNeedNoTransforms() throws {
    for (activations, weights) in operandLevels {
      let problem = Problem(Shape(channelsIn: 64, activationLevels: activations, weightLevels: weights))
      let plan = try #require(problem.planOnEmulatedTiles(VE_CONV3X3_AUTO))
      #expect(ve_conv3x3_chosen_algorithm(plan) == VE_CONV3X3_DIRECT)
      #expect(ve_conv3x3_scratch_bytes(plan) == 0)
      ve_conv3x3_destroy(plan)
    }
  }

  /// Sums up to the limits of 32 bits, without saturation or loss.
  @Test func sumsReachTheEndsOf32Bits() throws {
    for sign in [-1, 1] {
      var problem = Problem(
        Shape(
          width: 17, height: 1, slots: 16, channelsIn: 256, fill: sign < 0 ? .allLowest : .allHighest,
          streams: .output, outputs: 1))
      let taps = 16 * 256 * 9 * 255 * (sign < 0 ? 128 : 127)
      #expect(taps < Int(Int32.max))
      problem.bias = problem.bias.map { _ in Int32(sign * (Int(Int32.max) - taps)) }
      problem.multipliers = problem.multipliers.map { _ in 1.0 / 65536 }
      expectEqual(problem)
    }
  }
}
