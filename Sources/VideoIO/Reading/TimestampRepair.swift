// SPDX-License-Identifier: Apache-2.0

/// Makes the timestamps of a stream's frames strictly increasing without dropping a frame.
///
/// Postcondition: each result is above the one before; timestamps that are present and increasing are
/// returned as they are.
package struct TimestampRepair: Sendable {
  private var last: Int64?
  private var step: Int64
  /// Frames without a timestamp.
  package private(set) var missingCount = 0
  /// Frames whose timestamp was not above the one before.
  package private(set) var backwardCount = 0

  /// - Parameter usualDuration: ticks from frame to frame where nothing else is known; at least 1 is taken.
  package init(usualDuration: Int64) {
    step = max(usualDuration, 1)
  }

  /// The timestamp to use for the next frame.
  /// - Parameters:
  ///   - timestamp: the frame's own, nil if missing.
  ///   - duration: the frame's own, 0 if unknown.
  ///   - isAtEnd: whether the decoder is being emptied; some then have no timestamps left to give, which is
  ///     nothing to warn of.
  package mutating func next(_ timestamp: Int64?, duration: Int64, isAtEnd: Bool = false) -> Int64 {
    defer { if duration > 0 { step = duration } }
    guard let last else {
      if timestamp == nil { missingCount += 1 }
      let first = timestamp ?? 0
      self.last = first
      return first
    }
    let expected = last.addingReportingOverflow(step)
    let following = expected.overflow ? last : expected.partialValue
    var result = following
    if let timestamp {
      result = timestamp
      if timestamp <= last {
        backwardCount += 1
        result = last == .max ? last : last + 1
      }
    } else {
      missingCount += isAtEnd ? 0 : 1
    }
    self.last = result
    return result
  }

  /// What was repaired, in words; nil if nothing.
  package var warning: String? {
    var parts: [String] = []
    if missingCount > 0 { parts.append("\(missingCount) without timestamp") }
    if backwardCount > 0 { parts.append("\(backwardCount) with a timestamp that does not increase") }
    return parts.isEmpty ? nil : "frames were repaired: " + parts.joined(separator: ", ")
  }
}
