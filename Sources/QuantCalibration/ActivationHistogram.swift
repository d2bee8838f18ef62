// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Kernels

/// A histogram of an activation tensor's values with a fixed number of bins, collected in one pass over any number of tensors
/// in constant memory (raw tensors are not stored).
///
/// The range doubles, and bins merge in pairs, whenever a value falls outside. Exact zeros are counted separately: after
/// ReLU, they are by far the most frequent value, every quantizer represents them exactly, and no bin's centre is zero.
package struct ActivationHistogram: Sendable {
  /// Number of bins.
  package static let binCount = 2048

  /// Minimum and maximum of all values and zero; (0, 0) before the first value.
  package private(set) var minimum: Float = 0
  /// See `minimum`.
  package private(set) var maximum: Float = 0
  /// Number of exact zeros.
  package private(set) var zeros: Int = 0
  /// Number of values per bin.
  package private(set) var bins: [Int]
  /// Bins cover `-halfSpan` to `halfSpan`.
  package private(set) var halfSpan: Float = 0

  /// Creates an empty histogram.
  package init() { bins = Array(repeating: 0, count: Self.binCount) }

  /// Total number of values.
  package var count: Int { zeros + bins.reduce(0, +) }
  /// Width of a bin.
  package var binWidth: Float { 2 * halfSpan / Float(Self.binCount) }
  /// Value at the middle of bin `index`.
  package func centre(_ index: Int) -> Float { (Float(index) + 0.5) * binWidth - halfSpan }

  /// Counts values, each replaced by max(value, floor) first (floor 0 rectifies). Skips tensors that contain a NaN or a number
  /// beyond 1e30: they would cause endless doubling, and calibration of such a network is meaningless anyway.
  /// - Parameter threads: number of threads; the result does not depend on it.
  /// - Returns: the greatest magnitude before the floor.
  @discardableResult
  package mutating func add(_ values: UnsafeBufferPointer<Float>, floor: Float, threads: Int = 1) -> Float {
    let parts = Self.parts(values, threads)
    let extremes = Self.concurrently(parts, Self.extremes)
    let low = extremes.reduce(0) { min($0, $1.low) }
    let high = extremes.reduce(0) { max($0, $1.high) }
    let peak = max(high, -low)
    guard extremes.allSatisfy(\.isSane), peak < 1e30 else { return peak }
    minimum = min(minimum, max(low, min(floor, 0)))
    maximum = max(maximum, high)
    reserve(max(high, -max(low, min(floor, 0))))
    guard halfSpan > 0 else {
      zeros += values.count
      return peak
    }
    let halfSpan = halfSpan
    for part in Self.concurrently(parts, { Self.counts($0, floor: floor, halfSpan: halfSpan) }) {
      zeros += part.zeros
      for index in bins.indices { bins[index] += Int(part.bins[index]) }
    }
    return peak
  }

  private static func parts(_ values: UnsafeBufferPointer<Float>, _ threads: Int) -> [UnsafeBufferPointer<
    Float
  >] {
    // Counting a few thousand values takes less time than waking up another thread.
    let count = max(1, min(threads, values.count / 16_384))
    return (0..<count).map {
      UnsafeBufferPointer(rebasing: values[values.count * $0 / count..<values.count * ($0 + 1) / count])
    }
  }

  private static func concurrently<R>(
    _ parts: [UnsafeBufferPointer<Float>], _ body: (UnsafeBufferPointer<Float>) -> R
  ) -> [R] {
    Parallel.map(parts.count, threads: parts.count) { body(parts[$0]) }
  }

  /// Minimum and maximum of all values and zero, and whether all values are finite.
  private static func extremes(_ values: UnsafeBufferPointer<Float>) -> (
    low: Float, high: Float, isSane: Bool
  ) {
    var low = SIMD8<Float>(repeating: 0)
    var high = low
    var check = low
    let whole = values.count / 8 * 8
    for index in stride(from: 0, to: whole, by: 8) {
      let v = UnsafeRawPointer(values.baseAddress! + index).loadUnaligned(as: SIMD8<Float>.self)
      low.replace(with: v, where: v .< low)
      high.replace(with: v, where: v .> high)
      // Multiplied by zero, infinities and NaN become NaN.
      check += v * 0
    }
    var (least, greatest, sum) = (low.min(), high.max(), check.sum())
    for value in values[whole...] {
      least = min(least, value)
      greatest = max(greatest, value)
      sum += value * 0
    }
    return (least, greatest, sum == 0)
  }

  private static func counts(
    _ values: UnsafeBufferPointer<Float>, floor: Float, halfSpan: Float
  ) -> (zeros: Int, bins: [UInt32]) {
    let scale = Float(binCount) / (2 * halfSpan)
    let last = Int32(binCount - 1)
    var zeros = 0
    var bins = [UInt32](repeating: 0, count: binCount)
    bins.withUnsafeMutableBufferPointer { bins in
      for value in values {
        let v = max(value, floor)
        if v == 0 {
          zeros += 1
        } else {
          bins[Int(min(last, max(0, Int32((v + halfSpan) * scale))))] &+= 1
        }
      }
    }
    return (zeros, bins)
  }

  /// Adds the counts of another histogram, with its values at the centres of its bins.
  package mutating func add(_ other: ActivationHistogram) {
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
      // Double the span: old bins 2k and 2k + 1 merge into one new bin in the middle half.
      var merged = [Int](repeating: 0, count: Self.binCount)
      for index in 0..<Self.binCount { merged[Self.binCount / 4 + index / 2] += bins[index] }
      bins = merged
      halfSpan *= 2
    }
  }

  /// The value below which `fraction` (0...1) of all values lie; 0 and 1 return the exact extremes. Monotonic in
  /// `fraction`.
  package func quantile(_ fraction: Double) -> Float {
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
        // Relative to the middle, so that rounding cannot cross zero or a bin boundary.
        return min(maximum, max(minimum, (Float(index - middle) + within) * binWidth))
      }
      below += here
    }
    return maximum
  }

  /// Nonempty bins as value and weight, without zeros.
  var occupied: [(value: Float, weight: Float)] {
    bins.indices.compactMap { bins[$0] == 0 ? nil : (centre($0), Float(bins[$0])) }
  }
}
