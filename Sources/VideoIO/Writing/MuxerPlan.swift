// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Which streams go into an output, and all that describes them.
struct MuxerPlan {
  let format: UnsafePointer<AVOutputFormat>
  let source: SourceFile
  let videoIndex: Int
  /// What the user calls the output.
  let path: String
  let url: String
  /// Frames per second, for containers that know no other clock.
  let frameRate: Rational
  /// The unit of the video's timestamps.
  let timeBase: Rational
  let sampleAspectRatio: Rational
  let containerOptions: [String: String]

  /// FFmpeg's name of the container.
  var containerName: String { String(cString: format.pointee.name) }

  /// The format that a file's name stands for, or that is asked for by name.
  static func format(path: String, container: String?) throws(VideoIOError) -> UnsafePointer<AVOutputFormat> {
    LibavLog.install()
    guard let format = av_guess_format(container, container == nil ? path : nil, nil) else {
      throw .unknownContainer(path: container ?? path)
    }
    return format
  }

  /// The encoder that `auto` stands for with a container; any other name stands for itself.
  static func encoderName(_ name: String, format: UnsafePointer<AVOutputFormat>, path: String) -> String {
    guard name == "auto" else { return name }
    let holdsH264 = avformat_query_codec(format, AV_CODEC_ID_H264, FF_COMPLIANCE_NORMAL)
    let container = String(cString: format.pointee.name)
    // Where FFmpeg does not know, as with transport streams, H.264 goes in; but not into pictures.
    let isOpen = holdsH264 < 0 && container != "yuv4mpegpipe" && format.pointee.flags & AVFMT_NOFILE == 0
    if holdsH264 > 0 || isOpen { return "libx264" }
    let usual = av_guess_codec(format, nil, path, nil, AVMEDIA_TYPE_VIDEO)
    guard let encoder = avcodec_find_encoder(usual) else { return "libx264" }
    return String(cString: encoder.pointee.name)
  }

  /// Whether the output is a picture file, not a video.
  var isPicture: Bool { containerName == "image2" }

  /// What is taken off all times, in microseconds: where the source's clock starts anywhere, the output's
  /// starts at zero, and likewise that of a part; otherwise nothing.
  var shift: Int64 {
    source.trimStart ?? (source.hasTimestampJumps && !keepsProgramClock ? source.startTime : 0)
  }

  /// Whether output and source are transport streams, of which the former can keep the latter's clock. It
  /// must have started long enough ago for the packets to lie before their times.
  private var keepsProgramClock: Bool {
    containerName == "mpegts" && source.hasTimestampJumps && source.startTime >= 1_000_000
      && source.trimStart == nil
  }

  var isMatroska: Bool { containerName == "matroska" || containerName == "webm" }
  private var isQuickTime: Bool {
    ["mov", "mp4", "ipod", "3gp", "3g2", "psp", "f4v", "ismv"].contains(containerName)
  }

  /// Whether every frame has a time of its own; if not, times are a frame rate's multiples.
  ///
  /// FFmpeg's flag for this (`AVFMT_VARIABLE_FPS`) is missing on MP4 and others that could bear it.
  private var hasFreeClock: Bool {
    !["avi", "yuv4mpegpipe", "mxf", "mxf_opatom", "mxf_d10", "gxf", "dv", "swf", "ogg"].contains(
      containerName)
  }

  /// Whether the stream becomes an attachment: a file within the file, without packets.
  func isAttachment(_ stream: SourceStream) -> Bool {
    stream.info.kind == .attachment || (stream.info.kind == .coverArt && isMatroska)
  }

  /// Whether it is one, and the container takes it.
  func takesAttachment(_ stream: SourceStream) -> Bool {
    isAttachment(stream) && containerName == "matroska" && !stream.isDiscarded
  }

  // MARK: - Choice of streams

