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
  var keepsProgramClock: Bool {
    containerName == "mpegts" && source.hasTimestampJumps && source.startTime >= 1_000_000
      && source.trimStart == nil
  }

  var isMatroska: Bool { containerName == "matroska" || containerName == "webm" }
  var isQuickTime: Bool {
    ["mov", "mp4", "ipod", "3gp", "3g2", "psp", "f4v", "ismv"].contains(containerName)
  }

  /// Whether every frame has a time of its own; if not, times are a frame rate's multiples.
  ///
  /// FFmpeg's flag for this (`AVFMT_VARIABLE_FPS`) is missing on MP4 and others that could bear it.
  var hasFreeClock: Bool {
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
  func describe(_ stream: SourceStream) -> String {
    let info = stream.info
    let language = info.language.map { ", \($0)" } ?? ""
    return
      "stream \(info.index) (\(info.kind.rawValue), \(info.codecName)\(language)) does not fit into \(containerName)"
  }

  func mayTake(_ stream: SourceStream) -> Bool {
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

  /// Whether it is a transport stream as discs and camcorders have it, with a time before each packet.
  var isDiscStream: Bool {
    containerName == "mpegts" && [".m2ts", ".mts"].contains { path.lowercased().hasSuffix($0) }
  }

  /// QuickTime's timecode tracks are made anew from the video's metadata.
  func isMadeByMuxer(_ stream: SourceStream) -> Bool {
    let timecode: UInt32 = 0x6463_6D74  // 'tmcd'
    return isQuickTime && stream.info.kind == .data && stream.parameters.raw.pointee.codec_tag == timecode
  }

  /// Why a header with these streams cannot be written; nil if it can.
  func failure(of streams: Set<Int>, video: UnsafePointer<AVCodecContext>) -> LibavError? {
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
}
