// SPDX-License-Identifier: Apache-2.0
import QuantCalibration
import Tensors
import Testing

@Suite struct ActivationHistogramTests {
  private func histogram(_ parts: [[Float]], floor: Float = -.infinity) -> ActivationHistogram {
    var result = ActivationHistogram()
    for part in parts { _ = part.withUnsafeBufferPointer { result.add($0, floor: floor) } }
    return result
  }

  private func normals(_ count: Int, seed: UInt64, scale: Float = 1) -> [Float] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in scale * random.normal() }
  }

  /// Counts the values below each bin's edge directly; values on an edge may be on either side.
  private func expectTrueCounts(_ histogram: ActivationHistogram, _ values: [Float]) {
    let sorted = values.filter { $0 != 0 }.sorted()
    #expect(histogram.count == values.count)
    #expect(histogram.zeros == values.count - sorted.count)
    var below = 0
    var (low, high) = (0, 0)
    let blur = histogram.binWidth * 1e-3
    for index in 0..<ActivationHistogram.binCount - 1 {
      below += histogram.bins[index]
      let edge = Float(index + 1) * histogram.binWidth - histogram.halfSpan
      while low < sorted.count && sorted[low] < edge - blur { low += 1 }
      while high < sorted.count && sorted[high] <= edge + blur { high += 1 }
      #expect((low...high).contains(below), "bin \(index)")
    }
  }

  @Test func countsEveryValueInItsBin() {
    let values = normals(5000, seed: 1) + [Float](repeating: 0, count: 300) + [-0.0]
    let histogram = histogram([values])
    expectTrueCounts(histogram, values)
    #expect(histogram.zeros == 301)
    #expect(histogram.minimum == values.min() && histogram.maximum == values.max())
    #expect(histogram.halfSpan == values.map(abs).max())
  }

  @Test func doublingKeepsCounts() {
    // Each part has a larger range than those before: one doubling, none, several at once, several on the
    // other side.
    let parts = [
      normals(2000, seed: 1), normals(2000, seed: 2, scale: 2), normals(1000, seed: 3, scale: 0.1),
      normals(500, seed: 4, scale: 40), [-1000], [0, 0, 1e-30],
    ]
    var grown = ActivationHistogram()
    var seen: [Float] = []
    var spans: [Float] = []
    for part in parts {
      _ = part.withUnsafeBufferPointer { grown.add($0, floor: -.infinity) }
      seen += part
      spans.append(grown.halfSpan)
      expectTrueCounts(grown, seen)
    }
    #expect(grown.minimum == -1000 && grown.maximum == seen.max())
    // Spans are powers of two, so bins merge in pairs.
    for (a, b) in zip(spans, spans.dropFirst()) {
      let ratio = b / a
      #expect(ratio >= 1 && ratio.significand == 1)
    }
    #expect(spans[1] > spans[0] && spans[2] == spans[1] && spans[3] >= 4 * spans[2] && spans[4] >= 1000)
  }

  @Test(arguments: [-Float.infinity, 0]) func resultDoesNotDependOnThreads(floor: Float) {
    let values = normals(70_001, seed: 8) + [Float](repeating: 0, count: 33)
    let alone = histogram([values], floor: floor)
    var shared = ActivationHistogram()
    let peak = values.withUnsafeBufferPointer { shared.add($0, floor: floor, threads: 3) }
    #expect(peak == values.map(abs).max())
    #expect(shared.bins == alone.bins && shared.zeros == alone.zeros)
    #expect(shared.minimum == alone.minimum && shared.maximum == alone.maximum)
    expectTrueCounts(shared, values.map { max($0, floor) })
  }

  @Test func flooringRectifies() {
    let values = normals(4000, seed: 5)
    let rectified = histogram([values], floor: 0)
    expectTrueCounts(rectified, values.map { max($0, 0) })
    #expect(rectified.minimum == 0)
    #expect(rectified.bins[..<1024].allSatisfy { $0 == 0 })
  }

  @Test(arguments: [0.0, 0.3, 0.7]) func quantilesAgreeWithSorting(_ zeroShare: Float) {
    var random = SplitMix64(seed: 6)
    for parts in [[1, 1, 1], [0.2, 1, 3]] as [[Float]] {
      let values = parts.map { scale in
        normals(3000, seed: 7, scale: scale).map { random.chance(zeroShare) ? 0 : $0 + 0.3 * scale }
      }
      let histogram = histogram(values)
      let sorted = values.joined().sorted()
      for fraction in [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999] {
        let at = Double(sorted.count) * fraction
        // The range between the neighbouring values, extended by a bin.
        let low = sorted[max(0, Int(at) - 2)] - histogram.binWidth
        let high = sorted[min(sorted.count - 1, Int(at) + 2)] + histogram.binWidth
        let found = histogram.quantile(fraction)
        #expect(found >= low && found <= high, "\(fraction): \(found) outside \(low) ... \(high)")
      }
      #expect(histogram.quantile(0) == sorted.first && histogram.quantile(-1) == sorted.first)
      #expect(histogram.quantile(1) == sorted.last && histogram.quantile(2) == sorted.last)
    }
  }

  @Test func quantilesAreMonotonic() {
    let histogram = histogram([normals(300, seed: 8), [Float](repeating: 0, count: 200)])
    let quantiles = (0...1000).map { histogram.quantile(Double($0) / 1000) }
    #expect(zip(quantiles, quantiles.dropFirst()).allSatisfy { $0 <= $1 })
    // Two fifths of the values are exactly zero.
    #expect(quantiles.count { $0 == 0 } >= 380)
  }

  @Test func histogramOfZeros() {
    for histogram in [
      histogram([]), histogram([[]]), histogram([[0, 0, -0.0]]), histogram([[-1, -2]], floor: 0),
    ] {
      #expect(histogram.count == histogram.zeros)
      #expect(histogram.minimum == 0 && histogram.maximum == 0)
      for fraction in [0, 0.001, 0.5, 1] { #expect(histogram.quantile(fraction) == 0) }
    }
  }

  @Test func nanIsIgnored() {
    var histogram = histogram([[1, -1]])
    for bad in [Float.nan, .infinity, -.infinity, .signalingNaN, 3e38, -1e38] {
      for values in [[bad], [0.5, bad], [bad, 0.5], [0.5, bad, 0.25]] {
        for floor in [0, -Float.infinity] {
          let before = histogram.count
          _ = values.withUnsafeBufferPointer { histogram.add($0, floor: floor) }
          // Negative values become zero, like any other zero.
          if !(bad < 0 && floor == 0) { #expect(histogram.count == before) }
        }
      }
    }
    #expect(histogram.halfSpan == 1 && histogram.minimum == -1 && histogram.maximum == 1)
  }

  @Test func tinyNumbersAreCounted() {
    for tiny in [Float.leastNonzeroMagnitude, 0x1p-140, 0x1p-127, 1e-31] {
      let values = [tiny, -tiny, 0, tiny]
      let histogram = histogram([values])
      #expect(histogram.count == 4 && histogram.zeros == 1)
      #expect(histogram.bins[..<1024].reduce(0, +) == 1 || tiny < 1e-33)
      #expect(histogram.quantile(1) == tiny && histogram.quantile(0) == -tiny)
    }
  }
}
