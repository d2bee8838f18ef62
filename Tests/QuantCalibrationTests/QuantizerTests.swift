// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import QuantCalibration
import Tensors
import Testing

@Suite struct ActivationQuantizerTests {
  /// Returns the value that represents `x`.
  private func approximation(_ x: Float, _ quantizer: ActivationQuantizer) -> Double {
    let code = max(
      0,
      min(
        Double(quantizer.levels), (Double(x) / Double(quantizer.step)).rounded() + Double(quantizer.zeroPoint)
      ))
    return (code - Double(quantizer.zeroPoint)) * Double(quantizer.step)
  }

  @Test(arguments: 2...8) func randomRanges(_ bits: Int) {
    var random = SplitMix64(seed: UInt64(bits))
    for _ in 0..<500 {
      let a = random.normal() * 3
      let b = random.normal() * 3
      let range = ClippingRange(lower: min(a, b), upper: max(a, b))
      let quantizer = ActivationQuantizer(range: range, levels: Int32(1 << bits) - 1)
      let snapped = range.snapped(levels: Int32(1 << bits) - 1)
      #expect(quantizer.levels == (1 << Int32(bits)) - 1 && quantizer.bits == bits)
      #expect((0...quantizer.levels).contains(quantizer.zeroPoint))
      // Zero is represented exactly.
      #expect(approximation(0, quantizer) == 0)
      #expect(snapped.lower <= 0 && snapped.upper >= 0)
      #expect(snapped.lower == -Float(quantizer.zeroPoint) * quantizer.step)
      // The snapped range has the width of the range extended to zero, and differs from it by at most half a
      // step.
      let half = quantizer.step * 0.5001
      #expect(
        abs(snapped.lower - min(0, range.lower)) <= half && abs(snapped.upper - max(0, range.upper)) <= half)
      for _ in 0..<20 {
        let x = snapped.lower + (snapped.upper - snapped.lower) * random.uniform()
        #expect(abs(approximation(x, quantizer) - Double(x)) <= Double(quantizer.step) * 0.50001)
      }
      // Values outside the range are clipped to its ends.
      #expect(abs(approximation(snapped.upper + 5, quantizer) - Double(snapped.upper)) < 1e-5)
      #expect(abs(approximation(snapped.lower - 5, quantizer) - Double(snapped.lower)) < 1e-5)
    }
  }

  @Test func oneSidedRangesUseAllCodes() {
    let positive = ActivationQuantizer(range: .init(lower: 0.5, upper: 3), levels: 15)
    #expect(positive.zeroPoint == 0 && abs(positive.step - 0.2) < 1e-6)
    let negative = ActivationQuantizer(range: .init(lower: -3, upper: -1), levels: 15)
    #expect(negative.zeroPoint == 15 && abs(negative.step - 0.2) < 1e-6)
    let symmetric = ActivationQuantizer(range: .init(lower: -1, upper: 1), levels: 255)
    #expect((127...128).contains(symmetric.zeroPoint))
  }

  @Test func emptyRangesHaveAStep() {
    for range in [ClippingRange(lower: 0, upper: 0), .init(lower: 0x1p-133, upper: 0x1p-133)] {
      for bits in 2...8 {
        let quantizer = ActivationQuantizer(range: range, levels: Int32(1 << bits) - 1)
        #expect(quantizer.step > 0 && quantizer.zeroPoint == 0)
      }
    }
  }

  @Test func frameCodesAreSamples() {
    for code in 0...255 {
      let value = Float(code - 128) / 255
      #expect(
        Int32((value / ActivationQuantizer.frame.step).rounded()) + ActivationQuantizer.frame.zeroPoint
          == Int32(code))
    }
    #expect(ActivationQuantizer.frame.bits == 8)
  }
}

@Suite struct WeightQuantizerTests {
  private func error(_ weights: [Float], _ codes: [Int8], _ step: Float) -> Double {
    zip(weights, codes).reduce(0) { sum, pair in
      let difference = Double(pair.0) - Double(pair.1) * Double(step)
      return sum + difference * difference
    }
  }

  /// Returns the codes with the largest weight at the end of the range.
  private func minMaxError(_ weights: [Float], bits: Int) -> Double {
    let top = Float(1 << (bits - 1)) - 1
    let step = weights.map(abs).max()! / top
    return error(
      weights, weights.map { Int8(max(-top - 1, min(top, ($0 / step).rounded(.toNearestOrEven)))) }, step)
  }

