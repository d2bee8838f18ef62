// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The output of deinterlacing for a frame of two fields.
package enum Deinterlacing: Sendable, Hashable {
  /// One frame, at the same time.
  case frames
  /// Two frames, one per field: twice the rate, with the full smoothness of motion.
  case fields
}

/// Deinterlaces frames with FFmpeg's `bwdif`.
///
/// One owner, used by one task. Delays its output by two frames. If the first frame is flagged as interlaced, frames flagged
/// as progressive pass unchanged; otherwise the flags cannot be trusted, and all frames are deinterlaced.
package struct Deinterlacer: ~Copyable {
  /// Seconds per tick of the output frames.
  package let timeBase: Rational

  private let mode: Deinterlacing
  private var filter: FrameFilter
  /// Times and durations, in ticks, of the input frames whose output is pending.
  private var times: [(presentation: Int64, duration: Int64)] = []

  /// Creates a deinterlacer for frames like `first`.
  /// - Throws: `VideoIOError.cannotFilter` for pictures too small for fields, or a time base that cannot be halved.
  package init(_ mode: Deinterlacing, like first: VideoFrame, timeBase: Rational, threads: Int)
    throws(VideoIOError)
  {
    let rate = mode == .frames ? "send_frame" : "send_field"
    let which = first.isInterlaced ? "interlaced" : "all"
    let description = "bwdif=mode=\(rate):parity=auto:deint=\(which),format=\(first.format.name)"
    let filter = try FrameFilter(description, like: first, timeBase: timeBase, threads: threads)
    // The filter counts in half ticks; it would round times if those did not fit in 32 bits.
    guard
      Int64(filter.timeBase.numerator) * 2 * Int64(timeBase.denominator)
        == Int64(filter.timeBase.denominator) * Int64(timeBase.numerator)
    else { throw .cannotFilter(description, reason: .invalidData) }
    self.timeBase = mode == .frames ? timeBase : filter.timeBase
    self.mode = mode
    self.filter = filter
  }

  /// Adds a frame; returns the frames that are ready.
  /// - Throws: `VideoIOError`.
  package mutating func push(_ frame: VideoFrame) throws(VideoIOError) -> [VideoFrame] {
    times.append((frame.presentationTimestamp, frame.duration))
    return try timed(filter.push(frame))
  }

  /// Ends the stream; returns the remaining frames.
  /// - Throws: `VideoIOError`.
  package mutating func finish() throws(VideoIOError) -> [VideoFrame] { try timed(filter.finish()) }

  /// Sets the durations: the source's, or half of it, which is the same number of ticks.
  private mutating func timed(_ frames: [VideoFrame]) throws(VideoIOError) -> [VideoFrame] {
    var result: [VideoFrame] = []
    for frame in frames {
      let time = frame.presentationTimestamp
      while times.count > 1, times[1].presentation.saturatingTimes(2) <= time { times.removeFirst() }
      let source = times.first ?? (time / 2, 0)
      let isFirst = source.presentation.saturatingTimes(2) == time
      // Only the first field keeps the captions.
      let whole = isFirst ? frame : try frame.withoutCaptions()
      result.append(
        try whole.retimed(
          presentationTimestamp: mode == .frames ? source.presentation : time, duration: source.duration))
    }
    return result
  }
}

extension VideoFrame {
  /// Whether closed captions (ATSC A/53) come with the frame.
  package var hasCaptions: Bool { av_frame_get_side_data(raw, AV_FRAME_DATA_A53_CC) != nil }

  /// The same frame without closed captions, for further frames made from a frame that keeps them.
  /// - Throws: `VideoIOError.outOfMemory`.
  package func withoutCaptions() throws(VideoIOError) -> VideoFrame {
    guard hasCaptions else { return self }
    let copy = try reference()
    av_frame_remove_side_data(copy.raw, AV_FRAME_DATA_A53_CC)
    return VideoFrame(adopting: copy, format: format)
  }
}
