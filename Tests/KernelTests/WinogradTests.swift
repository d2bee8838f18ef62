// SPDX-License-Identifier: Apache-2.0
// Compares exact Winograd with scalar direct convolution, to the bit.
import CQuantKernels
import Testing

@Suite struct WinogradTests {
  /// Operands whose extremes fit a transform on every instruction set with 8-bit dot products, and that
  /// transform. AVX2 chooses by its 16-bit sums, and also has transforms of 16-bit operands.
  static let transforms = [
    (63, 31, "winograd-2x1"), (63, 7, "winograd-2x2"), (15, 7, "winograd-2x2"),
    (7, 3, "winograd-2x4"), (3, 1, "winograd-2x4"), (127, 31, "winograd-2x1"),
    (12, 3, "winograd-2x4"), (13, 3, "winograd-2x2"),
  ]

  @Test func choosesTheLargestTransformThatFits() throws {
    for (activations, weights, expected) in Self.transforms + [(255, 127, "direct"), (128, 31, "direct")] {
      let problem = Problem(
        Shape(channelsIn: 32, activationLevels: activations, weightLevels: weights, fill: .allLowest))
      for isa in supportedIsas {
        let plan = try #require(problem.plan(isa, VE_CONV3X3_AUTO))
        let chosen = String(cString: ve_conv3x3_algorithm_name(plan))
        #expect(
          ve_conv3x3_chosen_algorithm(plan)
            == (chosen == "direct" ? VE_CONV3X3_DIRECT : VE_CONV3X3_WINOGRAD))
        // AVX2 has narrower sums, and 16-bit operands as well; tiles need no transforms.
        if isa == VE_ISA_AMX {
          #expect(chosen == "direct")
        } else if isa != VE_ISA_AVX2 {
          #expect(chosen == expected, "\(name(isa)) \(activations) \(weights)")
        }
        ve_conv3x3_destroy(plan)
      }
    }
  }

  /// With few channels, transforms cost more than they save.
  @Test func choosesDirectForFewChannels() throws {
    let problem = Problem(Shape(channelsIn: 8, channelsOut: 16, activationLevels: 15, weightLevels: 7))
    for isa in supportedIsas {
      let plan = try #require(problem.plan(isa, VE_CONV3X3_AUTO))
      #expect(ve_conv3x3_chosen_algorithm(plan) == VE_CONV3X3_DIRECT)
      ve_conv3x3_destroy(plan)
    }
  }

  @Test func failsWhereNoTransformIsExact() {
    let problem = Problem(Shape(fill: .allLowest))
    // With 16-bit operands, all transforms are exact.
    for isa in supportedIsas where isa != VE_ISA_AVX2 {
      #expect(problem.plan(isa, VE_CONV3X3_WINOGRAD) == nil)
    }
  }

  /// AVX2 transforms operands of all widths, in 16 bits if bytes are too small: tests all picture widths,
  /// channel counts, slot counts and fills of the direct convolution's tests.
  @Test(
    .enabled(if: supportedIsas.contains(VE_ISA_AVX2)),
    arguments: [(255, 127), (127, 31), (63, 31), (63, 13), (12, 5)])
  func everyOperandOnAVX2(activations: Int, weights: Int) throws {
    var seed: UInt64 = 1
    for fill in Fill.allCases {
      for channelsIn in [4, 20, 64] {
        for channelsOut in [8, 24, 40, 64] {
          seed += 1
          let shape = Shape(
            width: [1, 5, 47, 50, 97, 101][Int(seed % 6)], height: 1 + Int(seed % 4),
            slots: 1 + Int(seed % 5),
            channelsIn: channelsIn, channelsOut: channelsOut, activationLevels: activations,
            weightLevels: weights, fill: fill, streams: Streams.allCases[Int(seed % 5)], seed: seed)
          let problem = Problem(shape)
          let truthPlan = try #require(problem.plan(VE_ISA_SCALAR))
          let plan = try #require(problem.plan(VE_ISA_AVX2, VE_CONV3X3_WINOGRAD), "\(shape)")
          let chosen = String(cString: ve_conv3x3_algorithm_name(plan))
          #expect(chosen.hasPrefix("winograd"))
          #expect(problem.run(plan, slack: 0xFF) == problem.run(truthPlan), "\(chosen): \(shape)")
          ve_conv3x3_destroy(plan)
          ve_conv3x3_destroy(truthPlan)
        }
      }
    }
  }

  /// Weights at the ends of their range, alone and in runs, in all lanes: the largest 16-bit sums.
  @Test(.enabled(if: supportedIsas.contains(VE_ISA_AVX2))) func largestSumsOf16Bits() throws {
    for (activations, weights) in [(63, 13), (63, 7), (15, 7), (12, 5)] {
      for seed in 0..<12 as Range<UInt64> {
        var problem = Problem(
          Shape(
            width: 26, height: 4, slots: 1 + Int(seed % 2), channelsIn: 64, channelsOut: 32,
            activationLevels: activations, weightLevels: weights, seed: seed))
        var random = SplitMix64(state: seed)
        let share = [2, 8, 64, 500][Int(seed % 4)]
        for i in problem.weights.indices where Int.random(in: 0..<share, using: &random) == 0 {
          problem.weights[i] = Int8(i / 576 % 2 == 0 ? weights : -weights - 1)
        }
        for slot in problem.inputs.indices {
          for i in problem.inputs[slot].indices where Bool.random(using: &random) {
            problem.inputs[slot][i] = Bool.random(using: &random) ? UInt8(activations) : 0
          }
        }
        let truthPlan = try #require(problem.plan(VE_ISA_SCALAR))
        let plan = try #require(problem.plan(VE_ISA_AVX2, VE_CONV3X3_WINOGRAD))
        #expect(problem.run(plan) == problem.run(truthPlan), "\(problem.shape)")
        ve_conv3x3_destroy(plan)
        ve_conv3x3_destroy(truthPlan)
      }
    }
  }

  /// Wide weights whose transforms fit by chance are used like narrow ones.
  @Test func choosesByTheActualWeights() throws {
    let problem = Problem(Shape(activationLevels: 15, weightLevels: 127, fill: .nearZero))
    let plan = try #require(problem.plan(VE_ISA_SCALAR, VE_CONV3X3_WINOGRAD))
    #expect(problem.run(plan) == problem.oracle())
    ve_conv3x3_destroy(plan)
  }

  @Test func scalarEqualsDefinition() throws {
    for (i, (activations, weights, _)) in Self.transforms.enumerated() {
      for fill in Fill.allCases {
        let problem = Problem(
          Shape(
            width: 6 + i % 3, height: 3, slots: 2, channelsIn: 8, channelsOut: 8,
            activationLevels: activations, weightLevels: weights, fill: fill, streams: .both))
        let plan = try #require(problem.plan(VE_ISA_SCALAR, VE_CONV3X3_WINOGRAD))
        #expect(problem.run(plan) == problem.oracle(), "\(problem.shape)")
        ve_conv3x3_destroy(plan)
      }
    }
  }

  /// A run of tiles has 24, 48 or 96 pixels.
  @Test func everyWidth() {
    for width in Array(1...52) + [95, 96, 97, 98, 99, 100, 193] {
      for (activations, weights, _) in Self.transforms.prefix(5) {
        expectEqualOnEveryIsa(
          Shape(
            width: width, height: 1 + width % 5, channelsIn: 8,
            channelsOut: [16, 32, 48, 64][width % 4], activationLevels: activations,
            weightLevels: weights, seed: UInt64(width)), VE_CONV3X3_WINOGRAD)
      }
    }
  }

  @Test(arguments: [8, 16, 24, 32, 40, 64, 72, 96, 256])
  func everyChannelCount(channelsOut: Int) {
    for channelsIn in [4, 8, 16, 20, 32, 48, 64, 96, 256] {
      for (i, (activations, weights, _)) in Self.transforms.prefix(5).enumerated() {
        expectEqualOnEveryIsa(
          Shape(
            width: 11 + i, height: 3, channelsIn: channelsIn, channelsOut: channelsOut,
            activationLevels: activations, weightLevels: weights,
            streams: Streams.allCases[i], seed: UInt64(channelsIn + i)), VE_CONV3X3_WINOGRAD)
      }
    }
  }

  @Test(arguments: 0..<Self.transforms.count)
  func everyFill(index: Int) {
    let (activations, weights, _) = Self.transforms[index]
    for fill in Fill.allCases {
      for slots in 1...5 {
        for channelsIn in [8, 64] {
          expectEqualOnEveryIsa(
            Shape(
              width: 13, height: 3, slots: slots, channelsIn: channelsIn, channelsOut: 32,
              activationLevels: activations, weightLevels: weights, fill: fill,
              seed: UInt64(slots)), VE_CONV3X3_WINOGRAD)
        }
      }
    }
  }

  @Test func randomShapes() {
    let levels = Self.transforms.map { ($0.0, $0.1) }
    for seed in 2000..<2300 as Range<UInt64> {
      var shape = randomShape(seed, levels: levels)
      shape.width = 1 + shape.width * 7 % 130
      expectEqualOnEveryIsa(shape, seed % 4 == 0 ? VE_CONV3X3_AUTO : VE_CONV3X3_WINOGRAD)
    }
  }

  @Test func bandsEqualWhole() throws {
    for isa in supportedIsas {
      for (activations, weights, _) in Self.transforms {
        let problem = Problem(
          Shape(
            width: 30, height: 9, slots: 2, channelsIn: 32, activationLevels: activations,
            weightLevels: weights,
            streams: .inPlace, outputs: 2))
        let plan = try #require(problem.plan(isa, VE_CONV3X3_AUTO))
        defer { ve_conv3x3_destroy(plan) }
        let whole = problem.run(plan)
        #expect(problem.run(plan, bandEnds: [1, 2, 5, 9]) == whole)
        #expect(problem.run(plan, bandEnds: [4, 4, 8, 9]) == whole)
      }
    }
  }
}
