// SPDX-License-Identifier: Apache-2.0
internal import VideoIO

/// A point in time or a length of time, as an exact fraction of seconds: `value / timescale`.
///
/// Comparisons are exact; `seconds` is for display and arithmetic that may be rounded.
public struct MediaTime: Sendable, Comparable, CustomStringConvertible {
  /// Number of ticks.
  public let value: Int64
  /// Ticks per second; positive.
  public let timescale: Int32

  /// Creates a time of `value / timescale` seconds.
  /// - Throws: `UsageError.timescale` if `timescale` is not positive.
  public init(value: Int64, timescale: Int32) throws(UsageError) {
    guard timescale > 0 else { throw .timescale(timescale) }
    self.init(ticks: value, of: timescale)
  }

  private init(ticks: Int64, of timescale: Int32) {
    value = ticks
    self.timescale = timescale
  }

  /// Creates a time from `ticks` of a time base; saturates at the limits of 64 bits.
  init(ticks: Int64, timeBase: Rational) {
    guard timeBase.isPositive else {
      self.init(ticks: 0, of: 1)
      return
    }
    let (product, overflow) = ticks.multipliedReportingOverflow(by: Int64(timeBase.numerator))
    self.init(ticks: overflow ? (ticks < 0 ? .min : .max) : product, of: timeBase.denominator)
  }

  /// Seconds per tick.
  var timeBase: Rational { Rational(1, timescale) }

  /// Returns the time in ticks of a time base, rounded to nearest.
  func ticks(of timeBase: Rational) -> Int64 { self.timeBase.rescale(value, to: timeBase) }

  /// The time in seconds, rounded to a `Double`.
  public var seconds: Double { Double(value) / Double(timescale) }

  /// Returns whether both times are equal, regardless of their timescales.
  public static func == (left: MediaTime, right: MediaTime) -> Bool {
    left.scaled(by: right.timescale) == right.scaled(by: left.timescale)
  }

  /// Returns whether `left` is earlier or shorter.
  public static func < (left: MediaTime, right: MediaTime) -> Bool {
    left.scaled(by: right.timescale) < right.scaled(by: left.timescale)
  }

  private func scaled(by factor: Int32) -> Product {
    let (high, low) = value.multipliedFullWidth(by: Int64(factor))
    return Product(high: high, low: low)
  }

  /// A product in 128 bits.
  private struct Product: Comparable {
    let high: Int64
    let low: UInt64
    static func < (left: Product, right: Product) -> Bool {
      (left.high, left.low) < (right.high, right.low)
    }
  }

  /// A description, such as `1001/24000 s`.
  public var description: String { "\(value)/\(timescale) s" }
}
