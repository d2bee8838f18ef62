// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The streams of an output and their properties.
struct MuxerPlan {
  let format: UnsafePointer<AVOutputFormat>
  let source: SourceFile
  let videoIndex: Int
  /// The file that is read; empty if there is none.
  let input: String
  /// The output's path as given by the user.
  let path: String
  let url: String
  /// Frames per second, for containers with a frame clock only.
  let frameRate: Rational
  /// Seconds per tick of the video's timestamps.
  let timeBase: Rational
  let sampleAspectRatio: Rational
  let containerOptions: [String: String]
  /// Whether streams that the container cannot hold are converted.
  let convertsAudio, convertsSubtitles: Bool
  /// Whether every frame becomes a picture file of its own.
  let isSequence: Bool

  /// FFmpeg's name of the container; one for all of its names for Ogg.
  var containerName: String {
    let name = String(cString: format.pointee.name)
    return name == "ogv" ? "ogg" : name
  }

  /// The format for a file name, or the one requested by name.
  static func format(path: String, container: String?) throws(VideoIOError) -> UnsafePointer<AVOutputFormat> {
    LibavLog.install()
    guard let format = av_guess_format(container, container == nil ? path : nil, nil) else {
      throw .unknownContainer(path: container ?? path)
    }
    return format
  }

  /// Encoders by the names of their codecs, the best one first. FFmpeg would choose libaom for AV1, which is much slower than
  /// SVT-AV1 at the same quality.
  private static let bestEncoders = [
    "h264": ["libx264"], "avc": ["libx264"], "x264": ["libx264"],
    "hevc": ["libx265"], "h265": ["libx265"], "x265": ["libx265"],
    "av1": ["libsvtav1", "libaom-av1", "librav1e"], "vp9": ["libvpx-vp9"], "vp8": ["libvpx"],
  ]

  /// Resolves `auto` to the encoder for a container, and a codec's name to the best encoder that this FFmpeg has; other names
  /// are returned unchanged.
  static func encoderName(_ name: String, format: UnsafePointer<AVOutputFormat>, path: String) -> String {
    if let encoders = bestEncoders[name] {
      return encoders.first { avcodec_find_encoder_by_name($0) != nil } ?? name
    }
    guard name == "auto" else { return name }
    let holdsH264 = avformat_query_codec(format, AV_CODEC_ID_H264, FF_COMPLIANCE_NORMAL)
    let container = String(cString: format.pointee.name)
    // If FFmpeg cannot determine this, as with transport streams, assume that H.264 is supported, except in pictures and Ogg.
    let isOpen =
      holdsH264 < 0 && !["yuv4mpegpipe", "gif", "apng", "webp", "ogg", "ogv"].contains(container)
      && format.pointee.flags & AVFMT_NOFILE == 0
    if holdsH264 > 0 || isOpen { return "libx264" }
    let usual = av_guess_codec(format, nil, path, nil, AVMEDIA_TYPE_VIDEO)
    guard let encoder = avcodec_find_encoder(usual) else { return "libx264" }
    return String(cString: encoder.pointee.name)
  }

  /// Whether a container is too old for the encoder that `auto` selects: players expect MPEG-2 in program streams and
  /// Windows Media in ASF, and AVI has no timestamps, so that H.264 in it loses its order.
  static func isOutdated(_ format: UnsafePointer<AVOutputFormat>) -> Bool {
    ["avi", "mpeg", "vob", "dvd", "svcd", "vcd", "asf"].contains(String(cString: format.pointee.name))
  }

  /// The warning about H.264 in a layout that few players support; nil if the layout is common.
  func playbackNote(_ encoder: UnsafePointer<AVCodecContext>) -> MediaRemark? {
    let format = encoder.pointee.pix_fmt
    guard isQuickTime, encoder.pointee.codec_id == AV_CODEC_ID_H264,
      let layout = PixelFormat(code: format.rawValue), layout.planeCount == 3,
      layout.bitDepth > 8 || layout.log2ChromaWidth != 1 || layout.log2ChromaHeight != 1
    else { return nil }
    return MediaRemark(
      .layout, "few players support H.264 of \(layout.name)",
      remedy: .layoutOfAllPlayers(losesDepth: layout.bitDepth > 8))
  }

  /// Whether the output is a picture file or a sequence of them, not a video.
  var isPicture: Bool { containerName == "image2" }

