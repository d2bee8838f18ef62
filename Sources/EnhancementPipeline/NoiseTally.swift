// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Foundation

/// How often denoising removed noise of each level.
package struct NoiseTally: Sendable, Equatable {
  /// Number of frames by `NoiseLevel.code`.
  private var counts: [UInt8: Int] = [:]

  /// Creates an empty tally.
  package init() {}

  /// Counts a frame.
  package mutating func add(code: UInt8) { counts[code, default: 0] += 1 }

  /// Adds the counts of another tally.
  package mutating func add(_ other: NoiseTally) { counts.merge(other.counts, uniquingKeysWith: +) }

  /// The lowest, median and highest level; nil without frames.
  package var levels: (lowest: Float, median: Float, highest: Float)? {
    let codes = counts.sorted { $0.key < $1.key }
    guard let first = codes.first, let last = codes.last else { return nil }
    let middle = codes.reduce(0) { $0 + $1.value } / 2
    var passed = 0
    let median = codes.first {
      passed += $0.value
      return passed > middle
    }
    return (
      NoiseLevel.level(ofCode: first.key), NoiseLevel.level(ofCode: (median ?? last).key),
      NoiseLevel.level(ofCode: last.key)
    )
  }

  /// The levels in words, such as `level 4.0 (lowest 3.5, highest 4.5)`; nil without frames.
  package var text: String? {
    levels.map {
      String(format: "level %.1f (lowest %.1f, highest %.1f)", $0.median, $0.lowest, $0.highest)
    }
  }
}
