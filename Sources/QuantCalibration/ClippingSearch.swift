// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel

/// The result and cost of a search, for reports.
package struct ClippingSearchResult: Sendable, Hashable {
  /// The range found.
  package var range: ClippingRange
  /// Mean squared quantization error over the histogram with this range.
  package var error: Float
  /// Number of ranges evaluated.
  package var visits: Int
}

/// BMFQ's search for the clipping range of one tensor slot: a backtracking walk over a grid in the box spanned by
/// percentiles, pruned where the error is far above the best (PMQ-VE, arXiv 2505.12266, section 3.2, BTBI).
///
/// Details that the paper leaves open: a grid of 33 x 33 points spans the box; the walk is depth-first from the percentile
/// estimate with an explicit stack and four neighbours per point; a point is pruned if its error exceeds the best by more
/// than `tolerance` (relative). At 4 bits and above, the box extends to the extremes, where the best bounds often are.
package struct BacktrackingSearch: Sendable {
  /// Grid steps along each bound.
  package var gridSteps = 32
  /// The relative excess over the best error up to which a point is expanded.
  package var tolerance: Float = 0.02

  /// Defaults.
  package init() {}

  /// Finds the range of least squared error for quantizing the values in `histogram` to codes 0...levels.
  package func callAsFunction(_ histogram: ActivationHistogram, levels: Int32) -> ClippingSearchResult {
    let isWide = levels >= 15
    let low = (histogram.quantile(isWide ? 0 : 0.001), histogram.quantile(0.1))
    let high = (histogram.quantile(0.9), histogram.quantile(isWide ? 1 : 0.999))
    let values = histogram.occupied
    guard histogram.maximum > histogram.minimum, !values.isEmpty, high.1 > low.0 else {
      let range = ClippingRange(lower: min(0, histogram.minimum), upper: max(1e-6, histogram.maximum))
      return ClippingSearchResult(range: range, error: 0, visits: 0)
    }
    let total = Float(histogram.count)
    let side = gridSteps + 1
    func lower(_ i: Int) -> Float { low.0 + (low.1 - low.0) * Float(i) / Float(gridSteps) }
    func upper(_ j: Int) -> Float { high.0 + (high.1 - high.0) * Float(j) / Float(gridSteps) }
    var visited = [Bool](repeating: false, count: side * side)
    var best: ClippingSearchResult?
    var visits = 0
    // The box's outer corner clips least; at low bits, the optimum is usually at three quarters of the way.
    var stack = [(0, gridSteps), (gridSteps / 4, gridSteps * 3 / 4)]
    while let (i, j) = stack.popLast() {
      guard i >= 0, j >= 0, i < side, j < side, !visited[i * side + j] else { continue }
      visited[i * side + j] = true
      guard upper(j) > lower(i) else { continue }
      visits += 1
      let range = ClippingRange(lower: lower(i), upper: upper(j)).snapped(levels: levels)
      let error = Self.error(of: range, levels: levels, values: values) / total
      if let best, error > best.error * (1 + tolerance) { continue }
      if best.map({ error < $0.error }) ?? true {
        best = ClippingSearchResult(range: range, error: error, visits: visits)
      }
      stack.append(contentsOf: [(i - 1, j), (i + 1, j), (i, j + 1), (i, j - 1)])
    }
    var result = best!
    result.visits = visits
    return result
  }

  /// Sum of squared errors of quantizing `values` (weights by count) with a snapped range.
  static func error(of range: ClippingRange, levels: Int32, values: [(value: Float, weight: Float)]) -> Float
  {
    let quantizer = ActivationQuantizer(range: range, levels: levels)
    var sum: Float = 0
    for (value, weight) in values {
      let code = max(
        0, min(quantizer.levels, Int32((value / quantizer.step).rounded()) + quantizer.zeroPoint))
      let difference = Float(code - quantizer.zeroPoint) * quantizer.step - value
      sum += weight * difference * difference
    }
    return sum
  }
}

/// Quantizes a layer's weights with one step per output channel, of least squared error among `candidates` clipping points,
/// which are fractions of the channel's largest weight.
package struct WeightQuantizer: Sendable {
  /// Number of fractions to try, from 0.3 to 1.
  package var candidates = 71

  /// Defaults.
  package init() {}

  /// Computes codes of `grid`, and the steps by output channel.
  /// - Parameter weights: OIHW, `channels` output channels.
  package func callAsFunction(
    _ weights: [Float], channels: Int, bits: Int, grid: WeightGrid = .midTread
  ) -> (codes: [Int8], steps: [Float]) {
    let count = weights.count / channels
    let rounded = WeightRounding(grid, bits: bits)
    let greatest = rounded.limits.upperBound
    var codes = [Int8](repeating: 0, count: weights.count)
    var steps = [Float](repeating: 1, count: channels)
    for channel in 0..<channels {
      let slice = weights[channel * count..<(channel + 1) * count]
      let largest = slice.reduce(Float(0)) { max($0, abs($1)) }
      guard largest > 0 else {
        // A grid without zero represents zero weights with a negligible step.
        if !grid.values(bits: bits).contains(0) {
          steps[channel] = 1e-9
          for index in slice.indices { codes[index] = 1 }
        }
        continue
      }
      var best = Float.infinity
      for candidate in 0..<candidates {
        let step = largest * (0.3 + 0.7 * Float(candidate) / Float(candidates - 1)) / greatest
        let error = slice.reduce(Float(0)) { sum, weight in
          let difference = rounded(weight / step) * step - weight
          return sum + difference * difference
        }
        if error < best {
          best = error
          steps[channel] = step
        }
      }
      for index in slice.indices {
        codes[index] = Int8(rounded(weights[index] / steps[channel]))
      }
    }
    return (codes, steps)
  }
}
