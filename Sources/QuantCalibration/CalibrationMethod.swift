// SPDX-License-Identifier: Apache-2.0
import EnhancementModel

/// A method of choosing a clipping range from an activation's histogram: BMFQ and the methods that the paper compares it with.
package enum CalibrationMethod: String, Sendable, CaseIterable, Codable {
  /// The extremes.
  case minmax
  /// The 0.1th and 99.9th percentile.
  case percentile
  /// Least squared error over reduced upper and lower bounds, each on its own grid of a hundred values.
  case mse
  /// 2DQuant's DOBI: least squared error while both bounds move towards each other in a hundred equal steps.
  case dobi
  /// DOBI for activations that start at zero: only the upper bound moves.
  case dobiOneSided = "dobi-one-sided"
  /// The paper's pruned, backtracking search (`BacktrackingSearch`).
  case bmfq

  /// Finds the range for quantizing the values in `histogram` to codes 0...levels.
  package func search(_ histogram: ActivationHistogram, levels: Int32) -> ClippingSearchResult {
    let (low, high) = (histogram.minimum, histogram.maximum)
    switch self {
    case .bmfq: return BacktrackingSearch()(histogram, levels: levels)
    case .minmax: return best(of: [(low, high)], histogram, levels: levels)
    case .percentile:
      return best(of: [(histogram.quantile(0.001), histogram.quantile(0.999))], histogram, levels: levels)
    case .dobi:
      let step = (high - low) / 200
      return best(
        of: (0..<100).map { (low + Float($0) * step, high - Float($0) * step) }, histogram, levels: levels)
    case .dobiOneSided:
      let step = (high - low) / 100
      return best(of: (0..<100).map { (low, high - Float($0) * step) }, histogram, levels: levels)
    case .mse:
      // One bound after the other: the error of a bound hardly depends on the other one.
      let uppers = (1...100).map { (low, high * Float($0) / 100) }
      let upper = best(of: uppers, histogram, levels: levels).range.upper
      let lowers = (0...100).map { (low * Float($0) / 100, upper) }
      var result = best(of: lowers, histogram, levels: levels)
      result.visits += uppers.count
      return result
    }
  }

  private func best(
    of candidates: [(Float, Float)], _ histogram: ActivationHistogram, levels: Int32
  ) -> ClippingSearchResult {
    let values = histogram.occupied
    let total = Float(max(1, histogram.count))
    var result: ClippingSearchResult?
    for (lower, upper) in candidates where upper > lower || result == nil {
      let range = ClippingRange(lower: lower, upper: max(upper, lower + 1e-6)).snapped(levels: levels)
      let error = BacktrackingSearch.error(of: range, levels: levels, values: values) / total
      if result.map({ error < $0.error }) ?? true {
        result = ClippingSearchResult(range: range, error: error, visits: candidates.count)
      }
    }
    return result!
  }
}
