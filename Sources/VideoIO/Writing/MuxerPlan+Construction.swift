// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

// Creates a muxer from its plan.
extension MuxerPlan {
  /// Creates a container with streams, chapters and tags, without opening its file.
  func build(
    streams: Set<Int>, converters: [Int: any StreamConverter], video: UnsafePointer<AVCodecContext>,
    path: String
  ) throws(VideoIOError) -> MuxerContext {
    do throws(LibavError) {
      let context = try MuxerContext(format: format, url: url)
      // Same as in the ffmpeg program: time for players of program streams to fill their buffers.
      context.raw.pointee.max_delay = 700_000
      // Older versions of FFmpeg treat FLAC in MP4 and the like as experimental; losing it would be worse.
      context.raw.pointee.strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL
      // Otherwise these give streams random numbers, and no two files would be equal.
      if isMatroska || containerName == "ogg" { context.raw.pointee.flags |= AVFMT_FLAG_BITEXACT }
      for stream in source.streams where streams.contains(stream.info.index) {
        guard let output = avformat_new_stream(context.raw, nil) else { throw .outOfMemory }
        output.pointee.id = 0
        output.pointee.disposition = stream.disposition
        if stream.info.index == videoIndex {
          try describeVideo(stream, encoder: video, in: output)
        } else if isAttachment(stream) {
          try describeAttachment(stream, in: output)
        } else if let converter = converters[stream.info.index] {
          try describe(stream, from: converter, in: output)
        } else {
          try describeCopy(stream, in: output)
        }
      }
      try addPrograms(to: context.raw, streams: streams)
      MetadataEntry.store(fileMetadata, in: &context.raw.pointee.metadata)
      try addChapters(to: context.raw)
      return context
    } catch {
      throw .cannotCreate(path: path, reason: error)
    }
  }

  /// Writes the header to the open file.
  func writeHeader(_ context: borrowing MuxerContext, path: String) throws(VideoIOError) {
    var options: OpaquePointer?
    defer { av_dict_free(&options) }
    let wanted = self.options(forPlayersOf: context)
    for (key, value) in wanted { av_dict_set(&options, key, value, 0) }
    let chapterCount = context.raw.pointee.nb_chapters
    if writesChaptersLast { context.raw.pointee.nb_chapters = 0 }
    let (code, log) = LibavLog.collecting { avformat_write_header(context.raw, &options) }
    context.raw.pointee.nb_chapters = chapterCount
    if let refused = MetadataEntry.entries(of: options).first {
      throw .encoderOption(
        encoder: containerName, option: refused.key, value: refused.value,
        reason: LibavError(code: cffmpeg_error_option_not_found()))
    }
    guard code >= 0 else { throw .cannotCreate(path: path, reason: LibavError(code: code, log: log)) }
  }

  /// The user's container options, and our defaults for the others.
  private func options(forPlayersOf context: borrowing MuxerContext) -> [String: String] {
    var wanted: [String: String] = [:]
    func knows(_ option: String) -> Bool {
      av_opt_find(context.raw, option, nil, 0, AV_OPT_SEARCH_CHILDREN) != nil
    }
    if isQuickTime, knows("movflags") {
      // A pipe cannot be rewound to write the index, so the file is fragmented. The header waits for the first packets: an
      // earlier one has no edit lists, without which reordered frames are late against the sound.
      if isPipe {
        wanted["movflags"] = "+frag_keyframe+delay_moov+default_base_moof"
      } else if containerName != "ismv" {
        wanted["movflags"] = "+faststart"
      }
      // Edit lists store the start times of streams in this unit, which defaults to a millisecond.
      if knows("movie_timescale") { wanted["movie_timescale"] = "\(quickTimeScale)" }
    }
    // A picture's name may look like a sequence pattern.
    if isPicture, !isSequence { wanted["update"] = "1" }
    if keepsProgramClock { wanted["mpegts_copyts"] = "1" }
    // FFmpeg decides by the extension, which differs while the file is unfinished.
    if isDiscStream, knows("mpegts_m2ts_mode") { wanted["mpegts_m2ts_mode"] = "1" }
    return wanted.merging(containerOptions) { $1 }
  }

  /// The timescale that FFmpeg's muxer chooses for the video track.
  private var quickTimeScale: Int32 {
    var scale = max(timeBase.denominator, 1)
    while scale < 10000 { scale *= 2 }
    return scale
  }

  private var isPipe: Bool {
    url == fileURL("-") || url.hasPrefix("file:") && OutputFile.isStream(String(url.dropFirst(5)))
  }

