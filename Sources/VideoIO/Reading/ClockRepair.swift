// SPDX-License-Identifier: Apache-2.0

/// Makes one clock of the clocks that a file tells: those that start again or jump where recordings were joined, and single
/// times that fit nowhere. docs/reference/video-files.md has the rules in words.
///
/// Picture and sound are judged together, as a gap of one of them is no jump of the clock. Packets are taken in the order of
/// the file; only where one is far from what is expected of its stream does this look ahead, by a bounded number of packets.
package struct ClockRepair: Sendable {
  /// What is told of a packet; times are in microseconds.
  package struct Packet: Sendable {
    package var stream: Int
    /// When it is decoded, or shown if that is not said; nil if neither is.
    package var time: Int64?
    /// 0 if unknown.
    package var duration: Int64
    /// By how much the stream's times go back where nothing is wrong: not at all if they are those of decoding.
    package var reordering: Int64

    package init(stream: Int, time: Int64?, duration: Int64, reordering: Int64 = 0) {
      self.stream = stream
      self.time = time
      self.duration = duration
      self.reordering = reordering
    }
  }

  /// The packets that follow in the file.
  package struct Lookahead: Sendable {
    package var packets: [Packet]
    /// Whether the file ends behind them.
    package var reachesEnd: Bool

    package init(packets: [Packet], reachesEnd: Bool) {
      self.packets = packets
      self.reachesEnd = reachesEnd
    }
  }

  /// Packets that a look ahead is worth.
  package static let reach = 200

  private struct Stream {
    /// What is added to its times.
    var offset: Int64 = 0
    /// Where it goes on; nil before its first packet.
    var expected: Int64?
  }

  /// By index, those of picture and sound.
  private var streams: [Int: Stream] = [:]
  private let leading: Set<Int>
  private let closesGaps: Bool
  private let announcedEnd: Int64?
  /// What is added to the times of each stretch of the file between jumps; the last one is that of the latest.
  private var offsets: [Int64] = [0]
  /// The furthest end of a packet so far.
  private var front: Int64?
  private var jumpCount = 0
  private var outlierCount = 0

  /// Jumps ahead of more than this are looked at; it is the ffmpeg program's choice too.
  private static let ahead: Int64 = 10_000_000
  /// Jumps back of more than this are looked at.
  private static let back: Int64 = 500_000
  /// Times beyond this, 285 years, are none.
  private static let absurd: UInt64 = 1 << 53
  /// How many packets of a stream may have times that fit nowhere before it is the clock that is another.
  private static let mostOutliers = 4

  /// - Parameters:
  ///   - leading: the streams of picture and sound; others, which come and go, follow them.
  ///   - closesGaps: whether the container's clock may jump ahead, as those of transport streams; if not, a jump ahead of all
  ///     streams is a gap in the recording, and stays.
  ///   - announcedEnd: where the container says that the file ends.
  package init(leading: Set<Int>, closesGaps: Bool, announcedEnd: Int64? = nil) {
    self.leading = leading
    self.closesGaps = closesGaps
    self.announcedEnd = announcedEnd
  }

  /// What is said of a packet.
  package enum Answer: Equatable, Sendable {
    /// What to add to its times, in microseconds.
    case offset(Int64)
    /// That some of what follows must be known: so many packets of its own stream, or as many as `packets` of all.
    case needs(own: Int, packets: Int)
  }

  /// Judges the next packet of the file.
  /// - Parameter following: what follows it; nil if that was not looked at yet. With it, the answer is an offset.
  package mutating func answer(for packet: Packet, following: Lookahead? = nil) -> Answer {
    guard leading.contains(packet.stream) else {
      return .offset(packet.time.map(nearestOffset) ?? offsets[offsets.count - 1])
    }
    var stream = streams[packet.stream] ?? Stream()
    defer { streams[packet.stream] = stream }
    guard let time = packet.time else { return .offset(stream.offset) }
    guard let expected = stream.expected else {
      guard let following else { return .needs(own: 3, packets: 24) }
      return .offset(begin(packet, time, &stream, following))
    }
    let moved = time.saturatingPlus(stream.offset)
    if fits(moved, expected, packet) { return .offset(accept(packet, time, &stream)) }
    if let offset = offsetOfOthers(packet, time, expected, stream.offset) {
      stream.offset = offset
      return .offset(accept(packet, time, &stream))
    }
    // A gap of this stream alone: the others have got there step by step.
    if moved > expected, let front, moved <= front.saturatingPlus(Self.ahead) {
      return .offset(accept(packet, time, &stream))
    }
    guard let following else { return .needs(own: .max, packets: Self.reach) }
    if isOutlier(packet, moved, expected, stream.offset, following) {
      outlierCount += 1
      return .offset(replace(time, by: expected, packet, &stream))
    }
    // A gap of all streams, where clocks do not jump ahead.
    if moved > expected, !closesGaps { return .offset(accept(packet, time, &stream)) }
    jumpCount += 1
    stream.offset = offset(ofJump: packet, time, expected, following)
    return .offset(accept(packet, time, &stream))
  }

  // MARK: - Steps

  private static func isAbsurd(_ time: Int64) -> Bool { time.magnitude >= absurd }

  private static func end(_ time: Int64, _ packet: Packet) -> Int64 {
    time.saturatingPlus(min(max(packet.duration, 0), ahead))
  }

  private static func near(_ a: Int64, _ b: Int64, by distance: Int64) -> Bool {
    a.saturatingMinus(b).magnitude <= distance.magnitude
  }

  private mutating func accept(_ packet: Packet, _ time: Int64, _ stream: inout Stream) -> Int64 {
    let end = Self.end(time.saturatingPlus(stream.offset), packet)
    stream.expected = end
    front = max(front ?? end, end)
    return stream.offset
  }

  private mutating func replace(_ time: Int64, by expected: Int64, _ packet: Packet, _ stream: inout Stream)
    -> Int64
  {
    let end = Self.end(expected, packet)
    stream.expected = end
    front = max(front ?? end, end)
    return expected.saturatingMinus(time)
  }

  /// The first packet of a stream: nothing is expected of it but that those behind it follow.
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
        let wanted = next.saturatingPlus(stream.offset).saturatingMinus(
          min(max(packet.duration, 0), Self.ahead))
        return replace(time, by: wanted, packet, &stream)
      }
    }
    stream.offset = nearestOffset(time)
    return accept(packet, time, &stream)
  }

  /// The offset of the stretch of the file that a time lies in.
  private func nearestOffset(_ time: Int64) -> Int64 {
    let latest = offsets[offsets.count - 1]
    guard let front, offsets.count > 1 else { return latest }
    func distance(_ offset: Int64) -> UInt64 { time.saturatingPlus(offset).saturatingMinus(front).magnitude }
    let before = offsets[offsets.count - 2]
    return distance(before) < distance(latest) ? before : latest
  }

  private func fits(_ moved: Int64, _ expected: Int64, _ packet: Packet, packetsLater count: Int = 0) -> Bool
  {
    let jump = moved.saturatingMinus(expected)
    let ahead = Self.ahead + Int64(count) * min(max(packet.duration, 0), Self.ahead)
    return !Self.isAbsurd(moved) && jump <= ahead && jump >= -Self.back - packet.reordering
  }

  /// The offset of a later stretch of the file that another stream has found before, if the packet goes on there rather than
  /// behind a gap in the stretch where it was.
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

  /// Whether a time fits nowhere: those behind it go on as if it was not there.
  private func isOutlier(
    _ packet: Packet, _ moved: Int64, _ expected: Int64, _ offset: Int64, _ following: Lookahead
  ) -> Bool {
    if Self.isAbsurd(moved) { return true }
    let own = following.packets.filter { $0.stream == packet.stream && $0.time != nil }.prefix(
      Self.mostOutliers)
    if own.isEmpty {
      // The last one: what the file announces, or the other streams, say whether it can be.
      return following.reachesEnd
        && (moved < expected || moved > max(front ?? 0, announcedEnd ?? 0).saturatingPlus(Self.ahead))
    }
    return own.contains { next in
      next.time.map { fits($0.saturatingPlus(offset), expected, next, packetsLater: Self.mostOutliers) }
        ?? false
    }
  }

  /// What to add from a jump on: the same for all streams that jump, so that sound stays with the picture, and so much that no
  /// stream has to go back.
  private mutating func offset(
    ofJump packet: Packet, _ time: Int64, _ expected: Int64, _ following: Lookahead
  ) -> Int64 {
    var (end, first) = (expected, time)
    var (others, staying) = (0, 0)
    for (index, other) in streams where index != packet.stream {
      guard var last = other.expected else { continue }
      var jumped: Int64?
      var isThere = false
      for next in following.packets where next.stream == index {
        guard let time = next.time, !Self.isAbsurd(time) else { continue }
        isThere = true
        let moved = time.saturatingPlus(other.offset)
        guard fits(moved, last, next) else {
          jumped = time
          break
        }
        last = Self.end(moved, next)
      }
      others += 1
      if jumped == nil, isThere { staying += 1 }
      end = max(end, last)
      if let jumped, Self.near(jumped, time, by: Self.ahead) { first = min(first, jumped) }
    }
    // One stream alone goes on where it was.
    if others > 0, staying == others { return expected.saturatingMinus(time) }
    let offset = end.saturatingMinus(first)
    if offsets[offsets.count - 1] != offset { offsets.append(offset) }
    if offsets.count > 8 { offsets.removeFirst() }
    return offset
  }

  /// What was repaired, in words; nil if nothing.
  package var warning: String? {
    var parts: [String] = []
    if jumpCount > 0 { parts.append("the clock of the file jumps; \(jumpCount) jumps were closed") }
    if outlierCount > 0 { parts.append("\(outlierCount) packets had times that fit nowhere") }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }
}
