// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import Testing

@testable import QuantCalibration

@Suite struct BacktrackingSearchTests {
  enum Distribution: CaseIterable, Sendable {
    case halfNormal, normal, laplace, rectifiedLaplace, uniform, bimodal, outliers, sparse

    func values(_ count: Int) -> [Float] {
      var random = SplitMix64(seed: 17)
      func laplace() -> Float {
        let u = random.uniform(-0.4999...0.4999)
        return (u < 0 ? 1 : -1) * Self.log(1 - 2 * abs(u))
      }
      return (0..<count).map { index in
        switch self {
        case .halfNormal: abs(random.normal())
        case .normal: random.normal() + 0.3
        case .laplace: laplace()
        case .rectifiedLaplace: max(0, laplace())
        case .uniform: random.uniform(-1...1)
        case .bimodal: (random.chance(0.3) ? -2 : 3) + 0.4 * random.normal()
        case .outliers: index % 1000 == 0 ? random.uniform(-40...60) : random.normal()
        case .sparse: random.chance(0.8) ? 0 : abs(random.normal())
        }
      }
    }

    /// Returns the natural logarithm of a positive number without Foundation, by halving and a series.
    private static func log(_ x: Float) -> Float {
      let m = Double(x.significand)
      let t = (m - 1) / (m + 1)
      var (sum, power) = (0.0, t)
      for k in stride(from: 1, to: 40, by: 2) {
        sum += power / Double(k)
        power *= t * t
      }
      return Float(2 * sum + Double(x.exponent) * 0.6931471805599453)
    }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var distribution: Distribution
    var bits: Int
    var testDescription: String { "\(distribution), \(bits) bits" }
  }

  static let cases = Distribution.allCases.flatMap { distribution in
    [8, 6, 4, 3, 2].map { Case(distribution: distribution, bits: $0) }
  }

  private func histogram(_ values: [Float]) -> ActivationHistogram {
    var result = ActivationHistogram()
    _ = values.withUnsafeBufferPointer { result.add($0, floor: -.infinity) }
    return result
  }

  /// Returns the mean squared error of quantizing the values themselves.
  private func trueError(_ values: [Float], _ range: ClippingRange, bits: Int) -> Double {
    let quantizer = ActivationQuantizer(range: range, levels: Int32(1 << bits) - 1)
    let (step, zero) = (Double(quantizer.step), Double(quantizer.zeroPoint))
    let sum = values.reduce(0.0) { sum, value in
      let code = max(0, min(Double(quantizer.levels), (Double(value) / step).rounded() + zero))
      let difference = (code - zero) * step - Double(value)
      return sum + difference * difference
    }
    return sum / Double(values.count)
  }

  /// Returns the error at a point of the search's grid, on the search's histogram.
  private func gridError(_ histogram: ActivationHistogram, bits: Int, _ i: Int, _ j: Int) -> Float? {
    let isWide = bits >= 4
    let low = (histogram.quantile(isWide ? 0 : 0.001), histogram.quantile(0.1))
    let high = (histogram.quantile(0.9), histogram.quantile(isWide ? 1 : 0.999))
    let lower = low.0 + (low.1 - low.0) * Float(i) / 32
    let upper = high.0 + (high.1 - high.0) * Float(j) / 32
    guard upper > lower else { return nil }
    let range = ClippingRange(lower: lower, upper: upper).snapped(levels: Int32(1 << bits) - 1)
    return BacktrackingSearch.error(of: range, levels: Int32(1 << bits) - 1, values: histogram.occupied)
      / Float(histogram.count)
  }

