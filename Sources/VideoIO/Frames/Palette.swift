// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Reduces frames to 256 colours for GIF.
enum Palette {
  /// Returns the frame with a palette computed for it alone (`palettegen` and `paletteuse`). Frames are
  /// independent, so no state is kept between them.
  static func applied(to frame: VideoFrame) throws(VideoIOError) -> FrameOwner {
    let description =
      "[in]split[a][b];[a]palettegen=stats_mode=single:reserve_transparent=0[p];[b][p]paletteuse=new=1[out]"
    guard let graph = avfilter_graph_alloc() else { throw .outOfMemory }
    let owner = FilterGraphOwner(raw: graph)
    graph.pointee.nb_threads = 1
    let arguments =
      "video_size=\(frame.width)x\(frame.height):pix_fmt=\(frame.format.code):time_base=1/1000:pixel_aspect=1/1"
    var source: UnsafeMutablePointer<AVFilterContext>?
    var sink: UnsafeMutablePointer<AVFilterContext>?
    let reference = try frame.reference()
    let result = try FrameOwner()
    let (code, log) = LibavLog.collecting {
      let built = cffmpeg_filter_chain(graph, 0, arguments, description, &source, &sink)
      guard built >= 0, let source, let sink else { return min(built, -1) }
      let taken = av_buffersrc_add_frame_flags(source, reference.raw, Int32(AV_BUFFERSRC_FLAG_PUSH))
      let ended = taken < 0 ? taken : av_buffersrc_add_frame_flags(source, nil, 0)
      return ended < 0 ? ended : av_buffersink_get_frame(sink, result.raw)
    }
    _ = owner.raw
    guard code >= 0 else { throw .cannotFilter("palettegen", reason: LibavError(code: code, log: log)) }
    return result
  }
}
