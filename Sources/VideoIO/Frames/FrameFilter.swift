// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// A chain of FFmpeg filters, such as `bwdif` or `nlmeans=s=4`.
///
/// One owner, used by one task. Filters may delay frames: `push` returns those that are ready, `finish` the rest.
package struct FrameFilter: ~Copyable {
  /// Seconds per tick of the output; filters that keep the number of frames keep the source's.
  package let timeBase: Rational
  /// Frames per second of the output; unknown for most filters.
  package let frameRate: Rational

  private let description: String
  private let shape: String
  private let graph: FilterGraphOwner
  private let source: UnsafeMutablePointer<AVFilterContext>
  private let sink: UnsafeMutablePointer<AVFilterContext>

  /// Creates a chain for frames like `frame`.
  ///
  /// - Parameters:
  ///   - description: filters with their options in the syntax of FFmpeg's `-vf`; one input, one output.
  ///   - timeBase: seconds per tick of the frames' times.
  ///   - frameRate: frames per second if known; some filters need it.
  ///   - threads: for the filters; 0 for as many as there are cores.
  /// - Throws: `VideoIOError.cannotFilter` if FFmpeg rejects the description.
  package init(
    _ description: String, like frame: VideoFrame, timeBase: Rational, frameRate: Rational = Rational(0, 1),
    threads: Int = 0
  ) throws(VideoIOError) {
    guard let graph = avfilter_graph_alloc() else { throw .outOfMemory }
    let owner = FilterGraphOwner(raw: graph)
    graph.pointee.nb_threads = Int32(clamping: threads)
    let aspect = frame.raw.pointee.sample_aspect_ratio
    var arguments =
      "video_size=\(frame.width)x\(frame.height):pix_fmt=\(frame.format.code)"
      + ":time_base=\(timeBase.numerator)/\(timeBase.denominator)"
      + ":pixel_aspect=\(aspect.num)/\(max(aspect.den, 1))"
    if frameRate.isPositive { arguments += ":frame_rate=\(frameRate.numerator)/\(frameRate.denominator)" }
    var source: UnsafeMutablePointer<AVFilterContext>?
    var sink: UnsafeMutablePointer<AVFilterContext>?
    let (result, log) = LibavLog.collecting {
      cffmpeg_filter_chain(graph, arguments, description, &source, &sink)
    }
    guard result >= 0, let source, let sink else {
      throw .cannotFilter(description, reason: LibavError(code: min(result, -1), log: log))
    }
    self.graph = owner
    self.description = description
    shape = frame.shapeText
    self.source = source
    self.sink = sink
    self.timeBase = Rational(av_buffersink_get_time_base(sink))
    self.frameRate = Rational(av_buffersink_get_frame_rate(sink))
  }

  /// Pushes a frame into the chain; returns the frames that are ready, with times in ticks of `timeBase`.
  /// - Throws: `VideoIOError.cannotFilter`, or `frameMismatch` for a frame of another shape than the first.
  package mutating func push(_ frame: VideoFrame) throws(VideoIOError) -> [VideoFrame] {
    guard frame.shapeText == shape else {
      throw .frameMismatch(path: "filter \(description)", expected: shape, found: frame.shapeText)
    }
    let reference = try frame.reference()
    let (result, log) = LibavLog.collecting {
      av_buffersrc_add_frame_flags(source, reference.raw, Int32(AV_BUFFERSRC_FLAG_PUSH))
    }
    guard result >= 0 else { throw .cannotFilter(description, reason: LibavError(code: result, log: log)) }
    return try ready()
  }

  /// Ends the input; returns the remaining frames.
  /// - Throws: `VideoIOError.cannotFilter`.
  package mutating func finish() throws(VideoIOError) -> [VideoFrame] {
    let (result, log) = LibavLog.collecting { av_buffersrc_add_frame_flags(source, nil, 0) }
    guard result >= 0 else { throw .cannotFilter(description, reason: LibavError(code: result, log: log)) }
    return try ready()
  }

  private func ready() throws(VideoIOError) -> [VideoFrame] {
    var frames: [VideoFrame] = []
    while true {
      let frame = try FrameOwner()
      let (result, log) = LibavLog.collecting { av_buffersink_get_frame(sink, frame.raw) }
      if result == LibavError.again.code || result == LibavError.endOfFile.code { return frames }
      guard result >= 0 else { throw .cannotFilter(description, reason: LibavError(code: result, log: log)) }
      guard let format = PixelFormat(code: frame.raw.pointee.format) else {
        let name =
          av_get_pix_fmt_name(AVPixelFormat(frame.raw.pointee.format)).map { String(cString: $0) } ?? "?"
        throw .unsupportedFormat(path: "filter \(description)", format: name)
      }
      frames.append(VideoFrame(adopting: frame, format: format))
    }
  }
}

/// Owns an `AVFilterGraph` and the filters in it.
struct FilterGraphOwner: ~Copyable {
  let raw: UnsafeMutablePointer<AVFilterGraph>

  init(raw: UnsafeMutablePointer<AVFilterGraph>) { self.raw = raw }

  deinit {
    var graph: UnsafeMutablePointer<AVFilterGraph>? = raw
    avfilter_graph_free(&graph)
  }
}
