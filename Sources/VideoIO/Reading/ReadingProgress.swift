// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// How far reading has come, to tell a whole file from one that was cut off.
struct ReadingProgress: Sendable {
  /// End of the latest packet of any stream, in seconds of the container's clock.
  private(set) var seconds = 0.0
  private var videoSeconds = 0.0
  private let expectedEnd: Double?
  private let expectedVideoEnd: Double?

  /// Where the container says that the file ends, in microseconds of its clock; nil if it does not.
  var announcedEnd: Int64? { expectedEnd.flatMap { Int64(exactly: ($0 * 1e6).rounded()) } }

  init(_ demuxer: borrowing Demuxer, videoIndex: Int) {
    let context = demuxer.context.pointee
    // A clock that jumps tells nothing about the length.
    let isAnnounced =
      context.duration > 0 && context.duration_estimation_method != AVFMT_DURATION_FROM_BITRATE
      && cffmpeg_input_has_timestamp_jumps(demuxer.context) == 0
    let start = context.start_time == noTimestamp ? 0 : context.start_time
    expectedEnd =
      isAnnounced
      ? Double(demuxer.durationIncludesStart ? 0 : start) / 1e6 + Double(context.duration) / 1e6 : nil
    if let stream = demuxer.stream(videoIndex)?.pointee, isAnnounced, stream.duration > 0 {
      let start = stream.start_time == noTimestamp ? 0 : stream.start_time
      // Of an AVI file that was cut off, FFmpeg estimates the duration anew; the frame count stays announced.
      let isAVI = context.iformat?.pointee.name.map { String(cString: $0) } == "avi"
      let ticks = isAVI ? max(stream.duration, stream.nb_frames) : stream.duration
      expectedVideoEnd = (Double(start) + Double(ticks)) * Rational(stream.time_base).doubleValue
    } else {
      expectedVideoEnd = nil
    }
  }

  mutating func note(_ packet: UnsafePointer<AVPacket>, timeBase: Rational, isVideo: Bool) {
    let value = packet.pointee
    let time = value.pts != noTimestamp ? value.pts : value.dts
    guard time != noTimestamp else { return }
    let end = (Double(time) + Double(max(value.duration, 0))) * timeBase.doubleValue
    seconds = max(seconds, end)
    if isVideo { videoSeconds = max(videoSeconds, end) }
  }

  /// The error for a file whose end has been reached too soon; nil for a whole file.
  ///
  /// Announced lengths may be a little wrong, so a lack of less than a second or 1 % counts for nothing
  /// unless FFmpeg said that the file is incomplete.
  func shortfall(log: [String], path: String) -> VideoIOError? {
    let expected = expectedVideoEnd ?? expectedEnd
    let reached = expectedVideoEnd == nil ? seconds : videoSeconds
    if log.contains(where: { $0.contains("prematurely") || $0.contains("partial file") }) {
      return .endsEarly(path: path, seconds: reached, expectedSeconds: expected)
    }
    guard let expected, expected - reached > max(1, expected * 0.01) else { return nil }
    return .endsEarly(path: path, seconds: reached, expectedSeconds: expected)
  }
}
