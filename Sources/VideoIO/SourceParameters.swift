// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// A copy of a stream's codec parameters.
///
/// `@unchecked Sendable` is right because the parameters are filled in `init` and only read until `deinit`.
final class CodecParameters: @unchecked Sendable {
  let raw: UnsafeMutablePointer<AVCodecParameters>

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
      index: Int(value.index), kind: kind, codecName: codecName(source.pointee.codec_id),
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
        type: entry.type.rawValue, bytes: Array(UnsafeBufferPointer(start: entry.data, count: entry.size)))
    }
    isDiscarded = value.discard == AVDISCARD_ALL
    coverArt =
      isCover
      ? Array(UnsafeBufferPointer(start: value.attached_pic.data, count: Int(max(value.attached_pic.size, 0))))
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
    startTime = context.start_time == noTimestamp ? 0 : context.start_time
    hasTimestampJumps = cffmpeg_input_has_timestamp_jumps(demuxer.context) != 0
  }
}

extension MediaInfo {
  /// Facts of an opened file, of which the first frame has been decoded.
  init(
    demuxer: borrowing Demuxer, videoIndex: Int, source: SourceFile, first: VideoFrame,
    sourceFormatName: String, isConverted: Bool
  ) {
    let context = demuxer.context.pointee
    var source = source
    source.streams[videoIndex].addSideData(of: first)
    let video = source.streams[videoIndex]
    let stream = demuxer.stream(videoIndex)?.pointee
    path = demuxer.path
    containerName = context.iformat?.pointee.name.map { String(cString: $0) } ?? "unknown"
    codecName = video.info.codecName
    videoStreamIndex = videoIndex
    width = first.width
    height = first.height
    format = first.format
    self.sourceFormatName = sourceFormatName
    self.isConverted = isConverted
    color = first.color
    let frameAspect = Rational(first.raw.pointee.sample_aspect_ratio)
    sampleAspectRatio = video.sampleAspectRatio.isPositive ? video.sampleAspectRatio : frameAspect
    timeBase = video.timeBase
    let guessed = Rational(av_guess_frame_rate(demuxer.context, demuxer.stream(videoIndex), nil))
    averageFrameRate = video.averageFrameRate.isPositive ? video.averageFrameRate : guessed
    startTime = first.presentationTimestamp
    if let ticks = stream?.duration, ticks > 0 {
      duration = Double(ticks) * video.timeBase.doubleValue
    } else {
      duration = context.duration > 0 ? Double(context.duration) * microseconds.doubleValue : nil
    }
    let still = containerName.hasSuffix("_pipe") || containerName == "image2"
    isStillImage = still
    let announced = stream?.nb_frames ?? 0
    if still {
      estimatedFrameCount = 1
    } else if announced > 0 {
      estimatedFrameCount = Int(exactly: announced)
    } else if let duration, averageFrameRate.isPositive {
      estimatedFrameCount = Int(exactly: (duration * averageFrameRate.doubleValue).rounded())
    } else {
      estimatedFrameCount = nil
    }
    let matrix = video.sideData.first { $0.type == AV_PKT_DATA_DISPLAYMATRIX.rawValue }
    hasDisplayMatrix = matrix != nil
    rotation = matrix?.rotation ?? 0
    otherStreams = source.streams.filter { $0.info.index != videoIndex && !$0.isDiscarded }.map(\.info)
    self.source = source
  }
}

extension SourceStream {
  /// Adds what the bitstream says about the whole video where the container does not say it: HDR mastering
  /// data and orientation.
  fileprivate mutating func addSideData(of frame: VideoFrame) {
    let pairs = [
      (AV_FRAME_DATA_MASTERING_DISPLAY_METADATA, AV_PKT_DATA_MASTERING_DISPLAY_METADATA),
      (AV_FRAME_DATA_CONTENT_LIGHT_LEVEL, AV_PKT_DATA_CONTENT_LIGHT_LEVEL),
      (AV_FRAME_DATA_DISPLAYMATRIX, AV_PKT_DATA_DISPLAYMATRIX),
    ]
    for (frameType, packetType) in pairs {
      guard !sideData.contains(where: { $0.type == packetType.rawValue }),
        let entry = av_frame_get_side_data(frame.raw, frameType)?.pointee
      else { continue }
      sideData.append(
        EncodedPacket.SideData(
          type: packetType.rawValue, bytes: Array(UnsafeBufferPointer(start: entry.data, count: entry.size))))
    }
  }
}

extension EncodedPacket.SideData {
  /// Degrees counterclockwise, if this is a display matrix that rotates.
  ///
  /// The corresponding C function is `av_display_rotation_get`.
  fileprivate var rotation: Double? {
    guard bytes.count >= 36 else { return nil }
    let matrix = (0..<9).map { index in
      bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: index * 4, as: Int32.self) }
    }
    let degrees = matrix.withUnsafeBufferPointer { buffer in
      buffer.baseAddress.map { av_display_rotation_get($0) } ?? 0
    }
    return degrees.isFinite ? degrees : nil
  }
}