  /// Whether a name is a pattern for numbered pictures. For a still image it is an ordinary name.
  static func isSequence(_ format: UnsafePointer<AVOutputFormat>, path: String) -> Bool {
    String(cString: format.pointee.name) == "image2" && PictureSequence.isPattern(path)
  }

  /// The shift subtracted from all times, in microseconds: if the source's clock may start anywhere, or only a
  /// part is written, the output starts at zero; otherwise times are kept.
  var shift: Int64 {
    source.trimStart ?? (source.hasTimestampJumps && !keepsProgramClock ? source.startTime : 0)
  }

  /// Whether source and output are transport streams and the output can keep the source's clock, which must
  /// start late enough for packets to precede their times.
  var keepsProgramClock: Bool {
    containerName == "mpegts" && source.hasTimestampJumps && source.startTime >= 1_000_000
      && source.trimStart == nil
  }

  var isMatroska: Bool { containerName == "matroska" || containerName == "webm" }
  var isQuickTime: Bool {
    ["mov", "mp4", "ipod", "3gp", "3g2", "psp", "f4v", "ismv"].contains(containerName)
  }

  /// Whether every frame has its own time; if not, times are multiples of the frame duration.
  ///
  /// FFmpeg's flag for this (`AVFMT_VARIABLE_FPS`) is not set for MP4 and others that support it.
  var hasFreeClock: Bool {
    !["avi", "yuv4mpegpipe", "mxf", "mxf_opatom", "mxf_d10", "gxf", "dv", "swf", "ogg"].contains(
      containerName)
  }

  /// Seconds per frame if all frames last equally long in the container: pauses are lost. AVI and Ogg can repeat frames.
  var constantFrameLength: Double? {
    if hasFreeClock || ["avi", "ogg", "swf"].contains(containerName) { return nil }
    return (frameRate.isPositive ? frameRate : Rational(25, 1)).inverse.doubleValue
  }

  /// Whether the stream is an attachment: a file within the file, without packets.
  func isAttachment(_ stream: SourceStream) -> Bool {
    stream.info.kind == .attachment || (stream.info.kind == .coverArt && isMatroska)
  }

  /// Whether the stream is an attachment and the container supports it.
  func takesAttachment(_ stream: SourceStream) -> Bool {
    isAttachment(stream) && containerName == "matroska" && !stream.isDiscarded
  }

  // MARK: - Choice of streams

  /// How each of the source's streams is handled.
  struct StreamChoice {
    /// The streams that are in the output, by their indices in the source.
    var accepted: Set<Int>
    /// Those of them that are converted.
    var converters: [Int: any StreamConverter] = [:]
    /// Remarks about the streams that are converted, and about those that are left out.
    var conversions: [MediaRemark] = []
    var leftOut: [MediaRemark] = []
  }

  /// Chooses the streams of the output: as they are where the container accepts them, otherwise converted where possible.
  ///
  /// FFmpeg cannot always predict whether it supports a codec, so headers are test-written in memory.
  /// - Throws: `VideoIOError.containerRefusesVideo` if it does not even accept the video alone.
  func chooseStreams(video: UnsafePointer<AVCodecContext>) throws(VideoIOError) -> StreamChoice {
    let (accepted, left) = try acceptedStreams(video: video)
    var choice = StreamChoice(accepted: accepted)
    for stream in left.sorted().map({ source.streams[$0] }) {
      let index = stream.info.index
      let converter = converter(for: stream) { converter in
        let converters = choice.converters.merging([index: converter]) { $1 }
        return failure(of: choice.accepted.union([index]), converters: converters, video: video) == nil
      }
      if let converter, stream.info.kind != .audio || SoundTrial.succeeds(with: stream, of: input) {
        choice.accepted.insert(index)
        choice.converters[index] = converter
        choice.conversions.append(describe(stream, convertedBy: converter))
      } else {
        choice.leftOut.append(
          describe(stream, with: converter == nil ? ": it " : ": it cannot be decoded, and "))
      }
    }
    return choice
  }

  /// The streams that the container accepts as they are, and the others.
  private func acceptedStreams(
    video: UnsafePointer<AVCodecContext>
  ) throws(VideoIOError) -> (accepted: Set<Int>, left: Set<Int>) {
    var left: Set<Int> = []
    var candidates: Set<Int> = [videoIndex]
    for stream in source.streams where stream.info.index != videoIndex && !stream.isDiscarded {
      if mayTake(stream), keepsSound(of: stream, video: video) {
        candidates.insert(stream.info.index)
      } else if !isMadeByMuxer(stream) {
        left.insert(stream.info.index)
      }
    }
    // Formats that open their own files, such as pictures, cannot be tested.
    if format.pointee.flags & AVFMT_NOFILE != 0 { return (candidates, left) }
    if failure(of: candidates, video: video) == nil { return (candidates, left) }
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
    return (accepted, left)
  }

