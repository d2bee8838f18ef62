// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Corrections to packet times that Matroska requires but FFmpeg's muxer does not make.
struct MatroskaTimes {
  /// Added to all times of a stream, in its ticks: the lead-in of Opus, which players subtract again.
  private let leadIn: Int64

  /// - Parameters:
  ///   - stream: a stream of an output whose header has been written.
  init(_ stream: UnsafePointer<AVStream>) {
    guard let parameters = stream.pointee.codecpar?.pointee, parameters.codec_id == AV_CODEC_ID_OPUS,
      parameters.initial_padding > 0, !Self.muxerAddsLeadIn
    else {
      leadIn = 0
      return
    }
    // Opus always counts in 48 kHz.
    leadIn = Rational(1, 48000).rescale(
      Int64(parameters.initial_padding), to: Rational(stream.pointee.time_base))
  }

  /// Corrects a packet's times.
  func correct(_ packet: UnsafeMutablePointer<AVPacket>) {
    guard packet.pointee.pts != noTimestamp else { return }
    packet.pointee.pts = packet.pointee.pts.saturatingPlus(leadIn)
    guard packet.pointee.dts != noTimestamp else { return }
    packet.pointee.dts = packet.pointee.dts.saturatingPlus(leadIn)
    // Matroska stores no decoding times; negative ones would only make the muxer shift all streams.
    if packet.pointee.dts < 0, packet.pointee.pts >= 0 { packet.pointee.dts = 0 }
  }

  /// Whether FFmpeg's muxer adds the lead-in itself. Versions up to 7 write its length (`CodecDelay`) but do not adjust
  /// the times, so audio plays early by that much. Detected from a sample that the muxer writes.
  private static let muxerAddsLeadIn: Bool = {
    // With one second of lead-in and a packet at zero, the cluster starts at 1000 or at 0.
    guard let written = sample(leadIn: 48000) else { return true }
    let moved: [UInt8] = [0xE7, 0x82, 0x03, 0xE8]
    return written.indices.contains { written[$0...].starts(with: moved) }
  }()

  /// A Matroska file with one Opus packet at time zero; nil if FFmpeg cannot write one.
  private static func sample(leadIn: Int32) -> [UInt8]? {
    guard let format = av_guess_format("matroska", nil, nil),
      let context = try? MuxerContext(format: format, url: ""),
      let stream = avformat_new_stream(context.raw, nil), let parameters = stream.pointee.codecpar,
      let packet = try? PacketOwner(), av_new_packet(packet.raw, 4) >= 0,
      avio_open_dyn_buf(&context.raw.pointee.pb) >= 0
    else { return nil }
    var bytes: UnsafeMutablePointer<UInt8>?
    defer { av_free(bytes) }
    context.raw.pointee.avoid_negative_ts = 0
    parameters.pointee.codec_type = AVMEDIA_TYPE_AUDIO
    parameters.pointee.codec_id = AV_CODEC_ID_OPUS
    parameters.pointee.sample_rate = 48000
    parameters.pointee.initial_padding = leadIn
    av_channel_layout_default(&parameters.pointee.ch_layout, 1)
    memset(packet.raw.pointee.data, 0, 4)
    (packet.raw.pointee.pts, packet.raw.pointee.dts, packet.raw.pointee.duration) = (0, 0, 20)
    let (code, _) = LibavLog.collecting {
      let begun = avformat_write_header(context.raw, nil)
      guard begun >= 0 else { return begun }
      let written = av_write_frame(context.raw, packet.raw)
      return written < 0 ? written : av_write_trailer(context.raw)
    }
    let count = avio_close_dyn_buf(context.raw.pointee.pb, &bytes)
    context.raw.pointee.pb = nil
    return code >= 0 ? byteArray(bytes, Int(count)) : nil
  }
}
