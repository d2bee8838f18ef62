// SPDX-License-Identifier: Apache-2.0

/// SplitMix64 (Steele, Lea and Flood, 2014): a small seeded generator whose state is a single integer, which is easy to
/// store in a checkpoint.
package struct SplitMix64: RandomNumberGenerator, Sendable, Codable {
  /// The state; equal states yield equal sequences.
  package var state: UInt64

  /// Creates a generator from `seed`.
  package init(seed: UInt64) { state = seed }

  /// The next 64 bits.
  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// A uniform number in 0 ..< 1.
  package mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

  /// A uniform number in `range`.
  package mutating func uniform(_ range: ClosedRange<Float>) -> Float {
    range.lowerBound + (range.upperBound - range.lowerBound) * uniform()
  }

  /// An approximately standard normal number (the sum of twelve uniforms, bounded by six, which 8-bit noise never reaches).
  package mutating func normal() -> Float {
    var sum: Float = -6
    for _ in 0..<12 { sum += uniform() }
    return sum
  }

  /// An integer in 0 ..< count.
  package mutating func index(_ count: Int) -> Int { Int(next() % UInt64(count)) }

  /// True with `probability`.
  package mutating func chance(_ probability: Float) -> Bool { uniform() < probability }
}