  private func describeVideo(
    _ stream: SourceStream, encoder: UnsafePointer<AVCodecContext>, in output: UnsafeMutablePointer<AVStream>
  ) throws(LibavError) {
    try LibavLog.check { avcodec_parameters_from_context(output.pointee.codecpar, encoder) }
    if isQuickTime, encoder.pointee.codec_id == AV_CODEC_ID_HEVC {
      // 'hvc1' in little-endian: Apple's players reject FFmpeg's default tag, which allows in-band parameter sets.
      output.pointee.codecpar.pointee.codec_tag = 0x3163_7668
    }
    let rate = frameRate.isPositive ? frameRate : Rational(25, 1)
    output.pointee.time_base = (hasFreeClock ? timeBase : rate.inverse).libav
    if frameRate.isPositive { output.pointee.avg_frame_rate = frameRate.libav }
    if sampleAspectRatio.isPositive {
      output.pointee.sample_aspect_ratio = sampleAspectRatio.libav
      output.pointee.codecpar.pointee.sample_aspect_ratio = sampleAspectRatio.libav
    }
    MetadataEntry.store(stream.metadata.filter { !$0.describesOldEncoding }, in: &output.pointee.metadata)
    let kept = [
      AV_PKT_DATA_DISPLAYMATRIX, AV_PKT_DATA_STEREO3D, AV_PKT_DATA_SPHERICAL,
      AV_PKT_DATA_MASTERING_DISPLAY_METADATA, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, AV_PKT_DATA_ICC_PROFILE,
    ].map(\.rawValue)
    try addSideData(stream.sideData.filter { kept.contains($0.type) }, to: output)
    // The encoder's side data, such as buffer sizes.
    for index in 0..<Int(encoder.pointee.nb_coded_side_data) {
      guard let entry = encoder.pointee.coded_side_data?[index] else { continue }
      try LibavLog.check { cffmpeg_stream_set_side_data(output, entry.type, entry.data, entry.size) }
    }
  }

  private func describeCopy(
    _ stream: SourceStream, in output: UnsafeMutablePointer<AVStream>
  ) throws(LibavError) {
    try LibavLog.check { avcodec_parameters_copy(output.pointee.codecpar, stream.parameters.raw) }
    guard let parameters = output.pointee.codecpar else { throw .outOfMemory }
    // FourCCs are specific to a container.
    if let tags = format.pointee.codec_tag,
      av_codec_get_id(tags, parameters.pointee.codec_tag) != parameters.pointee.codec_id
    {
      var tag: UInt32 = 0
      if av_codec_get_tag2(tags, parameters.pointee.codec_id, &tag) != 0 { parameters.pointee.codec_tag = 0 }
    }
    output.pointee.time_base = stream.timeBase.libav
    output.pointee.avg_frame_rate = stream.averageFrameRate.libav
    output.pointee.sample_aspect_ratio = stream.sampleAspectRatio.libav
    MetadataEntry.store(stream.metadata, in: &output.pointee.metadata)
    try addSideData(stream.sideData, to: output)
  }

  private func describe(
    _ stream: SourceStream, from converter: any StreamConverter, in output: UnsafeMutablePointer<AVStream>
  ) throws(LibavError) {
    try LibavLog.check { avcodec_parameters_from_context(output.pointee.codecpar, converter.encoder) }
    output.pointee.time_base = converter.timeBase.libav
    MetadataEntry.store(stream.metadata.filter { !$0.describesOldEncoding }, in: &output.pointee.metadata)
    let kept = [AV_PKT_DATA_REPLAYGAIN, AV_PKT_DATA_AUDIO_SERVICE_TYPE].map(\.rawValue)
    try addSideData(stream.sideData.filter { kept.contains($0.type) }, to: output)
  }

  private func describeAttachment(
    _ stream: SourceStream, in output: UnsafeMutablePointer<AVStream>
  ) throws(LibavError) {
    try LibavLog.check { avcodec_parameters_copy(output.pointee.codecpar, stream.parameters.raw) }
    MetadataEntry.store(stream.metadata, in: &output.pointee.metadata)
    guard stream.info.kind == .coverArt, let parameters = output.pointee.codecpar else { return }
    parameters.pointee.codec_type = AVMEDIA_TYPE_ATTACHMENT
    let padding = Int(AV_INPUT_BUFFER_PADDING_SIZE)
    guard let bytes = av_mallocz(stream.coverArt.count + padding),
      let count = Int32(exactly: stream.coverArt.count)
    else { throw .outOfMemory }
    stream.coverArt.withUnsafeBytes { source in
      if let base = source.baseAddress { memcpy(bytes, base, source.count) }
    }
    av_freep(&parameters.pointee.extradata)
    parameters.pointee.extradata = bytes.assumingMemoryBound(to: UInt8.self)
    parameters.pointee.extradata_size = count
    let isJPEG = parameters.pointee.codec_id == AV_CODEC_ID_MJPEG
    let kind = isJPEG ? "jpeg" : stream.info.codecName
    func isTagged(_ key: String) -> Bool { stream.metadata.contains { $0.key.lowercased() == key } }
    if !isTagged("mimetype") { av_dict_set(&output.pointee.metadata, "mimetype", "image/\(kind)", 0) }
    if !isTagged("filename") {
      av_dict_set(&output.pointee.metadata, "filename", "cover.\(isJPEG ? "jpg" : kind)", 0)
    }
  }

