// SPDX-License-Identifier: Apache-2.0

/// The whole numbers that weights of some bits may be, in units of their channel's step.
public enum WeightGrid: String, Sendable, Codable, CaseIterable {
  /// -2^(bits-1) ... 2^(bits-1) - 1: zero is among them, and there is one more below it than above.
  case midTread = "mid-tread"
  /// The odd numbers from -(2^bits - 1) to 2^bits - 1: as many on either side, and no zero. Of four values that weights of 2
  /// bits can have none lies far from where weights are.
  case midRise = "mid-rise"

  /// The greatest one; fits a signed byte for all bits of mid-tread, and up to 7 of mid-rise.
  public func greatest(bits: Int) -> Int { self == .midTread ? 1 << (bits - 1) - 1 : 1 << bits - 1 }

  /// The one nearest to `value`.
  /// - Parameter greatest: `greatest(bits:)`, which loops need not compute again.
  @inline(__always)
  public func nearest(_ value: Float, greatest: Float) -> Float {
    switch self {
    case .midTread: max(-greatest - 1, min(greatest, roundToNearestEven(value)))
    case .midRise: max(-greatest, min(greatest, 2 * roundToNearestEven((value - 1) / 2) + 1))
    }
  }

  /// Values beyond are clipped: no gradient passes.
  public func limits(bits: Int) -> ClosedRange<Float> {
    let greatest = Float(greatest(bits: bits))
    return self == .midTread ? -greatest - 1...greatest : -greatest...greatest
  }

  /// As signed numbers of `bits` bits without gaps, which is how files hold them.
  func packed(_ codes: [Int8], bits: Int) -> [UInt8] {
    BitPacking.pack(self == .midTread ? codes : codes.map { ($0 - 1) / 2 }, bits: bits)
  }

  /// The opposite of `packed`.
  func unpacked(_ bytes: [UInt8], count: Int, bits: Int) -> [Int8] {
    let codes = BitPacking.unpack(bytes, count: count, bits: bits)
    return self == .midTread ? codes : codes.map { 2 * $0 + 1 }
  }
}

/// Rounds to the nearest whole number, ties to even, for magnitudes below 2^22: adding and subtracting 1.5 x 2^23 leaves
/// no room for a fraction. (`rounded(.toNearestOrEven)` is a library call where the baseline has no rounding instruction.)
@inline(__always)
public func roundToNearestEven(_ value: Float) -> Float {
  let limited = max(-0x1p22, min(0x1p22, value))
  return (limited + 0x1.8p23) - 0x1.8p23
}
