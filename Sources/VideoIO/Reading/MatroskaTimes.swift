// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// What Matroska wants of packets' times that FFmpeg's muxer does not see to.
struct MatroskaTimes {
  /// Added to all times of a stream, in its ticks: the lead-in of Opus, which players take off again.
  private let leadIn: Int64

  /// - Parameters:
  ///   - stream: of an output whose header is written.
  init(_ stream: UnsafePointer<AVStream>) {
    guard let parameters = stream.pointee.codecpar?.pointee, parameters.codec_id == AV_CODEC_ID_OPUS,
      parameters.initial_padding > 0, !Self.muxerAddsLeadIn
    else {
      leadIn = 0
      return
    }
    // Opus counts in 48 kHz, whatever it was made from.
    leadIn = Rational(1, 48000).rescale(
      Int64(parameters.initial_padding), to: Rational(stream.pointee.time_base))
  }

  /// Corrects a packet's times.
  func correct(_ packet: UnsafeMutablePointer<AVPacket>) {
    guard packet.pointee.pts != noTimestamp else { return }
    packet.pointee.pts = packet.pointee.pts.saturatingPlus(leadIn)
    guard packet.pointee.dts != noTimestamp else { return }
    packet.pointee.dts = packet.pointee.dts.saturatingPlus(leadIn)
    // Matroska has no decoding times; those below zero would only make the muxer move all streams.
    if packet.pointee.dts < 0, packet.pointee.pts >= 0 { packet.pointee.dts = 0 }
  }

  /// Whether FFmpeg's muxer adds the lead-in itself. Those up to version 7 write how long it is (`CodecDelay`) and leave
  /// the times as they are, so that sound comes early by it; which one this is shows in what it writes.
  private static let muxerAddsLeadIn: Bool = {
    // A second of lead-in before a packet at zero: its cluster begins at 1000 or at 0.
    guard let written = sample(leadIn: 48000) else { return true }
    let moved: [UInt8] = [0xE7, 0x82, 0x03, 0xE8]
    return written.indices.contains { written[$0...].starts(with: moved) }
  }()

  /// A Matroska file of one packet of Opus at time zero; nil if FFmpeg does not write one.
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
