// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Converts a stream of text subtitles. Styles are kept if the new format supports them.
final class SubtitleConverter: StreamConverter {
  let product: String
  let timeBase = microseconds
  private(set) var damagedCount = 0

  private let decoder: CodecContextOwner
  private let target: CodecContextOwner
  private let sourceTimeBase: Rational
  private var ready: [EncodedPacket] = []
  private static let mostBytes = 1 << 20

  var encoder: UnsafePointer<AVCodecContext> { UnsafePointer(target.raw) }

  /// Opens the decoder and the encoder.
  /// - Throws: `LibavError` if FFmpeg lacks either of them.
  init(
    _ stream: SourceStream, codec: UnsafePointer<AVCodec>, wantsGlobalHeader: Bool
  ) throws(LibavError) {
    decoder = try openDecoder(of: stream)
    target = try codecContext(codec)
    sourceTimeBase = stream.timeBase
    product = codecName(codec.pointee.id)
    let context = target.raw
    context.pointee.time_base = microseconds.libav
    if wantsGlobalHeader { context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER }
    // Encoders read the styles from the decoder's header.
    let header = byteArray(decoder.raw.pointee.subtitle_header, Int(decoder.raw.pointee.subtitle_header_size))
    guard !header.isEmpty, let copy = av_mallocz(header.count + 1) else { throw .invalidData }
    header.withUnsafeBytes { source in
      if let base = source.baseAddress { memcpy(copy, base, source.count) }
    }
    context.pointee.subtitle_header = copy.assumingMemoryBound(to: UInt8.self)
    context.pointee.subtitle_header_size = Int32(header.count)
    try LibavLog.check { avcodec_open2(context, codec, nil) }
  }

  func push(_ encoded: EncodedPacket?) throws(LibavError) {
    // Text is decoded packet by packet without delay.
    guard let encoded else { return }
    let packet = try encoded.libavPacket()
    var subtitle = AVSubtitle()
    var isThere: Int32 = 0
    let (code, _) = LibavLog.collecting {
      avcodec_decode_subtitle2(decoder.raw, &subtitle, &isThere, packet.raw)
    }
    guard code >= 0 else {
      damagedCount += 1
      return
    }
    guard isThere != 0 else { return }
    defer { avsubtitle_free(&subtitle) }
    guard subtitle.num_rects > 0, let time = encoded.presentationTimestamp else { return }
    let start = Int64(subtitle.start_display_time) * 1000
    let end = subtitle.end_display_time == UInt32.max ? 0 : Int64(subtitle.end_display_time) * 1000
    let length =
      encoded.duration > 0 ? sourceTimeBase.rescale(encoded.duration, to: microseconds) : max(0, end - start)
    subtitle.pts = sourceTimeBase.rescale(time, to: microseconds).saturatingPlus(start)
    subtitle.start_display_time = 0
    subtitle.end_display_time = UInt32(clamping: length / 1000)
    let bytes = try encode(&subtitle)
    guard !bytes.isEmpty else { return }
    ready.append(
      EncodedPacket(
        streamIndex: encoded.streamIndex, presentation: subtitle.pts, decoding: subtitle.pts,
        duration: length, timeBase: microseconds, bytes: bytes, flags: AV_PKT_FLAG_KEY, sideData: []))
  }

  private func encode(_ subtitle: UnsafePointer<AVSubtitle>) throws(LibavError) -> [UInt8] {
    guard let memory = av_malloc(Self.mostBytes) else { throw .outOfMemory }
    defer { av_free(memory) }
    let buffer = memory.assumingMemoryBound(to: UInt8.self)
    let (count, _) = LibavLog.collecting {
      avcodec_encode_subtitle(target.raw, buffer, Int32(Self.mostBytes), subtitle)
    }
    // For example, a line that is too long.
    if count < 0 { damagedCount += 1 }
    return byteArray(buffer, Int(count))
  }

  func next(into packet: borrowing PacketOwner) throws(LibavError) -> Bool {
    guard !ready.isEmpty else { return false }
    let encoded = ready.removeFirst()
    av_packet_unref(packet.raw)
    do throws(VideoIOError) { try encoded.store(in: packet.raw) } catch { throw .outOfMemory }
    return true
  }
}
