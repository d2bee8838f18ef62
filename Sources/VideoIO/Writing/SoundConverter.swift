// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Converts an audio stream.
///
/// The new stream keeps the source's timestamps: gaps of up to ten seconds are filled with silence, longer
/// ones stay gaps, and overlaps are cut off. Deviations below 30 ms, such as from rounded timestamps, are
/// ignored.
final class SoundConverter: StreamConverter {
  let product: String
  private(set) var damagedCount = 0

  private let decoder: CodecContextOwner
  private let target: CodecContextOwner
  private let frameSize: Int32
  private var filter: SoundFilter?
  /// Position of the next decoded sample, in samples at the input rate of `filter`.
  private var expected: Int64?
  /// New packets not fetched yet.
  private var ready: [EncodedPacket] = []

  private static let longestSilence: Int64 = 10

  var encoder: UnsafePointer<AVCodecContext> { UnsafePointer(target.raw) }
  var timeBase: Rational { Rational(target.raw.pointee.time_base) }

  /// Opens the decoder and the encoder.
  /// - Throws: `LibavError` if either of them does not support the stream.
  init(
    _ stream: SourceStream, codec: UnsafePointer<AVCodec>, wantsGlobalHeader: Bool
  ) throws(LibavError) {
    decoder = try openDecoder(of: stream)
    var source = AVChannelLayout()
    try LibavLog.check { av_channel_layout_copy(&source, &stream.parameters.raw.pointee.ch_layout) }
    defer { av_channel_layout_uninit(&source) }
    guard source.nb_channels > 0, cffmpeg_name_channels(&source) != 0 else { throw .invalidData }
    target = try Self.openEncoder(
      codec, for: stream, channels: source, wantsGlobalHeader: wantsGlobalHeader)
    let context = target.raw.pointee
    let isOfAnySize = codec.pointee.capabilities & AV_CODEC_CAP_VARIABLE_FRAME_SIZE != 0
    frameSize = isOfAnySize || context.frame_size <= 0 ? 1024 : context.frame_size
    let rate = Self.bitRate(codec.pointee.id, channels: context.ch_layout.nb_channels)
    let mixed =
      context.ch_layout.nb_channels < source.nb_channels
      ? ", mixed from \(source.nb_channels) to \(context.ch_layout.nb_channels) channels" : ""
    product = codecName(codec.pointee.id) + (rate.map { " of \($0 / 1000) kb/s" } ?? "") + mixed
  }

  // MARK: - Encoder

  /// Opens the encoder for the source's channels, or for fewer if they are not supported.
  private static func openEncoder(
    _ codec: UnsafePointer<AVCodec>, for stream: SourceStream, channels: AVChannelLayout,
    wantsGlobalHeader: Bool
  ) throws(LibavError) -> CodecContextOwner {
    var refusal = LibavError.invalidData
    var counts: [Int32] = [channels.nb_channels]
    counts += [6, 2, 1].filter { $0 < channels.nb_channels }
    // Encoders may support only one of several layouts with the same number of channels, such as 5.1 with
    // back or with side speakers.
    for (index, count) in ([0] + counts).enumerated() {
      do throws(LibavError) {
        let owner = try codecContext(codec)
        let context = owner.raw
        if index == 0 {
          var source = channels
          try LibavLog.check { av_channel_layout_copy(&context.pointee.ch_layout, &source) }
          if codec.pointee.id == AV_CODEC_ID_AAC {
            cffmpeg_choose_numbered_layout(&context.pointee.ch_layout)
          }
        } else {
          av_channel_layout_default(&context.pointee.ch_layout, count)
        }
        try open(codec, context, for: stream, wantsGlobalHeader: wantsGlobalHeader)
        return owner
      } catch { refusal = error }
    }
    throw refusal
  }