  private func addSideData(
    _ entries: [EncodedPacket.SideData], to output: UnsafeMutablePointer<AVStream>
  ) throws(LibavError) {
    for entry in entries {
      try LibavLog.check {
        entry.bytes.withUnsafeBufferPointer { bytes in
          cffmpeg_stream_set_side_data(
            output, AVPacketSideDataType(entry.type), bytes.baseAddress, bytes.count)
        }
      }
    }
  }

  private func addChapters(to context: UnsafeMutablePointer<AVFormatContext>) throws(LibavError) {
    guard !source.chapters.isEmpty else { return }
    let size = MemoryLayout<UnsafeMutablePointer<AVChapter>?>.stride
    guard let list = av_calloc(source.chapters.count, size) else { throw .outOfMemory }
    let chapters = list.bindMemory(to: UnsafeMutablePointer<AVChapter>?.self, capacity: source.chapters.count)
    context.pointee.chapters = chapters
    for (index, chapter) in source.chapters.enumerated() {
      guard let memory = av_mallocz(MemoryLayout<AVChapter>.stride) else { throw .outOfMemory }
      let copy = memory.bindMemory(to: AVChapter.self, capacity: 1)
      let offset = microseconds.rescale(shift, to: chapter.timeBase)
      copy.pointee.id = .init(truncatingIfNeeded: chapter.id)
      copy.pointee.time_base = chapter.timeBase.libav
      copy.pointee.start = chapter.start.saturatingMinus(offset)
      copy.pointee.end = chapter.end.saturatingMinus(offset)
      MetadataEntry.store(chapter.metadata, in: &copy.pointee.metadata)
      chapters[index] = copy
      context.pointee.nb_chapters = UInt32(index + 1)
    }
  }

  /// Whether chapters are written at the end, when the muxer's shift of all times is known.
  var writesChaptersLast: Bool { isMatroska && !isPipe }

  /// The tags of a stream that the output should have.
  func expectedTags(of index: Int) -> [MetadataEntry] {
    // Y4M and pictures do not have tags.
    guard !isPicture, containerName != "yuv4mpegpipe" else { return [] }
    return source.streams[index].metadata.filter {
      // QuickTime's track name, which FFmpeg 5 writes but does not read.
      let isName = isQuickTime && $0.key.lowercased() == "title"
      return !$0.describesOldEncoding && !$0.describesOldContainer && !isName
    }
  }

  /// What is lost in outputs that are not read back, one line each: standard output and raw frames have no place for it.
  var unheld: [String] {
    let isRotated = source.streams[videoIndex].sideData.contains { $0.displayMatrix != nil }
    guard isRotated, containerName == "yuv4mpegpipe" || isPipe && !isQuickTime && !isMatroska else {
      return []
    }
    return ["rotation, which does not fit into \(containerName); mp4 and mov keep it"]
  }

  /// Whether the container stores a tag of the file in another form.
  func isStoredElsewhere(_ tag: MetadataEntry) -> Bool { isQuickTime && tag.key.lowercased() == "timecode" }

  /// Adds the source's programs, if the container supports them.
  private func addPrograms(
    to context: UnsafeMutablePointer<AVFormatContext>, streams: Set<Int>
  ) throws(LibavError) {
    guard containerName == "mpegts" else { return }
    let indices = source.streams.map(\.info.index).filter { streams.contains($0) }
    for program in source.programs {
      let members = program.streams.compactMap { indices.firstIndex(of: $0) }
      if members.isEmpty { continue }
      guard let copy = av_new_program(context, program.id) else { throw .outOfMemory }
      MetadataEntry.store(program.metadata, in: &copy.pointee.metadata)
      for index in members { av_program_add_stream_index(context, program.id, UInt32(index)) }
    }
  }

  /// The source's tags except those that only describe its container.
  var fileMetadata: [MetadataEntry] {
    // The last two lines are MXF's tags about the program that wrote the file.
    let container = [
      "major_brand", "minor_version", "compatible_brands", "encoder", "software",
      "uid", "generation_uid", "company_name", "product_name", "product_version", "product_version_num",
      "product_uid",
      "toolkit_version_num", "application_platform", "material_package_umid", "operational_pattern_ul",
      "modification_date",
    ]
    return source.metadata.filter { !container.contains($0.key.lowercased()) }
  }
}
