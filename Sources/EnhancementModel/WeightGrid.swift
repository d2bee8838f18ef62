// SPDX-License-Identifier: Apache-2.0

/// The set of integer values of weights with a given number of bits, in units of the channel's step.
package enum WeightGrid: String, Sendable, Codable, CaseIterable {
  /// -2^(bits-1) ... 2^(bits-1) - 1: includes zero, with one more value below it than above.
  case midTread = "mid-tread"
  /// The odd numbers from -(2^bits - 1) to 2^bits - 1: symmetric, without zero. At 2 bits, all four values are close to where
  /// weights are.
  case midRise = "mid-rise"
  /// Nonuniform: dense where most weights are, with a few larger values, as far as Winograd stays exact for any weights:
  /// transformed weights of F(2x4, 3x3) at 3 and 2 bits are up to 21 x 6 = 126, those of F(2x2, 3x3) at 4 bits 9 x 14 = 126.
  /// Of all such sets, this is the one of least squared error on the shipped networks' weights (docs/lab/quantization.md).
  case spread

  /// The numbers of bits for which the grid is defined.
  package var bits: ClosedRange<Int> {
    switch self {
    case .midTread: 2...8
    case .midRise: 2...6
    case .spread: 2...4
    }
  }

  /// All values in ascending order.
  package func values(bits: Int) -> [Int8] {
    let half = 1 << (bits - 1)
    switch self {
    case .midTread: return (-half..<half).map { Int8($0) }
    case .midRise: return (-half..<half).map { Int8(2 * $0 + 1) }
    case .spread:
      switch bits {
      case 2: return [-4, -1, 1, 4]
      case 3: return [-6, -4, -2, -1, 0, 1, 2, 4]
      default: return [-14, -10, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 9, 14]
      }
    }
  }

  /// The greatest magnitude that a kernel must support; negative values may exceed it by one.
  package func greatest(bits: Int) -> Int {
    let values = values(bits: bits)
    return max(Int(values.last!), -Int(values[0]) - 1)
  }

  /// The packed form of codes in files: indices into `values` minus half their count, as signed numbers of `bits` bits.
  func packed(_ codes: [Int8], bits: Int) -> [UInt8] {
    if self == .midTread { return BitPacking.pack(codes, bits: bits) }
    let values = values(bits: bits)
    let half = values.count / 2
    return BitPacking.pack(codes.map { Int8(values.firstIndex(of: $0)! - half) }, bits: bits)
  }

  /// The inverse of `packed`.
  func unpacked(_ bytes: [UInt8], count: Int, bits: Int) -> [Int8] {
    let places = BitPacking.unpack(bytes, count: count, bits: bits)
    if self == .midTread { return places }
    let values = values(bits: bits)
    return places.map { values[Int($0) + values.count / 2] }
  }
}

/// Rounds to the nearest value of a grid.
package struct WeightRounding: Sendable {
  /// Values outside are clipped and pass no gradient.
  package let limits: ClosedRange<Float>
  /// For uniform grids: the spacing of values, and their offset from its multiples.
  private let spacing, offset: Float
  /// For other grids: the values, and the midpoints between adjacent ones.
  private let values, middles: [Float]

  /// Creates a rounding to a grid of `bits` bits.
  package init(_ grid: WeightGrid, bits: Int) {
    let all = grid.values(bits: bits).map(Float.init)
    limits = all[0]...all.last!
    spacing = grid == .midRise ? 2 : 1
    offset = grid == .midRise ? 1 : 0
    values = grid == .spread ? all : []
    middles = zip(values, values.dropFirst()).map { ($0 + $1) / 2 }
  }

  /// The value nearest to `value`.
  @inline(__always)
  package func callAsFunction(_ value: Float) -> Float {
    if values.isEmpty {
      let rounded = spacing * roundToNearestEven((value - offset) / spacing) + offset
      return max(limits.lowerBound, min(limits.upperBound, rounded))
    }
    var place = 0
    for middle in middles { place += value > middle ? 1 : 0 }
    return values[place]
  }
}

/// Rounds to the nearest integer, ties to even, for magnitudes below 2^22: adding and subtracting 1.5 x 2^23 discards
/// the fraction. (`rounded(.toNearestOrEven)` is a library call where the baseline has no rounding instruction.)
@inline(__always)
package func roundToNearestEven(_ value: Float) -> Float {
  let limited = max(-0x1p22, min(0x1p22, value))
  return (limited + 0x1.8p23) - 0x1.8p23
}
