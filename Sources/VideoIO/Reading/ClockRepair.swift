// SPDX-License-Identifier: Apache-2.0

/// Turns a file's timestamps into one continuous clock: corrects clocks that restart or jump where recordings were joined,
/// and single outliers. docs/reference/video-files.md describes the rules.
///
/// Video and audio are judged together, because a gap in one of them is not a jump of the clock. Packets are processed in file
/// order; only when one is far from the expected time of its stream does this look ahead, by a bounded number of packets.
package struct ClockRepair: Sendable {
  /// The properties of a packet that matter here; times are in microseconds.
  package struct Packet: Sendable {
    package var stream: Int
    /// Decoding time, or presentation time if that is unknown; nil if both are unknown.
    package var time: Int64?
    /// 0 if unknown.
    package var duration: Int64
    /// By how much the stream's times may go back legitimately; 0 for decoding times.
    package var reordering: Int64

    package init(stream: Int, time: Int64?, duration: Int64, reordering: Int64 = 0) {
      self.stream = stream
      self.time = time
      self.duration = duration
      self.reordering = reordering
    }
  }

  /// The next packets in the file.
  package struct Lookahead: Sendable {
    package var packets: [Packet]
    /// Whether the file ends after them.
    package var reachesEnd: Bool

    package init(packets: [Packet], reachesEnd: Bool) {
      self.packets = packets
      self.reachesEnd = reachesEnd
    }
  }

  /// The most packets to look ahead: enough for about two seconds of all streams.
  package let reach: Int

  private struct Stream {
    /// Added to its times.
    var offset: Int64 = 0
    /// Expected time of its next packet; nil before its first packet.
    var expected: Int64?
    /// Total duration of the packets without a time since then.
    var untimed: Int64 = 0
    /// `Packet.reordering` of its last packet.
    var reordering: Int64 = 0
    /// If its last packet had a wrong time: that time, and its replacement.
    var outlier: (time: Int64, place: Int64)?
  }

  /// The video and audio streams by index.
  private var streams: [Int: Stream] = [:]
  private let leading: Set<Int>
  private let closesGaps: Bool
  private let announcedEnd: Int64?
  /// The offset of each section of the file between jumps; the last one is the current section's.
  private var offsets: [Int64] = [0]
  /// The latest end of any packet so far.
  private var front: Int64?
  private var jumpCount = 0
  private var outlierCount = 0

  /// Larger forward jumps are examined; the ffmpeg program uses the same limit.
  private static let ahead: Int64 = 10_000_000
  /// Larger backward jumps are examined.
  private static let back: Int64 = 500_000
  /// Times beyond this, 285 years, are treated as missing.
  private static let absurd: UInt64 = 1 << 53
  /// How many consecutive packets of a stream may be outliers while other streams jump as well.
  private static let mostOutliers = 4

  /// - Parameters:
  ///   - leading: the video and audio streams; others, which may be sparse, follow them.
  ///   - closesGaps: whether the container's clock may jump ahead, as in transport streams; if not, a forward jump of all
  ///     streams is a gap in the recording and is kept.
  ///   - announcedEnd: the end of the file as announced by the container.
  package init(leading: Set<Int>, closesGaps: Bool, announcedEnd: Int64? = nil) {
    self.leading = leading
    self.closesGaps = closesGaps
    self.announcedEnd = announcedEnd
    reach = 100 * min(max(leading.count, 2), 20)
  }

  /// The verdict on a packet.
  package enum Answer: Equatable, Sendable {
    /// The offset to add to its times, in microseconds.
    case offset(Int64)
    /// Lookahead is required: this many packets of its own stream, or `packets` of all streams.
    case needs(own: Int, packets: Int)
  }

  /// Judges the next packet of the file.
  /// - Parameter following: the packets after it; nil if not read yet. If given, the answer is an offset.
  package mutating func answer(for packet: Packet, following: Lookahead? = nil) -> Answer {
    guard leading.contains(packet.stream) else {
      return .offset(packet.time.map(nearestOffset) ?? offsets[offsets.count - 1])
    }
    var stream = streams[packet.stream] ?? Stream()
    defer { streams[packet.stream] = stream }
    guard let time = packet.time else {
      stream.untimed = stream.untimed.saturatingPlus(Self.length(packet))
      return .offset(stream.offset)
    }
    guard let expected = stream.expected else {
      if let following { return .offset(begin(packet, time, &stream, following)) }
      return isFarFromFront(time) ? .needs(own: .max, packets: reach) : .needs(own: 3, packets: 24)
    }
    let moved = time.saturatingPlus(stream.offset)
    if fits(moved, expected, packet, later: stream.untimed, after: stream.reordering) {
      return .offset(accept(packet, time, &stream))
    }
    if let offset = offsetOfOthers(packet, time, expected, stream.offset) {
      stream.offset = offset
      return .offset(accept(packet, time, &stream))
    }
    // A gap in this stream alone: the others reached this time step by step.
    if moved > expected, isReached(moved) { return .offset(accept(packet, time, &stream)) }
    guard let following else { return .needs(own: .max, packets: reach) }
    let look = look(at: packet, time, expected, following)
    if isOutlier(packet, moved, expected, stream.offset, look, following) {
      outlierCount += 1
      return .offset(replace(time, by: expected.saturatingPlus(stream.untimed), packet, &stream))
    }
    // A gap in all streams, in a container whose clock does not jump ahead.
    if moved > expected, !closesGaps { return .offset(accept(packet, time, &stream)) }
    jumpCount += 1
    stream.offset = offset(after: look, time, expected.saturatingPlus(stream.untimed))
    return .offset(accept(packet, time, &stream))
  }

  // MARK: - Steps

  private static func isAbsurd(_ time: Int64) -> Bool { time.magnitude >= absurd }

  private static func length(_ packet: Packet) -> Int64 { min(max(packet.duration, 0), ahead) }

  private static func end(_ time: Int64, _ packet: Packet) -> Int64 { time.saturatingPlus(length(packet)) }

  private static func near(_ a: Int64, _ b: Int64, by distance: Int64) -> Bool {
    a.saturatingMinus(b).magnitude <= distance.magnitude
  }

  private mutating func accept(_ packet: Packet, _ time: Int64, _ stream: inout Stream) -> Int64 {
    let end = Self.end(time.saturatingPlus(stream.offset), packet)
    stream.expected = end
    stream.untimed = 0
    stream.reordering = packet.reordering
    stream.outlier = nil
    front = max(front ?? end, end)
    return stream.offset
  }

  private mutating func replace(_ time: Int64, by expected: Int64, _ packet: Packet, _ stream: inout Stream)
    -> Int64
  {
    var place = expected
    // Several wrong times in a row are usually wrong by the same amount.
    if let (lastTime, lastPlace) = stream.outlier {
      let step = time.saturatingMinus(lastTime)
      if step >= 0, step <= Self.back { place = lastPlace.saturatingPlus(step) }
    }
    stream.outlier = (time, place)
    let end = Self.end(place, packet)
    stream.expected = end
    stream.untimed = 0
    front = max(front ?? end, end)
    return place.saturatingMinus(time)
  }

  /// Handles the first packet of a stream, which has no expected time but must be consistent with those after it.
  private mutating func begin(
    _ packet: Packet, _ time: Int64, _ stream: inout Stream, _ following: Lookahead
  ) -> Int64 {
    let own = following.packets.filter { $0.stream == packet.stream }.compactMap(\.time).prefix(3)
    if own.count > 1, let next = own.first, !Self.isAbsurd(next) {
      let isAlone =
        Self.isAbsurd(time) || time > next.saturatingPlus(Self.back + packet.reordering)
        || time < next.saturatingMinus(30 * Self.ahead)
      if isAlone, own.dropFirst().allSatisfy({ Self.near($0, next, by: 30 * Self.ahead) }) {
        outlierCount += 1
        stream.offset = nearestOffset(next)
        let wanted = next.saturatingPlus(stream.offset).saturatingMinus(Self.length(packet))
        return replace(time, by: wanted, packet, &stream)
      }
    }
    stream.offset = nearestOffset(time)
    if isFarFromFront(time), let front, closesGaps || time.saturatingPlus(stream.offset) < front {
      // It may begin right where the others jump.
      let look = look(at: packet, time, front, following)
      if look.isJoined {
        jumpCount += 1
        stream.offset = offset(after: look, time, front)
      }
    }
    return accept(packet, time, &stream)
  }

  /// Whether some stream has approximately reached a time.
  private func isReached(_ moved: Int64) -> Bool {
    front.map { moved <= $0.saturatingPlus(Self.ahead) } ?? false
  }

  /// Whether a time is far from those of all other streams.
  private func isFarFromFront(_ time: Int64) -> Bool {
    front.map { !Self.near(time.saturatingPlus(nearestOffset(time)), $0, by: Self.ahead) } ?? false
  }

  /// The offset of the section of the file that contains a time.
  private func nearestOffset(_ time: Int64) -> Int64 {
    let latest = offsets[offsets.count - 1]
    guard let front, offsets.count > 1 else { return latest }
    func distance(_ offset: Int64) -> UInt64 { time.saturatingPlus(offset).saturatingMinus(front).magnitude }
    let before = offsets[offsets.count - 2]
    return distance(before) < distance(latest) ? before : latest
  }

  /// Whether a time is near the expected one.
  /// - Parameters:
  ///   - later: total duration of the packets in between.
  ///   - reordering: that of the packet before: files may lack the first decoding times of a stream.
  private func fits(
    _ moved: Int64, _ expected: Int64, _ packet: Packet, later: Int64 = 0, after reordering: Int64 = 0
  ) -> Bool {
    let jump = moved.saturatingMinus(expected)
    return !Self.isAbsurd(moved) && jump <= Self.ahead.saturatingPlus(later)
      && jump >= (-Self.back).saturatingMinus(max(packet.reordering, reordering))
  }

  /// The offset of a later section that another stream has already reached, if the packet continues there rather than after
  /// a gap in its current section.
  private func offsetOfOthers(_ packet: Packet, _ time: Int64, _ expected: Int64, _ own: Int64) -> Int64? {
    guard let front, !Self.isAbsurd(time) else { return nil }
    let first = offsets.lastIndex(of: own).map { $0 + 1 } ?? offsets.count - 1
    let candidates = [own] + offsets[first...]
    let possible = candidates.filter { offset in
      let moved = time.saturatingPlus(offset)
      return moved >= expected.saturatingMinus(Self.back + packet.reordering)
        && moved <= front.saturatingPlus(Self.ahead)
    }
    func distance(_ offset: Int64) -> UInt64 { time.saturatingPlus(offset).saturatingMinus(front).magnitude }
    let best = possible.min { distance($0) < distance($1) }
    return best == own ? nil : best
  }

  /// What the other streams do at a jump.
  private struct Look {
    /// The latest expected time of any stream, and the earliest time after the jump.
    var end, first: Int64
    /// Whether other streams follow, and whether all of them continue as before.
    var hasOthers = false
    var isAlone = false
    /// Whether another stream jumps to about the same time.
    var isJoined = false
  }

  /// - Parameter limit: the number of following packets within which jumps of other streams matter.
  private func look(
    at packet: Packet, _ time: Int64, _ expected: Int64, _ following: Lookahead, until limit: Int = .max
  ) -> Look {
    var look = Look(end: expected, first: time)
    var (others, staying) = (0, 0)
    for (index, other) in streams where index != packet.stream {
      guard var last = other.expected else { continue }
      // The first time after its jump, unless it jumps back: then it is an outlier.
      var jumped: Int64?
      var (jump, before, isThere) = (UInt64(0), last, false)
      for (number, next) in following.packets.enumerated() where next.stream == index {
        if number >= limit, jumped == nil { break }
        guard let time = next.time, !Self.isAbsurd(time) else { continue }
        isThere = true
        let moved = time.saturatingPlus(other.offset)
        let isBack = jumped == nil || moved.saturatingMinus(before).magnitude >= jump / 2
        if isBack, fits(moved, last, next) || moved > last && isReached(moved) {
          jumped = nil
          last = Self.end(moved, next)
        } else if jumped == nil {
          jumped = time
          jump = moved.saturatingMinus(last).magnitude
        }
        before = Self.end(moved, next)
      }
      // A stream that has ended is no evidence.
      if isThere { others += 1 }
      if isThere, jumped == nil { staying += 1 }
      look.end = max(look.end, last)
      if let jumped, Self.near(jumped, time, by: Self.ahead) {
        look.first = min(look.first, jumped)
        look.isJoined = true
      }
    }
    look.hasOthers = others > 0
    look.isAlone = look.hasOthers && staying == others
    return look
  }

  /// Whether a time is an outlier: the times after it continue as if it were not there.
  private func isOutlier(
    _ packet: Packet, _ moved: Int64, _ expected: Int64, _ offset: Int64, _ look: Look, _ following: Lookahead
  ) -> Bool {
    if Self.isAbsurd(moved) { return true }
    guard following.packets.contains(where: { $0.stream == packet.stream && $0.time != nil }) else {
      // Without later packets, check against the other streams, and the announced end of the file.
      let latest = following.reachesEnd ? max(front ?? 0, announcedEnd ?? 0) : front ?? 0
      return (following.reachesEnd || look.isAlone)
        && (moved < expected || moved > latest.saturatingPlus(Self.ahead))
    }
    guard let (index, count) = placeOfReturn(packet, moved, expected, offset, following) else { return false }
    if count <= Self.mostOutliers { return true }
    let others = self.look(at: packet, moved.saturatingMinus(offset), expected, following, until: index)
    return others.isAlone || !others.hasOthers
  }

  /// Where the stream jumps back, so that it continues as if a packet and those in between were not there, and how many of its
  /// packets precede that.
  private func placeOfReturn(
    _ packet: Packet, _ moved: Int64, _ expected: Int64, _ offset: Int64, _ following: Lookahead
  ) -> (index: Int, count: Int)? {
    let jump = moved.saturatingMinus(expected).magnitude
    // Frames that are shown before it may follow it, in particular before a gap.
    let turn = moved.saturatingMinus(Self.back).saturatingMinus(packet.reordering)
    var (count, later, last) = (1, Self.length(packet), Self.end(moved, packet))
    for (index, next) in following.packets.enumerated() where next.stream == packet.stream {
      guard let time = next.time else { continue }
      let place = time.saturatingPlus(offset)
      let hasJumped = place.saturatingMinus(last).magnitude >= jump / 2
      if hasJumped, moved < expected || place < turn, fits(place, expected, next, later: later) {
        return (index, count)
      }
      count += 1
      later = later.saturatingPlus(Self.length(next))
      last = Self.end(place, next)
    }
    return nil
  }

  /// The offset after a jump: the same for all streams that jump, to keep audio and video in sync, and large enough that no
  /// stream goes back.
  private mutating func offset(after look: Look, _ time: Int64, _ expected: Int64) -> Int64 {
    // A single stream continues where it was.
    if look.isAlone { return expected.saturatingMinus(time) }
    let offset = look.end.saturatingMinus(look.first)
    if offsets[offsets.count - 1] != offset { offsets.append(offset) }
    if offsets.count > 8 { offsets.removeFirst() }
    return offset
  }

  /// Describes the repairs; nil if there were none.
  package var warning: String? {
    var parts: [String] = []
    if jumpCount > 0 { parts.append("the clock of the file jumps; \(jumpCount) jumps were closed") }
    if outlierCount > 0 { parts.append("\(outlierCount) packets had times that fit nowhere") }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }
}
