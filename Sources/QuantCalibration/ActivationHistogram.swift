// SPDX-License-Identifier: Apache-2.0

/// The distribution of an activation tensor's values in a fixed number of bins, gathered in one pass over any number of
/// tensors: memory does not grow with the clips (raw tensors are never kept).
///
/// The range doubles, and bins merge in pairs, whenever a value falls outside. Exact zeros are counted apart: after ReLU
/// they are the most frequent value by far, every quantizer represents them exactly, and a bin's centre is not zero.
public struct ActivationHistogram: Sendable {
  /// Number of bins.
  public static let binCount = 2048

  /// Least and greatest value seen; zero counts. (0, 0) before the first.
  public private(set) var minimum: Float = 0
  /// See `minimum`.
  public private(set) var maximum: Float = 0
  /// Exact zeros seen.
  public private(set) var zeros: Int = 0
  /// Values in each bin.
  public private(set) var bins: [Int]
  /// Bins lie side by side from `-halfSpan` to `halfSpan`.
  public private(set) var halfSpan: Float = 0

  /// An empty histogram.
  public init() { bins = Array(repeating: 0, count: Self.binCount) }

  /// Number of values seen.
  public var count: Int { zeros + bins.reduce(0, +) }
  /// Width of a bin.
  public var binWidth: Float { 2 * halfSpan / Float(Self.binCount) }
  /// Value at the middle of bin `index`.
  public func centre(_ index: Int) -> Float { (Float(index) + 0.5) * binWidth - halfSpan }

  /// Counts values, each replaced by max(value, floor) first (floor 0 rectifies). A tensor with a NaN or a number beyond 1e30
  /// in it is left out: it would ask for endless doubling, and calibration of such a network is meaningless anyway.
  public mutating func add(_ values: UnsafeBufferPointer<Float>, floor: Float) {
    var low: Float = 0
    var high: Float = 0
    var isSane = true
    for value in values {
      let v = max(value, floor)
      isSane = isSane && abs(v) < 1e30
      low = min(low, v)
      high = max(high, v)
    }
    guard isSane else { return }
    minimum = min(minimum, low)
    maximum = max(maximum, high)
    reserve(max(high, -low))
    guard halfSpan > 0 else {
      zeros += values.count
      return
    }
    let scale = Float(Self.binCount) / (2 * halfSpan)
    let last = Self.binCount - 1
    var zeros = 0
    bins.withUnsafeMutableBufferPointer { bins in
      for value in values {
        let v = max(value, floor)
        if v == 0 {
          zeros += 1
        } else {
          bins[min(last, max(0, Int((v + halfSpan) * scale)))] += 1
        }
      }
    }
    self.zeros += zeros
  }

  /// Adds what another histogram has counted, its values taken for the middles of its bins.
  public mutating func add(_ other: ActivationHistogram) {
    minimum = min(minimum, other.minimum)
    maximum = max(maximum, other.maximum)
    zeros += other.zeros
    guard other.halfSpan > 0 else { return }
    reserve(other.halfSpan)
    let scale = Float(Self.binCount) / (2 * halfSpan)
    for index in other.bins.indices where other.bins[index] > 0 {
      bins[min(Self.binCount - 1, max(0, Int((other.centre(index) + halfSpan) * scale)))] += other.bins[index]
    }
  }

  private mutating func reserve(_ magnitude: Float) {
    guard magnitude > 0 else { return }
    if halfSpan == 0 {
      halfSpan = max(magnitude, 1e-30)
      return
    }
    while halfSpan < magnitude {
      // Twice the span: old bins 2k and 2k + 1 fall into one new bin in the middle half.
      var merged = [Int](repeating: 0, count: Self.binCount)
      for index in 0..<Self.binCount { merged[Self.binCount / 4 + index / 2] += bins[index] }
      bins = merged
      halfSpan *= 2
    }
  }

  /// The value below which `fraction` (0...1) of all values lie; 0 and 1 give the exact extremes. Never falls as
  /// `fraction` rises.
  public func quantile(_ fraction: Double) -> Float {
    if fraction <= 0 { return minimum }
    if fraction >= 1 { return maximum }
    let wanted = fraction * Double(count)
    var below = 0.0
    let middle = Self.binCount / 2
    for index in 0..<Self.binCount {
      if index == middle {
        if below + Double(zeros) >= wanted { return 0 }
        below += Double(zeros)
      }
      let here = Double(bins[index])
      if below + here >= wanted, here > 0 {
        let within = Float((wanted - below) / here)
        // Counted from the middle, so that no rounding carries it over zero or a neighbouring bin.
        return min(maximum, max(minimum, (Float(index - middle) + within) * binWidth))
      }
      below += here
    }
    return maximum
  }

  /// Bins that hold anything, as value and weight, zeros left out.
  var occupied: [(value: Float, weight: Float)] {
    bins.indices.compactMap { bins[$0] == 0 ? nil : (centre($0), Float(bins[$0])) }
  }
}