  @Test(arguments: cases) func isAsGoodAsFullGridSearch(_ item: Case) throws {
    let histogram = histogram(item.distribution.values(20_000))
    let found = BacktrackingSearch()(histogram, levels: Int32(1 << item.bits) - 1)
    var best = Float.infinity
    for i in 0...32 {
      for j in 0...32 { best = min(best, gridError(histogram, bits: item.bits, i, j) ?? .infinity) }
    }
    #expect(best > 0 && best.isFinite)
    #expect(found.error <= best * 1.02, "\(found.error) against \(best)")
    #expect(found.error >= best * 0.9999)
    #expect(found.visits > 10 && found.visits < 33 * 33, "\(found.visits) visits")
    // Never worse than the starting point.
    for (i, j) in [(0, 32), (8, 24)] {
      let start = try #require(gridError(histogram, bits: item.bits, i, j))
      #expect(found.error <= start)
    }
  }

  @Test(arguments: cases) func rangesRepresentZeroExactly(_ item: Case) {
    let values = item.distribution.values(20_000)
    let range = BacktrackingSearch()(histogram(values), levels: Int32(1 << item.bits) - 1).range
    let quantizer = ActivationQuantizer(range: range, levels: Int32(1 << item.bits) - 1)
    #expect(range.lower <= 0 && range.upper >= 0 && range.upper > range.lower)
    #expect(
      abs(range.lower + Float(quantizer.zeroPoint) * quantizer.step) <= 1e-5 * (range.upper - range.lower))
    if values.min()! >= 0 { #expect(range.lower == 0 && quantizer.zeroPoint == 0) }
  }

  /// Errors on the histogram match those on the values.
  @Test(arguments: cases) func errorsMatchTheValues(_ item: Case) {
    let values = item.distribution.values(20_000)
    let found = BacktrackingSearch()(histogram(values), levels: Int32(1 << item.bits) - 1)
    let exact = trueError(values, found.range, bits: item.bits)
    #expect(
      Double(found.error) < 1.1 * exact && Double(found.error) > 0.9 * exact,
      "\(found.error) against \(exact)")
  }

  @Test(arguments: [Distribution.laplace, .rectifiedLaplace, .outliers]) func heavyTailsAreClipped(
    _ d: Distribution
  ) {
    let values = d.values(20_000)
    let histogram = histogram(values)
    let minMax = ClippingRange(lower: values.min()!, upper: values.max()!).snapped(levels: 15)
    let found = BacktrackingSearch()(histogram, levels: 15)
    #expect(trueError(values, found.range, bits: 4) < 0.75 * trueError(values, minMax, bits: 4))
  }

  /// At 8 bits, clipping gains little: the search must not be worse than the extremes.
  @Test(arguments: Distribution.allCases) func wideCodesKeepTheExtremes(_ d: Distribution) {
    let values = d.values(20_000)
    let minMax = ClippingRange(lower: min(0, values.min()!), upper: values.max()!).snapped(levels: 255)
    let found = BacktrackingSearch()(histogram(values), levels: 255)
    #expect(trueError(values, found.range, bits: 8) <= 1.05 * trueError(values, minMax, bits: 8))
  }

  @Test func moreCodesLeaveLessError() {
    for distribution in Distribution.allCases {
      let histogram = histogram(distribution.values(20_000))
      let errors = [3, 7, 12, 15, 63, 255].map { BacktrackingSearch()(histogram, levels: $0).error }
      #expect(zip(errors, errors.dropFirst()).allSatisfy { $0 > $1 }, "\(distribution): \(errors)")
    }
  }

  @Test func degenerateHistogramsHaveARange() {
    for values in [[], [0, 0], [3], [-3], [5, 5, 5], [-2, -2, 1e-20]] as [[Float]] {
      for bits in [2, 4, 8] {
        let range = BacktrackingSearch()(histogram(values), levels: Int32(1 << bits) - 1).range
        #expect(range.lower.isFinite && range.upper.isFinite && range.lower <= 0 && range.upper >= 0)
        let quantizer = ActivationQuantizer(range: range, levels: Int32(1 << bits) - 1)
        #expect(quantizer.step > 0)
        for value in values where abs(value) > 1 {
          #expect(trueError([value], range, bits: bits) <= Double(quantizer.step * quantizer.step) * 0.26)
        }
      }
    }
  }
}