  /// The streams that the container takes, and a line on each that it does not.
  ///
  /// What FFmpeg says about a codec is not always known beforehand, so headers are tried in memory.
  /// - Throws: `VideoIOError.containerRefusesVideo` if it does not even take the video alone.
  func acceptedStreams(
    video: UnsafePointer<AVCodecContext>
  ) throws(VideoIOError) -> (accepted: Set<Int>, leftOut: [String]) {
    var left: Set<Int> = []
    var candidates: Set<Int> = [videoIndex]
    for stream in source.streams where stream.info.index != videoIndex && !stream.isDiscarded {
      if mayTake(stream) {
        candidates.insert(stream.info.index)
      } else if !isMadeByMuxer(stream) {
        left.insert(stream.info.index)
      }
    }
    var leftOut = left.sorted().map { describe(source.streams[$0]) }
    // Containers that write files of their own, such as pictures, cannot be tried.
    if format.pointee.flags & AVFMT_NOFILE != 0 { return (candidates, leftOut) }
    if failure(of: candidates, video: video) == nil { return (candidates, leftOut) }
    var accepted: Set<Int> = [videoIndex]
    if let reason = failure(of: accepted, video: video) {
      throw .containerRefusesVideo(
        path: path, container: containerName, codec: codecName(video.pointee.codec_id),
        reason: reason)
    }
    for index in candidates.sorted() where index != videoIndex {
      if failure(of: accepted.union([index]), video: video) == nil {
        accepted.insert(index)
      } else {
        left.insert(index)
      }
    }
    leftOut = left.sorted().map { describe(source.streams[$0]) }
    return (accepted, leftOut)
  }

  /// The line about a stream that is left out: number, kind, codec, language, container.
  private func describe(_ stream: SourceStream) -> String {
    let info = stream.info
    let language = info.language.map { ", \($0)" } ?? ""
    return
      "stream \(info.index) (\(info.kind.rawValue), \(info.codecName)\(language)) does not fit into \(containerName)"
  }

  private func mayTake(_ stream: SourceStream) -> Bool {
    if isAttachment(stream) { return isMatroska && containerName == "matroska" }
    if stream.info.kind == .unknown || format.pointee.flags & AVFMT_NOFILE != 0 { return false }
    if containerName == "yuv4mpegpipe" { return false }
    let codec = stream.parameters.raw.pointee.codec_id
    // What FFmpeg does not know, nobody finds again.
    if codec == AV_CODEC_ID_NONE { return false }
    if stream.info.kind == .coverArt { return ["mp4", "ipod", "nut"].contains(containerName) }
    if containerName == "mpegts" { return mayTakeInTransportStream(codec) }
    return avformat_query_codec(format, codec, FF_COMPLIANCE_EXPERIMENTAL) != 0
  }

  /// Whether transport streams have a number for a codec. FFmpeg's muxer takes all others, too, as data that nobody can read.
  private func mayTakeInTransportStream(_ codec: AVCodecID) -> Bool {
    let known = [
      AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG4, AV_CODEC_ID_H264, AV_CODEC_ID_HEVC,
      AV_CODEC_ID_CAVS,
      AV_CODEC_ID_AVS2, AV_CODEC_ID_AVS3, AV_CODEC_ID_DIRAC, AV_CODEC_ID_VC1, AV_CODEC_ID_MP1,
      AV_CODEC_ID_MP2, AV_CODEC_ID_MP3,
      AV_CODEC_ID_AAC, AV_CODEC_ID_AAC_LATM, AV_CODEC_ID_AC3, AV_CODEC_ID_EAC3, AV_CODEC_ID_DTS,
      AV_CODEC_ID_TRUEHD,
      AV_CODEC_ID_OPUS, AV_CODEC_ID_S302M, AV_CODEC_ID_DVB_SUBTITLE, AV_CODEC_ID_DVB_TELETEXT,
      AV_CODEC_ID_TIMED_ID3,
      AV_CODEC_ID_SMPTE_KLV,
    ]
    let ofDiscs = [AV_CODEC_ID_PCM_BLURAY, AV_CODEC_ID_HDMV_PGS_SUBTITLE]
    return known.contains(codec) || isDiscStream && ofDiscs.contains(codec)
  }

  /// Whether it is a transport stream as discs and camcorders have it, with a time before each packet.
  private var isDiscStream: Bool {
    containerName == "mpegts" && [".m2ts", ".mts"].contains { path.lowercased().hasSuffix($0) }
  }

  /// QuickTime's timecode tracks are made anew from the video's metadata.
  private func isMadeByMuxer(_ stream: SourceStream) -> Bool {
    let timecode: UInt32 = 0x6463_6D74  // 'tmcd'
    return isQuickTime && stream.info.kind == .data && stream.parameters.raw.pointee.codec_tag == timecode
  }