  @Test(arguments: 2...8) func isNeverWorseThanScalingByTheLargest(_ bits: Int) {
    var random = SplitMix64(seed: UInt64(bits))
    let channels: [[Float]] = [
      (0..<90).map { _ in random.normal() }, (0..<90).map { _ in random.uniform(-1...1) },
      (0..<90).map { $0 == 40 ? 9 : random.normal() },
      (0..<90).map { $0 == 40 ? -9 : random.normal() * 1e-4 },
      (0..<90).map { _ in abs(random.normal()) },
    ]
    let (codes, steps) = WeightQuantizer()(channels.flatMap { $0 }, channels: 5, bits: bits)
    let range = -(1 << (bits - 1))...(1 << (bits - 1)) - 1
    #expect(codes.allSatisfy { range.contains(Int($0)) })
    #expect(steps.count == 5 && steps.allSatisfy { $0 > 0 })
    for (index, channel) in channels.enumerated() {
      let mine = error(channel, Array(codes[index * 90..<(index + 1) * 90]), steps[index])
      #expect(mine <= minMaxError(channel, bits: bits) * 1.000001, "channel \(index)")
      // Channels are independent of each other.
      let alone = WeightQuantizer()(channel, channels: 1, bits: bits)
      #expect(alone.codes == Array(codes[index * 90..<(index + 1) * 90]) && alone.steps == [steps[index]])
    }
    if bits <= 4 {
      let normal = error(channels[0], Array(codes[..<90]), steps[0])
      #expect(normal < 0.9 * minMaxError(channels[0], bits: bits), "clipping a tail pays at few bits")
    }
  }

  @Test(arguments: 2...8) func gridValuesAreUnchanged(_ bits: Int) {
    var random = SplitMix64(seed: 3)
    let top = (1 << (bits - 1)) - 1
    var wanted = (0..<60).map { _ in Int8(random.index(2 * top + 1) - top) }
    wanted[7] = Int8(top)
    let (codes, steps) = WeightQuantizer()(wanted.map { Float($0) * 0.25 }, channels: 1, bits: bits)
    #expect(error(wanted.map { Float($0) * 0.25 }, codes, steps[0]) < 1e-9)
  }

  static let grids = WeightGrid.allCases.flatMap { grid in grid.bits.map { (grid, $0) } }

  /// Every weight gets the nearest value of the grid, with a smaller error than if the largest weight were
  /// scaled to the last value.
  @Test(arguments: grids) func codesAreTheNearestOfTheGrid(_ grid: WeightGrid, _ bits: Int) {
    var random = SplitMix64(seed: UInt64(bits))
    let weights = (0..<90).map { _ in random.normal() }
    let values = grid.values(bits: bits)
    func nearest(_ weight: Float, _ step: Float) -> Int8 {
      values.min { abs(Float($0) * step - weight) < abs(Float($1) * step - weight) }!
    }
    #expect(values.count == 1 << bits && values == values.sorted())
    let (codes, steps) = WeightQuantizer()(weights, channels: 1, bits: bits, grid: grid)
    for (weight, code) in zip(weights, codes) {
      let distance = abs(Float(nearest(weight, steps[0])) * steps[0] - weight)
      #expect(values.contains(code) && abs(Float(code) * steps[0] - weight) <= distance + 1e-6)
    }
    let step = weights.map(abs).max()! / Float(values.last!)
    #expect(
      error(weights, codes, steps[0]) <= error(weights, weights.map { nearest($0, step) }, step) * 1.000001)
    let empty = WeightQuantizer()([0, 0, 0, 0], channels: 1, bits: bits, grid: grid)
    #expect(empty.codes.allSatisfy { values.contains($0) && abs(Float($0) * empty.steps[0]) < 1e-6 })
  }

  @Test func anEmptyChannelHasAStep() {
    let (codes, steps) = WeightQuantizer()([0, 0, 0, 1, -1, 0.5], channels: 2, bits: 4)
    #expect(codes[..<3].allSatisfy { $0 == 0 } && steps[0] > 0 && steps[1] > 0)
    #expect(codes[3] == -codes[4] || codes[3] == 7)
  }
}
