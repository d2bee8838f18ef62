// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// What deinterlacing makes of a frame of two fields.
public enum Deinterlacing: Sendable, Hashable {
  /// One frame, of the same time.
  case frames
  /// Two frames, one for each field: twice the rate, motion as smooth as it was filmed.
  case fields
}

/// Makes whole frames of fields, by FFmpeg's `bwdif`.
///
/// One owner, used by one task. It holds two frames back. Where the first frame says that it is interlaced, frames that say
/// they are not are left as they are; otherwise nothing in the file can be trusted, and all are deinterlaced.
public struct Deinterlacer: ~Copyable {
  /// Seconds per tick of the frames that come out.
  public let timeBase: Rational

  private let mode: Deinterlacing
  private var filter: FrameFilter
  /// Ticks of the frames that went in, and how long those last, of which more may come out.
  private var times: [(presentation: Int64, duration: Int64)] = []

  /// For frames like `first`.
  /// - Throws: `VideoIOError.cannotFilter` for pictures too small to have fields, or a time base that cannot be halved.
  public init(_ mode: Deinterlacing, like first: VideoFrame, timeBase: Rational, threads: Int)
    throws(VideoIOError)
  {
    let rate = mode == .frames ? "send_frame" : "send_field"
    let which = first.isInterlaced ? "interlaced" : "all"
    let description = "bwdif=mode=\(rate):parity=auto:deint=\(which),format=\(first.format.name)"
    let filter = try FrameFilter(description, like: first, timeBase: timeBase, threads: threads)
    // The filter counts in half ticks; where 32 bits do not hold those, it would round times.
    guard
      Int64(filter.timeBase.numerator) * 2 * Int64(timeBase.denominator)
        == Int64(filter.timeBase.denominator) * Int64(timeBase.numerator)
    else { throw .cannotFilter(description, reason: .invalidData) }
    self.timeBase = mode == .frames ? timeBase : filter.timeBase
    self.mode = mode
    self.filter = filter
  }

  /// Takes a frame; returns those that are ready.
  /// - Throws: `VideoIOError`.
  public mutating func push(_ frame: VideoFrame) throws(VideoIOError) -> [VideoFrame] {
    times.append((frame.presentationTimestamp, frame.duration))
    return try timed(filter.push(frame))
  }

  /// Ends the stream; returns what was held back.
  /// - Throws: `VideoIOError`.
  public mutating func finish() throws(VideoIOError) -> [VideoFrame] { try timed(filter.finish()) }

  /// Frames with the duration of their source, or half of it, which is as many ticks.
  private mutating func timed(_ frames: [VideoFrame]) throws(VideoIOError) -> [VideoFrame] {
    var result: [VideoFrame] = []
    for frame in frames {
      let time = frame.presentationTimestamp
      while times.count > 1, times[1].presentation.saturatingTimes(2) <= time { times.removeFirst() }
      let source = times.first ?? (time / 2, 0)
      let isFirst = source.presentation.saturatingTimes(2) == time
      // Captions are told once for both fields.
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
  public var hasCaptions: Bool { av_frame_get_side_data(raw, AV_FRAME_DATA_A53_CC) != nil }

  /// The same frame without closed captions: for frames made of one that keeps them.
  /// - Throws: `VideoIOError.outOfMemory`.
  public func withoutCaptions() throws(VideoIOError) -> VideoFrame {
    guard hasCaptions else { return self }
    let copy = try reference()
    av_frame_remove_side_data(copy.raw, AV_FRAME_DATA_A53_CC)
    return VideoFrame(adopting: copy, format: format)
  }
}
