// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// A copy of a stream's codec parameters.
///
/// `@unchecked Sendable` is safe because the parameters are set in `init` and only read until `deinit`.
final class CodecParameters: @unchecked Sendable {
  let raw: UnsafeMutablePointer<AVCodecParameters>

  /// Creates empty parameters.
  init() throws(VideoIOError) {
    guard let raw = avcodec_parameters_alloc() else { throw .outOfMemory }
    self.raw = raw
  }

  init(copying source: UnsafePointer<AVCodecParameters>) throws(VideoIOError) {
    var copy = avcodec_parameters_alloc()
    guard let raw = copy else { throw .outOfMemory }
    guard avcodec_parameters_copy(raw, source) >= 0 else {
      avcodec_parameters_free(&copy)
      throw .outOfMemory
    }
    self.raw = raw
  }

  deinit {
    var parameters: UnsafeMutablePointer<AVCodecParameters>? = raw
    avcodec_parameters_free(&parameters)
  }
}

/// FFmpeg's name of a stream's codec; for one that it does not know, the four characters that name it in the file, if any.
private func codecName(of parameters: UnsafePointer<AVCodecParameters>) -> String {
  let value = parameters.pointee
  let tag = withUnsafeBytes(of: value.codec_tag.littleEndian) { Array($0) }
  guard value.codec_id == AV_CODEC_ID_NONE, tag.allSatisfy({ (0x21...0x7E).contains($0) }) else {
    return codecName(value.codec_id)
  }
  return String(decoding: tag, as: UTF8.self)
}

/// FFmpeg's name of a codec.
func codecName(_ id: AVCodecID) -> String { String(cString: avcodec_get_name(id)) }

extension SourceStream {
  init(_ stream: UnsafeMutablePointer<AVStream>) throws(VideoIOError) {
    let value = stream.pointee
    guard let source = value.codecpar else { throw .outOfMemory }
    let metadata = MetadataEntry.entries(of: value.metadata)
    func tag(_ key: String) -> String? { metadata.first { $0.key.lowercased() == key }?.value }
    let isCover = value.disposition & AV_DISPOSITION_ATTACHED_PIC != 0
    let kind: StreamInfo.Kind =
      switch source.pointee.codec_type {
      case AVMEDIA_TYPE_VIDEO: isCover ? .coverArt : .video
      case AVMEDIA_TYPE_AUDIO: .audio
      case AVMEDIA_TYPE_SUBTITLE: .subtitle
      case AVMEDIA_TYPE_DATA: .data
      case AVMEDIA_TYPE_ATTACHMENT: .attachment
      default: .unknown
      }
    info = StreamInfo(
      index: Int(value.index), kind: kind, codecName: codecName(of: source),
      language: tag("language"), title: tag("title"))
    parameters = try CodecParameters(copying: source)
    timeBase = Rational(value.time_base)
    averageFrameRate = Rational(value.avg_frame_rate)
    sampleAspectRatio = Rational(
      value.sample_aspect_ratio.num != 0 ? value.sample_aspect_ratio : source.pointee.sample_aspect_ratio)
    disposition = value.disposition
    self.metadata = metadata
    sideData = (0..<cffmpeg_stream_side_data_count(stream)).compactMap { index in
      guard let entry = cffmpeg_stream_side_data(stream, index)?.pointee else { return nil }
      return EncodedPacket.SideData(
        type: entry.type.rawValue, bytes: byteArray(entry.data, entry.size))
    }
    isDiscarded = value.discard == AVDISCARD_ALL
    coverArt =
      isCover
      ? byteArray(value.attached_pic.data, Int(value.attached_pic.size))
      : []
  }
}

extension SourceFile {
  init(_ demuxer: borrowing Demuxer) throws(VideoIOError) {
    let context = demuxer.context.pointee
    var streams: [SourceStream] = []
    for index in 0..<demuxer.streamCount {
      guard let stream = demuxer.stream(index) else { throw .outOfMemory }
      streams.append(try SourceStream(stream))
    }
    self.streams = streams
    metadata = MetadataEntry.entries(of: context.metadata)
    chapters = (0..<Int(context.nb_chapters)).compactMap { index in
      guard let chapter = context.chapters[index]?.pointee else { return nil }
      return SourceChapter(
        id: Int64(chapter.id), timeBase: Rational(chapter.time_base), start: chapter.start,
        end: chapter.end, metadata: MetadataEntry.entries(of: chapter.metadata))
    }
    programs = (0..<Int(context.nb_programs)).compactMap { index in
      guard let program = context.programs[index]?.pointee else { return nil }
      let members = (0..<Int(program.nb_stream_indexes)).map { Int(program.stream_index[$0]) }
      return SourceProgram(
        id: program.id, streams: members, metadata: MetadataEntry.entries(of: program.metadata))
    }
    startTime = context.start_time == noTimestamp ? 0 : context.start_time
    hasTimestampJumps = cffmpeg_input_has_timestamp_jumps(demuxer.context) != 0
  }
}

extension SourceFile {
  /// The decoder parameters of the video and of AAC sound as they are in the header of a Matroska file: other sound may have
  /// been changed by FFmpeg.
  func headerParameters(_ videoIndex: Int) -> [[UInt8]] {
    streams.compactMap { stream in
      let value = stream.parameters.raw.pointee
      guard stream.info.index == videoIndex || value.codec_id == AV_CODEC_ID_AAC else { return nil }
      let bytes = byteArray(value.extradata, Int(value.extradata_size))
      guard !bytes.isEmpty, bytes.count < 127 else { return bytes.isEmpty ? nil : bytes }
      // The element CodecPrivate; a short string alone could be anywhere.
      return bytes.count < 8 ? [0x63, 0xA2, 0x80 | UInt8(bytes.count)] + bytes : bytes
    }
  }
}