  private static func open(
    _ codec: UnsafePointer<AVCodec>, _ context: UnsafeMutablePointer<AVCodecContext>,
    for stream: SourceStream, wantsGlobalHeader: Bool
  ) throws(LibavError) {
    let source = stream.parameters.raw.pointee
    // Higher rates do not help lossy codecs, and few players support them.
    let isLossy = bitRate(codec.pointee.id, channels: 1) != nil
    let rate = sampleRate(
      context, codec, near: isLossy ? min(source.sample_rate, 48000) : source.sample_rate)
    context.pointee.sample_rate = rate
    context.pointee.time_base = AVRational(num: 1, den: rate)
    context.pointee.sample_fmt = sampleFormat(context, codec, for: source)
    if let bits = bitRate(codec.pointee.id, channels: context.pointee.ch_layout.nb_channels) {
      context.pointee.bit_rate = .init(bits)
    }
    if codec.pointee.id == AV_CODEC_ID_FLAC, context.pointee.sample_fmt == AV_SAMPLE_FMT_S32 {
      context.pointee.bits_per_raw_sample = 24
    }
    if wantsGlobalHeader { context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER }
    try LibavLog.check { avcodec_open2(context, codec, nil) }
  }

  /// Returns the encoder's lowest sample rate not below the source's, or else its highest.
  private static func sampleRate(
    _ context: UnsafePointer<AVCodecContext>, _ codec: UnsafePointer<AVCodec>, near rate: Int32
  ) -> Int32 {
    let wanted = rate > 0 ? rate : 48000
    guard let list = cffmpeg_encoder_sample_rates(context, codec) else { return wanted }
    var rates: [Int32] = []
    while rates.count < 100, list[rates.count] != 0 { rates.append(list[rates.count]) }
    return rates.filter { $0 >= wanted }.min() ?? rates.max() ?? wanted
  }

  /// Returns the encoder's sample format of the source's depth, or the deepest one below.
  private static func sampleFormat(
    _ context: UnsafePointer<AVCodecContext>, _ codec: UnsafePointer<AVCodec>, for source: AVCodecParameters
  ) -> AVSampleFormat {
    guard let list = cffmpeg_encoder_sample_formats(context, codec) else { return AV_SAMPLE_FMT_S16 }
    var formats: [AVSampleFormat] = []
    while formats.count < 100, list[formats.count] != AV_SAMPLE_FMT_NONE {
      formats.append(list[formats.count])
    }
    let format = AVSampleFormat(source.format)
    let isDeep = source.bits_per_raw_sample > 16 || av_get_bytes_per_sample(format) > 2
    let fitting = formats.first { (av_get_bytes_per_sample($0) > 2) == isDeep }
    return fitting ?? formats.first ?? AV_SAMPLE_FMT_S16
  }

  /// Returns the bit rate in bits per second; nil for lossless codecs.
  static func bitRate(_ codec: AVCodecID, channels: Int32) -> Int? {
    let isLossless = (avcodec_descriptor_get(codec)?.pointee.props ?? 0) & AV_CODEC_PROP_LOSSY == 0
    if isLossless { return nil }
    let further = max(0, Int(channels) - 2)
    if codec == AV_CODEC_ID_OPUS { return channels == 1 ? 96_000 : 160_000 + 56_000 * further }
    let rate = channels == 1 ? 96_000 : 192_000 + 64_000 * further
    return codec == AV_CODEC_ID_AC3 ? min(rate, 448_000) : rate
  }

  // MARK: - Work

  func push(_ encoded: EncodedPacket?) throws(LibavError) {
    if let encoded {
      let packet = try encoded.libavPacket()
      let (code, _) = LibavLog.collecting { avcodec_send_packet(decoder.raw, packet.raw) }
      if code < 0 { damagedCount += 1 }
    } else {
      _ = LibavLog.collecting { avcodec_send_packet(decoder.raw, nil) }
    }
    while true {
      let frame = try emptyFrame()
      let (code, _) = LibavLog.collecting { avcodec_receive_frame(decoder.raw, frame.raw) }
      if code == LibavError.again.code || code == LibavError.endOfFile.code { break }
      guard code >= 0 else {
        damagedCount += 1
        break
      }
      try take(frame)
    }
    if encoded == nil { try finish() }
  }

  func next(into packet: borrowing PacketOwner) throws(LibavError) -> Bool {
    guard !ready.isEmpty else { return false }
    let encoded = ready.removeFirst()
    av_packet_unref(packet.raw)
    do throws(VideoIOError) { try encoded.store(in: packet.raw) } catch { throw .outOfMemory }
    return true
  }

