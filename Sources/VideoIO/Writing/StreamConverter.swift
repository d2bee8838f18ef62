// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Decodes a stream that the output's container does not support, and encodes it in a codec that it does.
///
/// Used by one task only.
protocol StreamConverter: AnyObject {
  /// The open encoder, whose parameters describe the output stream.
  var encoder: UnsafePointer<AVCodecContext> { get }
  /// Description of the result, such as `aac of 192 kb/s`.
  var product: String { get }
  /// Seconds per tick of the new packets.
  var timeBase: Rational { get }
  /// Number of packets that could not be decoded.
  var damagedCount: Int { get }

  /// Adds the next packet of the source; nil ends the stream.
  func push(_ packet: EncodedPacket?) throws(LibavError)
  /// Moves the next new packet into an empty one; returns false if another packet of the source is needed
  /// first.
  func next(into packet: borrowing PacketOwner) throws(LibavError) -> Bool
}

// MARK: - Choice

extension MuxerPlan {
  /// Creates a converter for a stream that the container does not accept unchanged; nil if there is none, or
  /// if conversion is disabled.
  /// - Parameter accepts: returns whether the container accepts the converter's stream.
  func converter(
    for stream: SourceStream, accepts: (any StreamConverter) -> Bool
  ) -> (any StreamConverter)? {
    let names: [String]
    switch stream.info.kind {
    case .audio where convertsAudio: names = soundEncoders(for: stream)
    case .subtitle where convertsSubtitles && stream.isText: names = subtitleEncoders
    default: return nil
    }
    let wantsHeader = format.pointee.flags & AVFMT_GLOBALHEADER != 0
    for name in names {
      guard let codec = avcodec_find_encoder_by_name(name), holds(codec.pointee.id) else { continue }
      let converter: (any StreamConverter)?
      if stream.info.kind == .audio {
        converter = try? SoundConverter(stream, codec: codec, wantsGlobalHeader: wantsHeader)
      } else {
        converter = try? SubtitleConverter(stream, codec: codec, wantsGlobalHeader: wantsHeader)
      }
      if let converter, accepts(converter) { return converter }
    }
    return nil
  }

  private func holds(_ codec: AVCodecID) -> Bool {
    if containerName == "mpegts" { return mayTakeInTransportStream(codec) }
    return avformat_query_codec(format, codec, FF_COMPLIANCE_EXPERIMENTAL) != 0
  }

  /// Returns the audio encoders for the container, in order of preference.
  private func soundEncoders(for stream: SourceStream) -> [String] {
    let usual = Self.name(ofEncoder: format.pointee.audio_codec)
    if isQuickTime { return ["aac"] + usual }
    switch containerName {
    case "webm": return ["libopus", "libvorbis"]
    case "matroska": return stream.isLosslessSound ? ["flac", "aac"] : ["aac", "flac"]
    case "mpegts": return isDiscStream ? ["ac3", "aac"] : ["aac", "ac3"]
    case "ogg": return stream.isLosslessSound ? ["flac", "libopus"] : ["libopus", "libvorbis", "flac"]
    case "flv": return ["aac"] + usual
    case "avi": return (stream.isLosslessSound ? ["pcm_s16le"] : []) + ["libmp3lame", "ac3"] + usual
    default: return usual
    }
  }

  /// Text subtitle encoders for the container.
  private var subtitleEncoders: [String] {
    if isQuickTime { return ["mov_text"] }
    switch containerName {
    case "webm": return ["webvtt"]
    case "matroska": return ["subrip"]
    default: return Self.name(ofEncoder: format.pointee.subtitle_codec)
    }
  }

  private static func name(ofEncoder id: AVCodecID) -> [String] {
    guard id != AV_CODEC_ID_NONE, let codec = avcodec_find_encoder(id),
      codec.pointee.capabilities & AV_CODEC_CAP_EXPERIMENTAL == 0
    else { return [] }
    return [String(cString: codec.pointee.name)]
  }

  /// Returns the remark about a converted stream.
  func describe(_ stream: SourceStream, convertedBy converter: any StreamConverter) -> MediaRemark {
    MediaRemark(
      .stream(stream.info.index), "\(describe(stream)) and is converted to \(converter.product)",
      remedy: stream.info.kind == .audio ? .copiedAudio : .copiedSubtitles)
  }
}

extension SourceStream {
  /// Whether all packets of sound have the same known duration or the same size per sample. AVI has no times: for other sound
  /// FFmpeg's muxer writes an empty packet for every sample.
  var hasEqualPackets: Bool {
    let value = parameters.raw.pointee
    return value.block_align > 0 || value.frame_size > 0
      || av_get_audio_frame_duration2(parameters.raw, 0) > 0
  }

  private var properties: Int32 {
    avcodec_descriptor_get(parameters.raw.pointee.codec_id)?.pointee.props ?? 0
  }

  /// Whether the codec is lossless, such as PCM or FLAC.
  fileprivate var isLosslessSound: Bool {
    properties & AV_CODEC_PROP_LOSSLESS != 0 && properties & AV_CODEC_PROP_LOSSY == 0
  }

  /// Whether subtitles are text with timestamps. EIA-608 captions are not: they are updated character
  /// by character.
  fileprivate var isText: Bool {
    properties & AV_CODEC_PROP_TEXT_SUB != 0 && properties & AV_CODEC_PROP_BITMAP_SUB == 0
      && parameters.raw.pointee.codec_id != AV_CODEC_ID_EIA_608
  }
}

// MARK: - Decoders

/// Opens the decoder of a stream.
func openDecoder(of stream: SourceStream) throws(LibavError) -> CodecContextOwner {
  let parameters = stream.parameters.raw
  guard let codec = avcodec_find_decoder(parameters.pointee.codec_id) else { throw .invalidData }
  let owner = try codecContext(codec)
  let context = owner.raw
  try LibavLog.check { avcodec_parameters_to_context(context, parameters) }
  context.pointee.pkt_timebase = stream.timeBase.libav
  context.pointee.thread_count = 1
  try LibavLog.check { avcodec_open2(context, codec, nil) }
  return owner
}

/// Allocates a codec's context.
func codecContext(_ codec: UnsafePointer<AVCodec>) throws(LibavError) -> CodecContextOwner {
  do throws(VideoIOError) { return try CodecContextOwner(codec) } catch { throw .outOfMemory }
}

extension EncodedPacket {
  /// Returns the packet as libav's structure.
  func libavPacket() throws(LibavError) -> PacketOwner {
    do throws(VideoIOError) {
      let packet = try PacketOwner()
      try store(in: packet.raw)
      return packet
    } catch { throw .outOfMemory }
  }
}

/// Allocates an empty packet.
func emptyPacket() throws(LibavError) -> PacketOwner {
  do throws(VideoIOError) { return try PacketOwner() } catch { throw .outOfMemory }
}

/// Allocates an empty frame.
func emptyFrame() throws(LibavError) -> FrameOwner {
  do throws(VideoIOError) { return try FrameOwner() } catch { throw .outOfMemory }
}
