// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// A fraction of two 32-bit integers: time bases (seconds per tick), frame rates, aspect ratios.
///
/// A denominator or numerator of zero means "unknown", as in FFmpeg.
package struct Rational: Sendable, Hashable, CustomStringConvertible {
  /// The upper number.
  package let numerator: Int32
  /// The lower number; zero in an unknown value.
  package let denominator: Int32

  /// Creates a fraction without reducing it.
  package init(_ numerator: Int32, _ denominator: Int32) {
    self.numerator = numerator
    self.denominator = denominator
  }

  init(_ value: AVRational) {
    self.init(value.num, value.den)
  }

  var libav: AVRational { AVRational(num: numerator, den: denominator) }

  /// Whether both numbers are positive.
  package var isPositive: Bool { numerator > 0 && denominator > 0 }

  /// The fraction as a floating-point number; 0 when unknown. For display, never for timelines.
  package var doubleValue: Double {
    denominator == 0 ? 0 : Double(numerator) / Double(denominator)
  }

  /// One divided by the fraction.
  package var inverse: Rational { Rational(denominator, numerator) }

  /// Converts `value` ticks of this time base to ticks of `other`, rounded to nearest, halves away from
  /// zero; returns `value` itself if a time base is unknown.
  ///
  /// The corresponding C function is `av_rescale_q`.
  package func rescale(_ value: Int64, to other: Rational) -> Int64 {
    guard isPositive, other.isPositive else { return value }
    return av_rescale_q(value, libav, other.libav)
  }

  /// `numerator/denominator`.
  package var description: String { "\(numerator)/\(denominator)" }
}
