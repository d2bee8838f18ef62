// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

extension MediaInfo {
  /// Describes an open file whose first frame has been decoded.
  init(
    demuxer: borrowing Demuxer, videoIndex: Int, source: SourceFile, first: VideoFrame,
    sourceFormatName: String, isConverted: Bool, window: TrimWindow?
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
    source.hasConstantRate =
      stream.map { Rational($0.r_frame_rate).isNear(Rational($0.avg_frame_rate)) } ?? false
    let guessed = Rational(av_guess_frame_rate(demuxer.context, demuxer.stream(videoIndex), nil))
    averageFrameRate = video.averageFrameRate.isPositive ? video.averageFrameRate : guessed
    startTime = first.presentationTimestamp
    var announcedDuration = context.duration > 0 ? Double(context.duration) * microseconds.doubleValue : nil
    if demuxer.durationIncludesStart, let whole = announcedDuration, context.start_time > 0 {
      let left = whole - Double(context.start_time) * microseconds.doubleValue
      if left > 0 { announcedDuration = left }
    }
    if let ticks = stream?.duration, ticks > 0 {
      announcedDuration = Double(ticks) * video.timeBase.doubleValue
    }
    duration = window.map { $0.length(ofWhole: announcedDuration, source: source) } ?? announcedDuration
    let still = demuxer.isStillImage
    isStillImage = still
    let announced = stream?.nb_frames ?? 0
    if still {
      estimatedFrameCount = 1
    } else if announced > 0, window == nil {
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

extension MediaInfo {
  /// Describes a file with only a video stream, for writing frames that do not come from a file.
  ///
  /// - Parameters:
  ///   - timeBase: seconds per tick of the frames' timestamps.
  ///   - frameRate: frames per second, a hint for encoders.
  /// - Throws: `VideoIOError.outOfMemory`.
  package static func blank(
    width: Int, height: Int, format: PixelFormat, color: ColorDescription = ColorDescription(),
    timeBase: Rational, frameRate: Rational
  ) throws(VideoIOError) -> MediaInfo {
    let stream = SourceStream(
      info: StreamInfo(index: 0, kind: .video, codecName: "rawvideo"), parameters: try CodecParameters(),
      timeBase: timeBase, averageFrameRate: frameRate, sampleAspectRatio: Rational(0, 1),
      disposition: AV_DISPOSITION_DEFAULT, metadata: [], sideData: [], isDiscarded: false, coverArt: [])
    return MediaInfo(
      path: "", containerName: "none", codecName: "rawvideo", videoStreamIndex: 0, width: width,
      height: height, format: format, sourceFormatName: format.name, isConverted: false, color: color,
      sampleAspectRatio: Rational(0, 1), timeBase: timeBase, averageFrameRate: frameRate, startTime: 0,
      duration: nil, estimatedFrameCount: nil, hasDisplayMatrix: false, rotation: 0, isStillImage: false,
      otherStreams: [],
      source: SourceFile(
        streams: [stream], metadata: [], chapters: [], startTime: 0, hasTimestampJumps: false))
  }
}

extension Rational {
  /// Whether both are valid frame rates that differ by less than a thousandth.
  fileprivate func isNear(_ other: Rational) -> Bool {
    isPositive && other.isPositive && abs(doubleValue - other.doubleValue) < doubleValue / 1000
  }
}

extension SourceStream {
  /// Adds properties of the whole video from the bitstream if the container lacks them: HDR mastering data
  /// and orientation.
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
          type: packetType.rawValue, bytes: byteArray(entry.data, entry.size)))
    }
  }
}

extension SourceStream {
  /// Whether the video uses a Dolby Vision profile whose colours are wrong in players without support for it.
  var needsDolbyVision: Bool {
    // Version (2 bytes), profile, level, three flags, compatibility ID.
    guard let record = sideData.first(where: { $0.type == AV_PKT_DATA_DOVI_CONF.rawValue })?.bytes,
      record.count >= 8
    else { return false }
    return record[2] == 5 || record[2] >= 8 && record[7] == 0
  }
}

extension EncodedPacket.SideData {
  /// Rotation in degrees counterclockwise, if this is a display matrix with one.
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
