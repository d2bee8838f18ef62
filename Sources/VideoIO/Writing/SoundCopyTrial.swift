// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Copies the beginning of a stream of sound into a container in memory and reads it again: FFmpeg's muxers accept codecs whose
/// parameters, or whose very name, they do not store.
struct SoundCopyTrial {
  private let stream: SourceStream
  private let input: String
  private let format: UnsafePointer<AVInputFormat>
  private let bytes: [UInt8]

  /// Codecs that all containers that accept them can return.
  private static let common = [
    AV_CODEC_ID_AAC, AV_CODEC_ID_AC3, AV_CODEC_ID_EAC3, AV_CODEC_ID_MP1, AV_CODEC_ID_MP2, AV_CODEC_ID_MP3,
    AV_CODEC_ID_OPUS, AV_CODEC_ID_VORBIS, AV_CODEC_ID_FLAC, AV_CODEC_ID_ALAC, AV_CODEC_ID_DTS,
    AV_CODEC_ID_TRUEHD, AV_CODEC_ID_PCM_S16LE, AV_CODEC_ID_PCM_S24LE,
  ]
  private static let (mostPackets, mostRead) = (8, 20_000)

  /// Makes the copy; nil if that is unnecessary or impossible, as with pipes.
  init?(_ stream: SourceStream, plan: MuxerPlan, video: UnsafePointer<AVCodecContext>) {
    guard !Self.common.contains(stream.parameters.raw.pointee.codec_id), !plan.input.isEmpty,
      InputFormats.isOnDisk(plan.input), let format = WrittenFile.reader(of: plan.containerName),
      let packets = Self.packets(of: stream, in: plan.input), !packets.isEmpty,
      let bytes = try? Self.copy(packets, of: stream, plan: plan, video: video)
    else { return nil }
    self.stream = stream
    self.format = format
    self.bytes = bytes
    input = plan.input
  }

  private static func packets(of stream: SourceStream, in path: String) -> [EncodedPacket]? {
    guard let demuxer = try? Demuxer(path: path), let packet = try? PacketOwner() else { return nil }
    let index = stream.info.index
    for other in 0..<demuxer.streamCount where other != index {
      demuxer.stream(other)?.pointee.discard = AVDISCARD_ALL
    }
    var result: [EncodedPacket] = []
    for _ in 0..<mostRead {
      guard result.count < mostPackets, case .packet = demuxer.read(into: packet) else { break }
      guard Int(packet.raw.pointee.stream_index) == index else { continue }
      result.append(EncodedPacket(packet.raw, timeBase: stream.timeBase))
    }
    return result
  }

  /// A file with these packets alone.
  private static func copy(
    _ packets: [EncodedPacket], of stream: SourceStream, plan: MuxerPlan,
    video: UnsafePointer<AVCodecContext>
  ) throws -> [UInt8] {
    let context = try plan.build(
      streams: [stream.info.index], converters: [:], video: video, path: plan.url)
    guard avio_open_dyn_buf(&context.raw.pointee.pb) >= 0 else { throw LibavError.outOfMemory }
    let (code, _) = LibavLog.collecting { write(packets, to: context.raw) }
    var memory: UnsafeMutablePointer<UInt8>?
    let count = avio_close_dyn_buf(context.raw.pointee.pb, &memory)
    context.raw.pointee.pb = nil
    defer { av_free(memory) }
    guard code >= 0 else { throw LibavError(code: code) }
    return byteArray(memory, Int(count))
  }

  private static func write(
    _ packets: [EncodedPacket], to context: UnsafeMutablePointer<AVFormatContext>
  ) -> Int32 {
    var code = avformat_write_header(context, nil)
    guard code >= 0, let output = context.pointee.streams[0] else { return code }
    for encoded in packets where code >= 0 {
      guard let packet = try? PacketOwner(), (try? encoded.store(in: packet.raw)) != nil else {
        return LibavError.outOfMemory.code
      }
      av_packet_rescale_ts(packet.raw, encoded.timeBase.libav, output.pointee.time_base)
      packet.raw.pointee.stream_index = 0
      if packet.raw.pointee.pts == noTimestamp { packet.raw.pointee.pts = packet.raw.pointee.dts }
      if packet.raw.pointee.dts == noTimestamp { packet.raw.pointee.dts = packet.raw.pointee.pts }
      code = av_interleaved_write_frame(context, packet.raw)
    }
    // Also after an error, since it frees what the header allocated.
    return min(code, av_write_trailer(context))
  }

