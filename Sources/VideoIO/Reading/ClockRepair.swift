// SPDX-License-Identifier: Apache-2.0

/// Makes one clock of a transport stream's clock that jumps, as it does where recordings are joined.
///
/// A jump of one stream of picture or sound moves all streams alike, so sound stays with the picture.
package struct ClockRepair: Sendable {
  /// Where each stream is expected to go on, in microseconds.
  private var expected: [Int: Int64] = [:]
  /// What is added to all times, in microseconds.
  package private(set) var offset: Int64 = 0
  /// How often the clock jumped.
  package private(set) var jumpCount = 0

  /// Jumps ahead of more than this are closed, in microseconds; it is the ffmpeg program's choice too.
  private static let ahead: Int64 = 10_000_000
  /// Jumps back of more than this are closed.
  private static let back: Int64 = 500_000

  package init() {}

  /// What to add to the times of a packet, in microseconds.
  /// - Parameters:
  ///   - stream: its stream's index.
  ///   - time: its decoding time in microseconds.
  ///   - duration: its duration in microseconds; 0 if unknown.
  package mutating func correction(stream: Int, time: Int64, duration: Int64) -> Int64 {
    let limit: Int64 = 1 << 60
    guard abs(time.clamped) < limit else { return offset }
    var moved = time + offset
    if let next = expected[stream] {
      let jump = moved - next
      if jump > Self.ahead || jump < -Self.back {
        offset -= jump
        moved = next
        jumpCount += 1
      }
    }
    expected[stream] = moved + min(max(duration, 0), Self.ahead)
    return offset
  }

  /// What was repaired, in words; nil if nothing.
  package var warning: String? {
    jumpCount == 0 ? nil : "the clock of the file jumps; \(jumpCount) jumps were closed"
  }
}

extension Int64 {
  fileprivate var clamped: Int64 { self == .min ? .max : self }
}
