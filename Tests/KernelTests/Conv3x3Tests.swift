// SPDX-License-Identifier: Apache-2.0
import CQuantKernels
import Testing

/// (activation levels, weight levels) of the bit widths in use, including those with more activation codes.
let operandLevels = [
  (255, 127), (63, 31), (127, 31), (63, 7), (15, 7), (7, 3), (12, 3), (3, 1), (12, 1),
]

/// Compares every supported instruction set with scalar, including whole buffers and guards. Slack differs
/// between the two, since it must have no effect.
func expectEqualOnEveryIsa(
  _ shape: Shape, _ algorithm: ve_conv3x3_algorithm = VE_CONV3X3_DIRECT,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let problem = Problem(shape)
  guard let truthPlan = problem.plan(VE_ISA_SCALAR) else {
    Issue.record("no scalar plan: \(shape)", sourceLocation: sourceLocation)
    return
  }
  let truth = problem.run(truthPlan)
  ve_conv3x3_destroy(truthPlan)
  for isa in supportedIsas where isa != VE_ISA_SCALAR || algorithm != VE_CONV3X3_DIRECT {
    guard let plan = problem.plan(isa, algorithm) else {
      Issue.record("no \(name(isa)) plan: \(shape)", sourceLocation: sourceLocation)
      continue
    }
    let written = problem.run(plan, slack: 0xFF)
    let chosen = String(cString: ve_conv3x3_algorithm_name(plan))
    ve_conv3x3_destroy(plan)
    #expect(
      written == truth, "\(name(isa)), \(chosen): \(shape)", sourceLocation: sourceLocation)
  }
}

@Suite struct Conv3x3Tests {
  /// The maximum width of a register tile.
  static let tile = 24

  @Test func scalarEqualsDefinition() throws {
    for seed in 0..<60 as Range<UInt64> {
      var random = SplitMix64(state: seed)
      let (activations, weights) = operandLevels.randomElement(using: &random)!
      let shape = Shape(
        width: .random(in: 1...5, using: &random), height: .random(in: 1...3, using: &random),
        slots: .random(in: 1...3, using: &random),
        channelsIn: [4, 8, 12].randomElement(using: &random)!,
        channelsOut: [8, 16, 24].randomElement(using: &random)!, activationLevels: activations,
        weightLevels: weights, fill: Fill.allCases.randomElement(using: &random)!,
        streams: Streams.allCases.randomElement(using: &random)!,
        outputs: .random(in: 0...8, using: &random), seed: seed)
      let problem = Problem(shape)
      let plan = try #require(problem.plan(VE_ISA_SCALAR))
      defer { ve_conv3x3_destroy(plan) }
      #expect(problem.run(plan) == problem.oracle(), "\(shape)")
    }
  }

  @Test func everyWidth() {
    for width in 1...(2 * Self.tile + 1) {
      for channelsOut in [16, 32, 48, 64] {
        expectEqualOnEveryIsa(
          Shape(
            width: width, height: 1 + width % 4, channelsIn: 8, channelsOut: channelsOut,
            seed: UInt64(width)))
      }
    }
  }

  @Test(arguments: [8, 16, 24, 32, 40, 64, 72, 96, 256])
  func everyChannelCount(channelsOut: Int) {
    for channelsIn in [4, 8, 16, 20, 32, 48, 64, 96] {
      for (i, streams) in Streams.allCases.enumerated() {
        expectEqualOnEveryIsa(
          Shape(
            width: 13 + i, height: 2, channelsIn: channelsIn, channelsOut: channelsOut,
            streams: streams, outputs: i % 3, seed: UInt64(channelsIn + i)))
      }
    }
  }

  @Test(arguments: 0..<operandLevels.count)
  func everyBitWidth(index: Int) {
    let (activations, weights) = operandLevels[index]
    for fill in Fill.allCases {
      for slots in 1...5 {
        for channelsIn in [8, 64] {
          expectEqualOnEveryIsa(
            Shape(
              width: 11, height: 2, slots: slots, channelsIn: channelsIn, channelsOut: 32,
              activationLevels: activations, weightLevels: weights, fill: fill,
              seed: UInt64(slots)))
        }
      }
    }
  }

  @Test func randomShapes() {
    for seed in 1000..<1150 as Range<UInt64> { expectEqualOnEveryIsa(randomShape(seed)) }
  }

  @Test func bandsEqualWhole() throws {
    for isa in supportedIsas {
      let problem = Problem(Shape(width: 30, height: 9, slots: 2, streams: .inPlace, outputs: 2))
      let plan = try #require(problem.plan(isa))
      defer { ve_conv3x3_destroy(plan) }
      let whole = problem.run(plan)
      #expect(problem.run(plan, bandEnds: [1, 2, 5, 9]) == whole)
      #expect(problem.run(plan, bandEnds: [4, 4, 8, 9]) == whole)
    }
  }

  @Test func rejectsBadDescriptions() {
    let good = Shape()
    func plan(_ change: (inout Shape) -> Void, weight: Int8 = 0, bias: Int32 = 0) -> OpaquePointer? {
      var shape = good
      change(&shape)
      let count = max(1, shape.channelsOut * max(1, shape.slots) * max(1, shape.channelsIn) * 9)
      var description = ve_conv3x3_description(
        slots: Int32(shape.slots), channels_in: Int32(shape.channelsIn),
        channels_out: Int32(shape.channelsOut), activation_levels: Int32(shape.activationLevels),
        weight_levels: Int32(shape.weightLevels), algorithm: VE_CONV3X3_DIRECT)
      return ve_conv3x3_create(
        &description, [Int8](repeating: weight, count: count),
        [Int32](repeating: bias, count: max(1, shape.channelsOut)),
        [Float](repeating: 1, count: max(1, shape.channelsOut)), VE_ISA_SCALAR)
    }
    let accepted = plan { _ in }
    #expect(accepted != nil)
    ve_conv3x3_destroy(accepted)
    ve_conv3x3_destroy(nil)
    #expect(plan { $0.slots = 0 } == nil)
    #expect(plan { $0.slots = 17 } == nil)
    #expect(plan { $0.channelsIn = 6 } == nil)
    #expect(plan { $0.channelsIn = 260 } == nil)
    #expect(plan { $0.channelsOut = 12 } == nil)
    #expect(plan { $0.channelsOut = 0 } == nil)
    #expect(plan { $0.activationLevels = 256 } == nil)
    #expect(plan { $0.activationLevels = 0 } == nil)
    #expect(plan({ $0.weightLevels = 7 }, weight: 8) == nil)
    #expect(plan({ $0.weightLevels = 7 }, weight: -9) == nil)
    #expect(plan({ _ in }, weight: 1, bias: .max) == nil, "sum beyond 32 bits")
  }
}

/// Random shapes, with odd sizes and all options.
func randomShape(_ seed: UInt64, levels: [(Int, Int)] = operandLevels) -> Shape {
  var random = SplitMix64(state: seed)
  let (activations, weights) = levels.randomElement(using: &random)!
  return Shape(
    width: .random(in: 1...60, using: &random), height: .random(in: 1...4, using: &random),
    slots: .random(in: 1...5, using: &random),
    channelsIn: [4, 8, 16, 20, 32, 48, 64, 96].randomElement(using: &random)!,
    channelsOut: [8, 16, 24, 32, 40, 48, 56, 64, 96].randomElement(using: &random)!,
    activationLevels: activations, weightLevels: weights,
    fill: Fill.allCases.randomElement(using: &random)!,
    streams: Streams.allCases.randomElement(using: &random)!,
    outputs: .random(in: 0...8, using: &random), seed: seed)
}