  /// Places decoded samples according to their timestamp.
  private func take(_ frame: borrowing FrameOwner) throws(LibavError) {
    let raw = frame.raw
    guard raw.pointee.nb_samples > 0, raw.pointee.sample_rate > 0,
      cffmpeg_name_channels(&raw.pointee.ch_layout) != 0
    else { return }
    if filter?.takes(raw) == false {
      // The sample rate or the channels change here.
      if let rate = filter?.rate, let place = expected {
        expected = Rational(1, rate).rescale(place, to: Rational(1, raw.pointee.sample_rate))
      }
      try endPart(isLast: false)
    }
    let rate = raw.pointee.sample_rate
    let time = raw.pointee.best_effort_timestamp
    var place = expected ?? 0
    if time != noTimestamp {
      place = Rational(decoder.raw.pointee.pkt_timebase).rescale(time, to: Rational(1, rate))
    }
    if let expected {
      let tolerance = Int64(rate) * 30 / 1000
      let gap = place.saturatingMinus(expected)
      if gap > Self.longestSilence * Int64(rate) {
        try endPart(isLast: false)
      } else {
        if gap > tolerance {
          try fill(gap, like: raw, from: expected)
        } else if gap < -tolerance {
          guard -gap < Int64(raw.pointee.nb_samples) else { return }
          cffmpeg_frame_drop_samples(raw, Int32(-gap))
        }
        place = gap > tolerance ? place : expected
      }
    }
    try feed(raw, at: place)
  }

  /// Inserts silence.
  private func fill(
    _ count: Int64, like model: UnsafePointer<AVFrame>, from start: Int64
  ) throws(LibavError) {
    var done: Int64 = 0
    while done < count {
      let silence = try emptyFrame()
      let part = Int32(min(count - done, 4096))
      var layout = model.pointee.ch_layout
      try LibavLog.check {
        cffmpeg_frame_make_silent(
          silence.raw, model.pointee.format, model.pointee.sample_rate, &layout, part)
      }
      try feed(silence.raw, at: start + done)
      done += Int64(part)
    }
  }

  private func feed(_ frame: UnsafeMutablePointer<AVFrame>, at place: Int64) throws(LibavError) {
    expected = place.saturatingPlus(Int64(frame.pointee.nb_samples))
    frame.pointee.pts = place
    if filter == nil { filter = try SoundFilter.open(like: frame, for: encoder, frameSize: frameSize) }
    try filter?.push(frame)
    try encodeFiltered(isLast: false)
  }

  /// Ends a continuous part; the samples that follow have another position or format.
  private func endPart(isLast: Bool) throws(LibavError) {
    try filter?.push(nil)
    try encodeFiltered(isLast: isLast)
    filter = nil
  }

  private func encodeFiltered(isLast: Bool) throws(LibavError) {
    while true {
      let frame = try emptyFrame()
      guard try filter?.next(into: frame) == true else { return }
      if frame.raw.pointee.nb_samples < frameSize, !isLast {
        // Encoders accept a short frame only at the end.
        let whole = try emptyFrame()
        var layout = frame.raw.pointee.ch_layout
        try LibavLog.check {
          cffmpeg_frame_make_silent(
            whole.raw, frame.raw.pointee.format, frame.raw.pointee.sample_rate, &layout, frameSize)
        }
        cffmpeg_frame_copy_samples(whole.raw, frame.raw)
        whole.raw.pointee.pts = frame.raw.pointee.pts
        try encode(whole.raw)
      } else {
        try encode(frame.raw)
      }
    }
  }

  private func finish() throws(LibavError) {
    try endPart(isLast: true)
    try encode(nil)
  }

  private func encode(_ frame: UnsafePointer<AVFrame>?) throws(LibavError) {
    try LibavLog.check { avcodec_send_frame(target.raw, frame) }
    while true {
      let packet = try emptyPacket()
      let (code, log) = LibavLog.collecting { avcodec_receive_packet(target.raw, packet.raw) }
      if code == LibavError.again.code || code == LibavError.endOfFile.code { return }
      guard code >= 0 else { throw LibavError(code: code, log: log) }
      ready.append(EncodedPacket(packet.raw, timeBase: timeBase))
    }
  }
}

