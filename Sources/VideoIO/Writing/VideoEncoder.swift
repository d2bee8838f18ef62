// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Owns a video encoder.
struct VideoEncoder: ~Copyable {
  /// The parameters for opening an encoder.
  struct Request {
    var settings: EncoderSettings
    var width: Int
    var height: Int
    var format: PixelFormat
    var color: ColorDescription
    var sampleAspectRatio = Rational(0, 1)
    var timeBase: Rational
    var frameRate: Rational
    var wantsGlobalHeader = false
    /// Whether the frame rate is constant.
    var isConstantRate = false
    /// Mastering display and content light level.
    var hdr: HDRMetadata?
    /// The encoder's layout to convert to; nil uses the frames' own or the nearest one.
    var layoutCode: Int32?
  }

  /// The result of requesting a packet.
  enum Outcome {
    case packet
    case needsFrame
    case end
  }

  let context: UnsafeMutablePointer<AVCodecContext>
  /// FFmpeg's name of the encoder.
  let name: String
  private var owner: CodecContextOwner
  /// Converts to the encoder's layout if it supports none of ours, as with RGB encoders.
  private let converter: PictureConverter?
  private let usesPalette: Bool
  private let clock: EncoderClock
  /// Warnings about the encoder's layout and size, one line each.
  let layoutWarnings: [MediaRemark]

  /// The time base of input frames and output packets.
  var timeBase: Rational { Rational(context.pointee.time_base) }
  /// Whether the encoder counts frames instead of ticks.
  var countsFrames: Bool { clock != .ticks }

  /// Whether closed captions of the frames are written to the stream (FFmpeg's option for this has two names).
  var writesCaptions: Bool {
    func has(_ option: String) -> Bool { av_opt_find(context, option, nil, 0, AV_OPT_SEARCH_CHILDREN) != nil }
    return has("a53cc") || has("a53_cc")
  }
  /// The codec's global headers.
  var extradata: [UInt8] { byteArray(context.pointee.extradata, Int(context.pointee.extradata_size)) }

  /// Opens the encoder.
  ///
  /// - Throws: `VideoIOError.unknownEncoder`, `encoderFormat`, `encoderOption`, `cannotStartEncoder`.
  init(_ request: Request) throws(VideoIOError) {
    LibavLog.install()
    let codec = try Self.find(request.settings.codec)
    let name = String(cString: codec.pointee.name)
    let owner = try CodecContextOwner(codec)
    let context = owner.raw
    let layout = try EncoderLayout(for: request, codec: codec, context: context, name: name)
    let clock = EncoderClock(codec: codec.pointee.id)
    let (evenWidth, evenHeight) = layout.extents(for: request, name: name)
    guard let width = Int32(exactly: evenWidth), let height = Int32(exactly: evenHeight) else {
      throw .invalidPicture(width: request.width, height: request.height, format: request.format.name)
    }
    context.pointee.width = width
    context.pointee.height = height
    context.pointee.pix_fmt = AVPixelFormat(layout.code)
    context.pointee.sample_aspect_ratio =
      request.sampleAspectRatio.isPositive ? request.sampleAspectRatio.libav : AVRational(num: 0, den: 1)
    let rate = clock.nominalRate(request.frameRate.isPositive ? request.frameRate : Rational(25, 1))
    context.pointee.framerate = rate.libav
    context.pointee.time_base = clock == .ticks ? request.timeBase.libav : rate.inverse.libav
    context.pointee.thread_count = Int32(clamping: max(request.settings.threads, 0))
    layout.color.store(in: context)
    if request.wantsGlobalHeader { context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER }
    try Self.apply(request, to: context, codec: codec, name: name)
    let (opened, log) = LibavLog.collecting { avcodec_open2(context, codec, nil) }
    guard opened >= 0 else {
      throw .cannotStartEncoder(encoder: name, reason: LibavError(code: opened, log: log))
    }
    try Self.checkRefusals(log, settings: request.settings, name: name)
    let converter = try layout.converter(for: request)
    self.context = context
    self.name = name
    self.clock = clock
    self.owner = owner
    self.converter = converter
    usesPalette = layout.usesPalette
    layoutWarnings = layout.warnings(for: request, name: name, width: evenWidth, height: evenHeight)
  }

  /// Sends a frame to the encoder with a time in the encoder's ticks.
  mutating func send(_ frame: VideoFrame, at timestamp: Int64) throws(LibavError) {
    owner.isUsed = true
    let picture = try picture(of: frame)
    let raw = picture.raw
    raw.pointee.format = context.pointee.pix_fmt.rawValue
    // Crop an odd last column or row that the encoder does not support.
    raw.pointee.width = context.pointee.width
    raw.pointee.height = context.pointee.height
    raw.pointee.pts = timestamp
    cffmpeg_frame_set_duration(raw, 0)
    // Otherwise, the encoder would be forced to use the source's frame types.
    raw.pointee.pict_type = AV_PICTURE_TYPE_NONE
    raw.pointee.quality = context.pointee.global_quality
    try LibavLog.check { avcodec_send_frame(context, raw) }
  }

  private func picture(of frame: VideoFrame) throws(LibavError) -> FrameOwner {
    do throws(VideoIOError) {
      if usesPalette { return try Palette.applied(to: frame) }
      if let result = try converter?.converted(frame.raw) { return result }
      return try frame.reference()
    } catch {
      throw .outOfMemory
    }
  }

  /// Signals the end of the stream to the encoder.
  func finish() throws(LibavError) {
    try LibavLog.check { avcodec_send_frame(context, nil) }
  }

  /// Receives the next packet in decoding order.
  func receive(into packet: borrowing PacketOwner) throws(LibavError) -> Outcome {
    let (code, log) = LibavLog.collecting { avcodec_receive_packet(context, packet.raw) }
    switch code {
    case 0...: return .packet
    case LibavError.again.code: return .needsFrame
    case LibavError.endOfFile.code: return .end
    default: throw LibavError(code: code, log: log)
    }
  }

  /// Finds an encoder by its name, or the first one for a codec of that name.
  static func find(_ name: String) throws(VideoIOError) -> UnsafePointer<AVCodec> {
    if let codec = avcodec_find_encoder_by_name(name), codec.pointee.type == AVMEDIA_TYPE_VIDEO {
      return codec
    }
    if let descriptor = avcodec_descriptor_get_by_name(name), descriptor.pointee.type == AVMEDIA_TYPE_VIDEO,
      let codec = avcodec_find_encoder(descriptor.pointee.id)
    {
      return codec
    }
    throw .unknownEncoder(name: name)
  }
}
