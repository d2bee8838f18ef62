// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

// One owner per FFmpeg resource, which is freed when the owner goes out of scope.

/// Owns an `AVFrame` until it is released to a `VideoFrame`.
struct FrameOwner: ~Copyable {
  let raw: UnsafeMutablePointer<AVFrame>

  init() throws(VideoIOError) {
    guard let raw = av_frame_alloc() else { throw .outOfMemory }
    self.raw = raw
  }

  /// Allocates a frame with its own memory, or memory of a pool.
  init(width: Int, height: Int, code: Int32, pool: FramePool? = nil) throws(VideoIOError) {
    let owner = try FrameOwner()
    guard let w = Int32(exactly: width), let h = Int32(exactly: height), w > 0, h > 0,
      Self.allocate(owner.raw, width: w, height: h, code: code, pool: pool)
    else {
      let name = av_get_pix_fmt_name(AVPixelFormat(code)).map { String(cString: $0) } ?? "?"
      throw .invalidPicture(width: width, height: height, format: name)
    }
    self = owner
  }

  /// Returns false if FFmpeg cannot allocate the picture.
  private static func allocate(
    _ frame: UnsafeMutablePointer<AVFrame>, width: Int32, height: Int32, code: Int32, pool: FramePool?
  ) -> Bool {
    frame.pointee.width = width
    frame.pointee.height = height
    frame.pointee.format = code
    if let pool, pool.fill(frame) { return true }
    let (result, _) = LibavLog.collecting { av_frame_get_buffer(frame, 0) }
    guard result >= 0 else { return false }
    pool?.learn(from: frame)
    return true
  }

  deinit {
    var frame: UnsafeMutablePointer<AVFrame>? = raw
    av_frame_free(&frame)
  }

  /// Transfers ownership of the frame to the caller.
  consuming func release() -> UnsafeMutablePointer<AVFrame> {
    let raw = raw
    discard self
    return raw
  }
}

/// Owns an `AVPacket`.
struct PacketOwner: ~Copyable {
  let raw: UnsafeMutablePointer<AVPacket>

  init() throws(VideoIOError) {
    guard let raw = av_packet_alloc() else { throw .outOfMemory }
    self.raw = raw
  }

  deinit {
    var packet: UnsafeMutablePointer<AVPacket>? = raw
    av_packet_free(&packet)
  }
}

/// Owns an `AVCodecContext`, a decoder or an encoder.
struct CodecContextOwner: ~Copyable {
  let raw: UnsafeMutablePointer<AVCodecContext>
  /// Whether a frame has been sent to the encoder.
  var isUsed = false

  init(_ codec: UnsafePointer<AVCodec>) throws(VideoIOError) {
    guard let raw = avcodec_alloc_context3(codec) else { throw .outOfMemory }
    self.raw = raw
  }

  deinit {
    if raw.pointee.codec_id == AV_CODEC_ID_AV1 { Self.endStream(raw, isUsed: isUsed) }
    var context: UnsafeMutablePointer<AVCodecContext>? = raw
    avcodec_free_context(&context)
  }

  /// SVT-AV1 (at least 1.4) logs an error when closed before the end of its stream, and hangs if it never received a
  /// frame. So this sends one if necessary, then the end of the stream, and discards the packets.
  private static func endStream(_ context: UnsafeMutablePointer<AVCodecContext>, isUsed: Bool) {
    guard avcodec_is_open(context) != 0, let codec = context.pointee.codec,
      String(cString: codec.pointee.name) == "libsvtav1"
    else { return }
    if !isUsed, let frame = try? FrameOwner() {
      frame.raw.pointee.width = context.pointee.width
      frame.raw.pointee.height = context.pointee.height
      frame.raw.pointee.format = context.pointee.pix_fmt.rawValue
      frame.raw.pointee.pts = 0
      guard av_frame_get_buffer(frame.raw, 0) >= 0 else { return }
      _ = avcodec_send_frame(context, frame.raw)
    }
    _ = avcodec_send_frame(context, nil)
  }
}

/// FFmpeg's "no timestamp".
let noTimestamp = Int64.min

/// Microseconds, the unit of container-wide times.
let microseconds = Rational(1, 1_000_000)