  /// Whether sound can be read again from the container.
  private func keepsSound(of stream: SourceStream, video: UnsafePointer<AVCodecContext>) -> Bool {
    guard stream.info.kind == .audio, containerName != "mpegts" else { return true }
    return SoundCopyTrial(stream, plan: self, video: video)?.succeeds ?? true
  }

  /// The remark about a stream that is left out: number, kind, codec, language, container.
  func describe(_ stream: SourceStream, with link: String = " ") -> MediaRemark {
    let info = stream.info
    let language = info.language.map { ", \($0)" } ?? ""
    return MediaRemark(
      .stream(info.index),
      "stream \(info.index) (\(info.kind.rawValue), \(info.codecName)\(language))\(link)does not fit into \(containerName)"
    )
  }

  func mayTake(_ stream: SourceStream) -> Bool {
    if isAttachment(stream) { return isMatroska && containerName == "matroska" }
    if stream.info.kind == .unknown || format.pointee.flags & AVFMT_NOFILE != 0 { return false }
    if containerName == "yuv4mpegpipe" { return false }
    let codec = stream.parameters.raw.pointee.codec_id
    // Players cannot identify a codec that FFmpeg does not know.
    if codec == AV_CODEC_ID_NONE { return false }
    if stream.info.kind == .coverArt { return ["mp4", "ipod", "nut"].contains(containerName) }
    if containerName == "mpegts" { return mayTakeInTransportStream(codec) }
    if containerName == "avi", stream.info.kind == .audio, !stream.hasEqualPackets { return false }
    if stream.info.kind == .video, Self.isOutdated(format), !mayTakeOldVideo(stream) { return false }
    // FFmpeg's muxer for program streams accepts all kinds of subtitles, but most of them cannot be read back.
    if Self.isOutdated(format), containerName != "asf", stream.info.kind == .subtitle {
      return codec == AV_CODEC_ID_DVD_SUBTITLE
    }
    return avformat_query_codec(format, codec, FF_COMPLIANCE_EXPERIMENTAL) != 0
  }

  /// Whether another video can be copied into AVI, ASF or a program stream. FFmpeg's muxers accept those that they cannot write, or
  /// that cannot be read back.
  private func mayTakeOldVideo(_ stream: SourceStream) -> Bool {
    let value = stream.parameters.raw.pointee
    if containerName == "avi" || containerName == "asf" {
      // Packets with lengths instead of start codes, as in MP4 and Matroska.
      let hasLengths =
        [AV_CODEC_ID_H264, AV_CODEC_ID_HEVC].contains(value.codec_id)
        && value.extradata_size > 0 && value.extradata?[0] == 1
      return !hasLengths && avformat_query_codec(format, value.codec_id, FF_COMPLIANCE_EXPERIMENTAL) != 0
    }
    return [AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO].contains(value.codec_id)
  }

  /// Whether transport streams have a stream type for a codec. FFmpeg's muxer accepts all others too, as unreadable data.
  func mayTakeInTransportStream(_ codec: AVCodecID) -> Bool {
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

  /// Whether the output is an M2TS transport stream, as on discs and camcorders, with a timestamp before each packet.
  var isDiscStream: Bool {
    containerName == "mpegts" && [".m2ts", ".mts"].contains { path.lowercased().hasSuffix($0) }
  }

  /// Whether the muxer creates the stream itself: it regenerates QuickTime's timecode tracks from the video's metadata.
  func isMadeByMuxer(_ stream: SourceStream) -> Bool {
    let timecode: UInt32 = 0x6463_6D74  // 'tmcd'
    return isQuickTime && stream.info.kind == .data && stream.parameters.raw.pointee.codec_tag == timecode
  }

  /// The error in writing a header with these streams; nil if it succeeds.
  func failure(
    of streams: Set<Int>, converters: [Int: any StreamConverter] = [:], video: UnsafePointer<AVCodecContext>
  ) -> LibavError? {
    do throws(VideoIOError) {
      let context = try build(streams: streams, converters: converters, video: video, path: url)
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
}