  /// Whether the copy is the same codec and can be decoded, if the source can.
  var succeeds: Bool {
    let memory = MemoryFile(bytes)
    guard let io = memory.open() else { return true }
    defer { MemoryFile.close(io) }
    var context = avformat_alloc_context()
    context?.pointee.pb = io
    let (opened, _) = LibavLog.collecting { () -> Int32 in
      let code = avformat_open_input(&context, nil, format, nil)
      return code < 0 ? code : avformat_find_stream_info(context, nil)
    }
    defer { avformat_close_input(&context) }
    let codec = stream.parameters.raw.pointee.codec_id
    guard opened >= 0, let context, context.pointee.nb_streams > 0, let found = context.pointee.streams[0],
      found.pointee.codecpar.pointee.codec_id == codec
    else { return false }
    guard avcodec_find_decoder(codec) != nil, SoundTrial.succeeds(with: stream, of: input) else {
      return true
    }
    guard let copy = try? SourceStream(found), let decoder = try? openDecoder(of: copy),
      let packet = try? PacketOwner()
    else { return false }
    while LibavLog.collecting({ av_read_frame(context, packet.raw) }).0 >= 0 {
      _ = LibavLog.collecting { avcodec_send_packet(decoder.raw, packet.raw) }
      av_packet_unref(packet.raw)
      if SoundTrial.hasSamples(decoder) { return true }
    }
    _ = LibavLog.collecting { avcodec_send_packet(decoder.raw, nil) }
    return SoundTrial.hasSamples(decoder)
  }
}

/// A file in memory for FFmpeg to read.
private final class MemoryFile {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Opens the file, which must outlive the result.
  func open() -> UnsafeMutablePointer<AVIOContext>? {
    let size = 32768
    guard let buffer = av_malloc(size) else { return nil }
    return avio_alloc_context(
      buffer.assumingMemoryBound(to: UInt8.self), Int32(size), 0, Unmanaged.passUnretained(self).toOpaque(),
      { MemoryFile.of($0)?.read(into: $1, count: Int($2)) ?? LibavError.endOfFile.code }, nil,
      { MemoryFile.of($0)?.seek(to: $1, from: $2) ?? -1 })
  }

  static func close(_ io: UnsafeMutablePointer<AVIOContext>) {
    var io: UnsafeMutablePointer<AVIOContext>? = io
    // FFmpeg may have replaced the buffer.
    av_freep(&io!.pointee.buffer)
    avio_context_free(&io)
  }

  private static func of(_ opaque: UnsafeMutableRawPointer?) -> MemoryFile? {
    opaque.map { Unmanaged<MemoryFile>.fromOpaque($0).takeUnretainedValue() }
  }

  private func read(into target: UnsafeMutablePointer<UInt8>?, count: Int) -> Int32 {
    let count = min(count, bytes.count - position)
    guard count > 0, let target else { return LibavError.endOfFile.code }
    bytes.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { target.update(from: base + position, count: count) }
    }
    position += count
    return Int32(count)
  }

  private func seek(to offset: Int64, from whence: Int32) -> Int64 {
    if whence & AVSEEK_SIZE != 0 { return Int64(bytes.count) }
    let base = [SEEK_SET: 0, SEEK_CUR: position, SEEK_END: bytes.count][whence & 3] ?? 0
    guard let place = Int(exactly: offset.saturatingPlus(Int64(base))), (0...bytes.count).contains(place)
    else { return Int64(LibavError(errno: 22).code) }
    position = place
    return Int64(place)
  }
}
