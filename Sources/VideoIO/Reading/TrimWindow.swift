// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The part of a file to read, on the container's clock in microseconds.
struct TrimWindow: Sendable {
  /// Start, inclusive.
  let start: Int64
  /// End, exclusive; nil for the end of the file.
  let end: Int64?
  /// Streams that are waiting for a key packet.
  private var waiting: Set<Int>
  /// Audio streams that have not reached the end yet.
  private var unfinished: Set<Int>
  private var isPastEnd = false

  /// nil for the whole file.
  init?(_ options: VideoReader.Options, source: SourceFile) {
    guard options.start != nil || options.length != nil else { return nil }
    let from = max(options.start.map(Self.microseconds) ?? 0, 0)
    start = source.startTime.saturatingPlus(from)
    end = options.length.map { [start] in start.saturatingPlus(max(Self.microseconds($0), 0)) }
    waiting = Set(source.streams.filter { !$0.isDiscarded }.map(\.info.index))
    unfinished = Set(source.streams.filter { $0.info.kind == .audio && !$0.isDiscarded }.map(\.info.index))
  }

  /// A duration in whole microseconds, saturated.
  static func microseconds(_ duration: Duration) -> Int64 {
    let (seconds, attoseconds) = duration.components
    return seconds.saturatingTimes(1_000_000).saturatingPlus(attoseconds / 1_000_000_000_000)
  }

  /// The position of a frame relative to the window.
  enum Place { case before, within, behind }

  func place(of timestamp: Int64, timeBase: Rational) -> Place {
    if let end, !Self.isBefore(timestamp, timeBase, end) { return .behind }
    return Self.isBefore(timestamp, timeBase, start) ? .before : .within
  }

  /// Whether a time is at or before the window's start.
  func isAtOrBeforeStart(_ timestamp: Int64, timeBase: Rational) -> Bool {
    start == .max || Self.isBefore(timestamp, timeBase, start + 1)
  }

  /// Whether to keep a packet of a copied stream.
  ///
  /// Subtitles that start before the window are dropped even if they extend into it; each stream starts with a key packet.
  mutating func wants(_ packet: EncodedPacket, isCoverArt: Bool) -> Bool {
    if isCoverArt { return true }
    guard let time = packet.presentationTimestamp ?? packet.decodingTimestamp else {
      return !waiting.contains(packet.streamIndex)
    }
    switch place(of: time, timeBase: packet.timeBase) {
    case .before: return false
    case .within: break
    case .behind:
      unfinished.remove(packet.streamIndex)
      if let end, packet.timeBase.rescale(time, to: VideoIO.microseconds) > end.saturatingPlus(10_000_000) {
        isPastEnd = true
      }
      return false
    }
    guard waiting.contains(packet.streamIndex) else { return true }
    guard packet.flags & AV_PKT_FLAG_KEY != 0 else { return false }
    waiting.remove(packet.streamIndex)
    return true
  }

  /// The length of the window in a file of `seconds` seconds; nil if neither is known.
  func length(ofWhole seconds: Double?, source: SourceFile) -> Double? {
    let wanted = end.map { Double($0.saturatingMinus(start)) / 1e6 }
    let left = seconds.map { max($0 - Double(start.saturatingMinus(source.startTime)) / 1e6, 0) }
    guard let wanted, let left else { return wanted ?? left }
    return min(wanted, left)
  }

  /// Whether no audio stream needs more packets.
  var hasAllSound: Bool { unfinished.isEmpty || isPastEnd }

  /// Whether a time is before a moment; exact for all units.
  private static func isBefore(_ timestamp: Int64, _ timeBase: Rational, _ moment: Int64) -> Bool {
    guard timeBase.isPositive else { return false }
    return av_compare_ts(timestamp, timeBase.libav, moment, VideoIO.microseconds.libav) < 0
  }
}

extension SourceFile {
  /// The description of a part of the file: chapters outside it are removed, and those that cross its ends are cut.
  func trimmed(to window: TrimWindow) -> SourceFile {
    let kept = chapters.compactMap { chapter -> SourceChapter? in
      let first = microseconds.rescale(window.start, to: chapter.timeBase)
      let last = window.end.map { microseconds.rescale($0, to: chapter.timeBase) } ?? .max
      guard chapter.end > first, chapter.start < last else { return nil }
      return SourceChapter(
        id: chapter.id, timeBase: chapter.timeBase, start: max(chapter.start, first),
        end: min(chapter.end, last), metadata: chapter.metadata)
    }
    return SourceFile(
      streams: streams, metadata: metadata, chapters: kept, programs: programs, startTime: startTime,
      hasTimestampJumps: hasTimestampJumps, hasConstantRate: hasConstantRate, trimStart: window.start)
  }
}
