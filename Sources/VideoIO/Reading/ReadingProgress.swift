// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Tracks the read position, to detect truncated and joined files.
struct ReadingProgress: Sendable {
  /// End of the latest packet of any stream, in seconds of the container's clock.
  private(set) var seconds = 0.0
  private var videoSeconds = 0.0
  /// Where the packet that lies last in the file ends, in bytes.
  private(set) var endOfPackets = 0
  private let expectedEnd: Double?
  private let expectedVideoEnd: Double?
  /// By how much the file may be shorter than announced, in seconds, apart from 1 %.
  private let tolerance: Double
  private let isSequence: Bool

  /// The end of the file as announced by the container, in microseconds of its clock; nil if unknown.
  var announcedEnd: Int64? { expectedEnd.flatMap { Int64(exactly: ($0 * 1e6).rounded()) } }

  init(_ demuxer: borrowing Demuxer, videoIndex: Int) {
    let context = demuxer.context.pointee
    let rate = demuxer.stream(videoIndex).map { Rational($0.pointee.avg_frame_rate) } ?? Rational(0, 1)
    // These announce as many frames as there are, and end silently at a missing one.
    let isExact = demuxer.isSequence || demuxer.formatName == "mxf"
    tolerance = isExact && rate.isPositive ? 1.5 * rate.inverse.doubleValue : 1
    isSequence = demuxer.isSequence
    // With a clock that jumps, the announced length is meaningless.
    let isAnnounced =
      context.duration > 0 && context.duration_estimation_method != AVFMT_DURATION_FROM_BITRATE
      && cffmpeg_input_has_timestamp_jumps(demuxer.context) == 0
    let start = context.start_time == noTimestamp ? 0 : context.start_time
    expectedEnd =
      isAnnounced
      ? Double(demuxer.durationIncludesStart ? 0 : start) / 1e6 + Double(context.duration) / 1e6 : nil
    if let stream = demuxer.stream(videoIndex)?.pointee, isAnnounced, stream.duration > 0 {
      let start = stream.start_time == noTimestamp ? 0 : stream.start_time
      // For a truncated AVI file, FFmpeg re-estimates the duration; the frame count remains as announced.
      let isAVI = context.iformat?.pointee.name.map { String(cString: $0) } == "avi"
      let ticks = isAVI ? max(stream.duration, stream.nb_frames) : stream.duration
      expectedVideoEnd = (Double(start) + Double(ticks)) * Rational(stream.time_base).doubleValue
    } else {
      expectedVideoEnd = nil
    }
  }

  mutating func note(_ packet: UnsafePointer<AVPacket>, timeBase: Rational, isVideo: Bool) {
    let value = packet.pointee
    if value.pos >= 0 { endOfPackets = max(endOfPackets, Int(value.pos.saturatingPlus(Int64(value.size)))) }
    let time = value.pts != noTimestamp ? value.pts : value.dts
    guard time != noTimestamp else { return }
    let end = (Double(time) + Double(max(value.duration, 0))) * timeBase.doubleValue
    seconds = max(seconds, end)
    if isVideo { videoSeconds = max(videoSeconds, end) }
  }

  /// Whether the packets end noticeably before the announced end, or none is announced.
  var isShort: Bool { expectedEnd.map { $0 - seconds > 0.05 } ?? true }

  /// The error for a file that ends too early; nil for a complete file.
  ///
  /// Announced lengths may be slightly wrong, so a shortfall of less than a second or 1 % is ignored in most containers, unless
  /// FFmpeg reported an incomplete file or `isCutOff` is true.
  func shortfall(log: [String], path: String, isCutOff: Bool) -> VideoIOError? {
    let expected = expectedVideoEnd ?? expectedEnd
    let reached = expectedVideoEnd == nil ? seconds : videoSeconds
    if isCutOff || log.contains(where: { $0.contains("prematurely") || $0.contains("partial file") }) {
      return .endsEarly(path: path, seconds: reached, expectedSeconds: expected)
    }
    guard let expected, expected - reached > (isSequence ? tolerance / 3 : max(tolerance, expected * 0.01))
    else { return nil }
    return .endsEarly(path: path, seconds: reached, expectedSeconds: expected)
  }
}
