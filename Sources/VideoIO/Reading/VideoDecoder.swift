// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Owns the decoder of one video stream.
struct VideoDecoder: ~Copyable {
  private let owner: CodecContextOwner

  /// The result of requesting a frame.
  enum Outcome {
    case frame
    case needsPacket
    case end
    /// A damaged part of the stream; decoding can go on.
    case damaged(LibavError)
  }

  /// Opens a decoder for codec parameters.
  ///
  /// - Parameters:
  ///   - path: for error messages.
  ///   - threads: 0 for as many as there are cores.
  ///   - exportsQuantizers: whether frames carry the quantizers of their blocks, where FFmpeg exports them.
  /// - Throws: `VideoIOError.noDecoder`, or `cannotDecode` if the decoder does not start.
  init(
    parameters: UnsafePointer<AVCodecParameters>, timeBase: Rational, threads: Int, path: String,
    exportsQuantizers: Bool = false
  ) throws(VideoIOError) {
    guard let codec = avcodec_find_decoder(parameters.pointee.codec_id) else {
      throw .noDecoder(path: path, codec: codecName(parameters.pointee.codec_id))
    }
    let owner = try CodecContextOwner(codec)
    let context = owner.raw
    do throws(LibavError) {
      try LibavLog.check { avcodec_parameters_to_context(context, parameters) }
      context.pointee.pkt_timebase = timeBase.libav
      context.pointee.thread_count = Int32(clamping: max(threads, 0))
      // With threads for frames, FFmpeg exports the quantizers of pictures that another thread is still decoding: they
      // would differ from run to run, and with them the frames. Decoders that export none keep such threads.
      let exportsNone = [AV_CODEC_ID_HEVC, AV_CODEC_ID_AV1].contains(context.pointee.codec_id)
      context.pointee.thread_type =
        exportsQuantizers && !exportsNone ? FF_THREAD_SLICE : FF_THREAD_FRAME | FF_THREAD_SLICE
      if exportsQuantizers { context.pointee.export_side_data |= AV_CODEC_EXPORT_DATA_VIDEO_ENC_PARAMS }
      try LibavLog.check { avcodec_open2(context, codec, nil) }
    } catch {
      throw .cannotDecode(path: path, seconds: 0, reason: error)
    }
    self.owner = owner
  }

  /// Sends a packet to the decoder; nil marks the end of the stream.
  ///
  /// - Returns: the decoder's error for the packet; nil if there is none.
  func send(_ packet: UnsafePointer<AVPacket>?) -> LibavError? {
    let (code, log) = LibavLog.collecting { avcodec_send_packet(owner.raw, packet) }
    if code >= 0 || code == LibavError.endOfFile.code { return nil }
    return LibavError(code: code, log: log)
  }

  /// Receives the next frame in presentation order.
  func receive(into frame: borrowing FrameOwner) -> Outcome {
    let (code, log) = LibavLog.collecting { avcodec_receive_frame(owner.raw, frame.raw) }
    switch code {
    case 0...: return .frame
    case LibavError.again.code: return .needsPacket
    case LibavError.endOfFile.code: return .end
    default: return .damaged(LibavError(code: code, log: log))
    }
  }
}