/// Converts samples to an encoder's rate, format and channels, and splits them into frames of its size.
struct SoundFilter: ~Copyable {
  /// Samples per second of the input.
  let rate: Int32
  private let format: Int32
  private let channels: String
  private let graph: FilterGraphOwner
  private let source: UnsafeMutablePointer<AVFilterContext>
  private let sink: UnsafeMutablePointer<AVFilterContext>
  private let encoderTimeBase: Rational

  /// Creates a filter.
  /// - Parameter frame: a frame in the format of all input.
  static func open(
    like frame: UnsafePointer<AVFrame>, for encoder: UnsafePointer<AVCodecContext>, frameSize: Int32
  ) throws(LibavError) -> SoundFilter {
    guard let graph = avfilter_graph_alloc() else { throw .outOfMemory }
    return try SoundFilter(
      owner: FilterGraphOwner(raw: graph), graph, like: frame, for: encoder, frameSize: frameSize)
  }

  private init(
    owner: consuming FilterGraphOwner, _ graph: UnsafeMutablePointer<AVFilterGraph>,
    like frame: UnsafePointer<AVFrame>, for encoder: UnsafePointer<AVCodecContext>, frameSize: Int32
  ) throws(LibavError) {
    graph.pointee.nb_threads = 1
    let rate = frame.pointee.sample_rate
    let channels = Self.name(frame.pointee.ch_layout)
    let arguments =
      "time_base=1/\(rate):sample_rate=\(rate):channel_layout=\(channels)"
      + ":sample_fmt=\(Self.name(AVSampleFormat(frame.pointee.format)))"
    let description =
      "aresample=\(encoder.pointee.sample_rate),aformat=sample_fmts=\(Self.name(encoder.pointee.sample_fmt))"
      + ":sample_rates=\(encoder.pointee.sample_rate):channel_layouts=\(Self.name(encoder.pointee.ch_layout))"
    var source: UnsafeMutablePointer<AVFilterContext>?
    var sink: UnsafeMutablePointer<AVFilterContext>?
    let (result, log) = LibavLog.collecting {
      cffmpeg_filter_chain(graph, 1, arguments, description, &source, &sink)
    }
    guard result >= 0, let source, let sink else { throw LibavError(code: min(result, -1), log: log) }
    av_buffersink_set_frame_size(sink, UInt32(frameSize))
    self.graph = owner
    self.rate = rate
    self.format = frame.pointee.format
    self.channels = channels
    self.source = source
    self.sink = sink
    encoderTimeBase = Rational(encoder.pointee.time_base)
  }

  private static func name(_ format: AVSampleFormat) -> String {
    av_get_sample_fmt_name(format).map { String(cString: $0) } ?? "?"
  }

  private static func name(_ layout: AVChannelLayout) -> String {
    var layout = layout
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let base = buffer.baseAddress, av_channel_layout_describe(&layout, base, buffer.count) > 0 else {
        return "?"
      }
      return String(cString: base)
    }
  }

  /// Returns whether a frame has the format of the previous ones.
  func takes(_ frame: UnsafePointer<AVFrame>) -> Bool {
    frame.pointee.sample_rate == rate && frame.pointee.format == format
      && Self.name(frame.pointee.ch_layout) == channels
  }

  /// Adds samples; nil ends the input.
  func push(_ frame: UnsafeMutablePointer<AVFrame>?) throws(LibavError) {
    try LibavLog.check { av_buffersrc_add_frame_flags(source, frame, Int32(AV_BUFFERSRC_FLAG_PUSH)) }
  }

  /// Moves the encoder's next frame, with its timestamp in the encoder's ticks, into `frame`; returns false
  /// if there is none yet.
  func next(into frame: borrowing FrameOwner) throws(LibavError) -> Bool {
    let (code, log) = LibavLog.collecting { av_buffersink_get_frame(sink, frame.raw) }
    if code == LibavError.again.code || code == LibavError.endOfFile.code { return false }
    guard code >= 0 else { throw LibavError(code: code, log: log) }
    frame.raw.pointee.pts = Rational(av_buffersink_get_time_base(sink)).rescale(
      frame.raw.pointee.pts, to: encoderTimeBase)
    return true
  }
}
