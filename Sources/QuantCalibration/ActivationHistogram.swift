// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Kernels

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
  /// - Parameter threads: how many count side by side; the result does not depend on it.
  /// - Returns: the greatest magnitude before the floor.
  @discardableResult
  public mutating func add(_ values: UnsafeBufferPointer<Float>, floor: Float, threads: Int = 1) -> Float {
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
    // A few thousand values are counted before another thread has woken up.
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

  /// Least and greatest value, zero among them, and whether all are numbers.
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
      // Times zero: zero, or NaN for infinities and NaN.
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