  /// Why a header with these streams cannot be written; nil if it can.
  private func failure(of streams: Set<Int>, video: UnsafePointer<AVCodecContext>) -> LibavError? {
    do throws(VideoIOError) {
      let context = try build(streams: streams, video: video, path: url)
      guard avio_open_dyn_buf(&context.raw.pointee.pb) >= 0 else { return .outOfMemory }
      if isDiscStream { av_opt_set(context.raw, "mpegts_m2ts_mode", "1", AV_OPT_SEARCH_CHILDREN) }
      let (code, log) = LibavLog.collecting { avformat_write_header(context.raw, nil) }
      var bytes: UnsafeMutablePointer<UInt8>?
      _ = avio_close_dyn_buf(context.raw.pointee.pb, &bytes)
      av_free(bytes)
      context.raw.pointee.pb = nil
      return code >= 0 ? nil : LibavError(code: code, log: log)
    } catch {
      if case .cannotCreate(_, let reason) = error { return reason }
      return .outOfMemory
    }
  }

  // MARK: - Construction

  /// A container with streams, chapters and tags, not yet opened.
  func build(
    streams: Set<Int>, video: UnsafePointer<AVCodecContext>, path: String
  ) throws(VideoIOError) -> MuxerContext {
    do throws(LibavError) {
      let context = try MuxerContext(format: format, url: url)
      // As the ffmpeg program has it: time for players of program streams to fill their buffers.
      context.raw.pointee.max_delay = 700_000
      // Sound such as FLAC in MP4 counts as experimental with older FFmpegs; losing it is no better.
      context.raw.pointee.strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL
      for stream in source.streams where streams.contains(stream.info.index) {
        guard let output = avformat_new_stream(context.raw, nil) else { throw .outOfMemory }
        output.pointee.id = 0
        output.pointee.disposition = stream.disposition
        if stream.info.index == videoIndex {
          try describeVideo(stream, encoder: video, in: output)
        } else if isAttachment(stream) {
          try describeAttachment(stream, in: output)
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

  /// Writes the header to the opened file.
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

  /// The user's options of the container and our own where the user says nothing.
  private func options(forPlayersOf context: borrowing MuxerContext) -> [String: String] {
    var wanted: [String: String] = [:]
    func knows(_ option: String) -> Bool {
      av_opt_find(context.raw, option, nil, 0, AV_OPT_SEARCH_CHILDREN) != nil
    }
    if isQuickTime, knows("movflags") {
      // What goes into a pipe cannot be completed afterwards: there the index comes in pieces.
      if isPipe {
        wanted["movflags"] = "+frag_keyframe+empty_moov+default_base_moof"
      } else if containerName != "ismv" {
        wanted["movflags"] = "+faststart"
      }
      // Edit lists, which hold the streams' starts, count in this unit; its default is a millisecond.
      if knows("movie_timescale") { wanted["movie_timescale"] = "\(quickTimeScale)" }
    }
    // A picture's name may look like the pattern of a sequence.
    if isPicture { wanted["update"] = "1" }
    if keepsProgramClock { wanted["mpegts_copyts"] = "1" }
    // FFmpeg tells by the name, which is another one as long as the file is unfinished.
    if isDiscStream, knows("mpegts_m2ts_mode") { wanted["mpegts_m2ts_mode"] = "1" }
    return wanted.merging(containerOptions) { $1 }
  }

  /// The ticks per second that FFmpeg's muxer gives the video's track.
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
      // Apple's players refuse FFmpeg's default, which allows for parameters within the stream ('hvc1' backwards).
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
    // The encoder's own, such as buffer sizes.
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
    // Four-letter codes of one container mean nothing or something else in another.
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

  /// Whether chapters are written at the end, when it is known by how much the muxer has moved all times.
  var writesChaptersLast: Bool { isMatroska && !isPipe }

  /// The tags of a stream that should be found in the output.
  func expectedTags(of index: Int) -> [MetadataEntry] {
    // What goes through a pipe between programs has no place for them, and pictures have none either.
    guard !isPicture, containerName != "yuv4mpegpipe" else { return [] }
    return source.streams[index].metadata.filter {
      // QuickTime's name of a track, which FFmpeg 5 writes but does not read.
      let isName = isQuickTime && $0.key.lowercased() == "title"
      return !$0.describesOldEncoding && !$0.describesOldContainer && !isName
    }
  }

  /// Whether the container tells a tag of the file in another way.
  func isToldElsewhere(_ tag: MetadataEntry) -> Bool { isQuickTime && tag.key.lowercased() == "timecode" }

  /// The source's programs, in the only container that knows them.
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

  /// The source's tags without those that only describe its container.
  var fileMetadata: [MetadataEntry] {
    // The last two lines are what MXF says of the program that wrote it.
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
