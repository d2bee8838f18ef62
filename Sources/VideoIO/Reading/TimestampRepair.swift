// SPDX-License-Identifier: Apache-2.0

/// Makes the timestamps of a stream's frames strictly increasing without dropping a frame.
///
/// Postcondition: each result is greater than the previous one; timestamps that are present and increasing
/// are returned unchanged.
package struct TimestampRepair: Sendable {
  private var last: Int64?
  private var step: Int64
  /// The timestamp of the first frame if it has none.
  private let start: Int64
  /// The last timestamp of a frame itself, and how many frames in a row had it.
  private var own: (timestamp: Int64?, count: Int) = (nil, 0)
  /// Frames without a timestamp.
  package private(set) var missingCount = 0
  /// Frames whose timestamp was not greater than the previous one.
  package private(set) var backwardCount = 0

  /// More equal timestamps in a row are treated as missing.
  private static let mostEqual = 3

  /// - Parameters:
  ///   - usualDuration: ticks from frame to frame if nothing else is known; raised to at least 1.
  ///   - start: timestamp of the first frame if it has none.
  package init(usualDuration: Int64, start: Int64 = 0) {
    step = max(usualDuration, 1)
    self.start = start
  }

  /// Returns the timestamp to use for the next frame.
  /// - Parameters:
  ///   - timestamp: the frame's own, nil if missing.
  ///   - duration: the frame's own, 0 if unknown.
  ///   - isAtEnd: whether the decoder is being flushed; some decoders then return no timestamps, which is
  ///     not worth a warning.
  package mutating func next(_ timestamp: Int64?, duration: Int64, isAtEnd: Bool = false) -> Int64 {
    own = timestamp == own.timestamp ? (timestamp, own.count + 1) : (timestamp, 1)
    // A clock that stands still is none.
    let timestamp = own.count > Self.mostEqual ? nil : timestamp
    defer { if duration > 0 { step = duration } }
    guard let last else {
      if timestamp == nil { missingCount += 1 }
      let first = timestamp ?? start
      self.last = first
      return first
    }
    let next = last == .max ? last : last + 1
    let expected = last.addingReportingOverflow(step)
    // An absurd duration must not hold the clock.
    var result = expected.overflow ? next : expected.partialValue
    if let timestamp {
      result = timestamp
      if timestamp <= last {
        backwardCount += 1
        result = next
      }
    } else {
      missingCount += isAtEnd ? 0 : 1
    }
    self.last = result
    return result
  }

  /// Describes the repairs; nil if there were none.
  package var warning: String? {
    var parts: [String] = []
    if missingCount > 0 { parts.append("\(missingCount) without timestamp") }
    if backwardCount > 0 { parts.append("\(backwardCount) with a timestamp that does not increase") }
    return parts.isEmpty ? nil : "frames were repaired: " + parts.joined(separator: ", ")
  }
}
