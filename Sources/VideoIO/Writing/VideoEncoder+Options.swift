// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg
internal import Foundation

extension VideoEncoder {
  /// Sets the user's options, and our defaults for the others.
  /// - Throws: `VideoIOError.encoderOption` for options that the encoder does not accept.
  static func apply(
    _ request: Request, to context: UnsafeMutablePointer<AVCodecContext>,
    codec: UnsafePointer<AVCodec>, name: String
  ) throws(VideoIOError) {
    let settings = request.settings
    func has(_ option: String) -> Bool {
      av_opt_find(context, option, nil, 0, AV_OPT_SEARCH_CHILDREN) != nil
    }
    var options = settings.options
    if let crf = settings.crf {
      try checkQuality(crf, name: name)
      options["crf"] = "\(crf)"
    } else if let crf = EncoderSettings.defaultCRF(encoder: name), has("crf"),
      !["crf", "qp", "b", "q", "lossless"].contains(where: { options[$0] != nil })
    {
      options["crf"] = "\(crf)"
    } else if usesQuantizerScale(codec.pointee.id), options["b"] == nil, options["global_quality"] == nil {
      // Their default is 200 kb/s for any size.
      context.pointee.flags |= AV_CODEC_FLAG_QSCALE
      context.pointee.global_quality = 2 * FF_QP2LAMBDA
    } else if codec.pointee.id == AV_CODEC_ID_THEORA, options["b"] == nil, options["global_quality"] == nil {
      // Here higher is better, up to 10.
      context.pointee.flags |= AV_CODEC_FLAG_QSCALE
      context.pointee.global_quality = 9 * FF_QP2LAMBDA
    }
    if settings.preset != nil, !has("preset") { throw .noPresets(encoder: name) }
    if let preset = settings.preset ?? options["preset"] ?? EncoderSettings.defaultPreset(encoder: name) {
      options["preset"] = preset
      try checkPreset(preset, name: name)
    }
    addParameters(of: request, name: name, to: &options)
    for (option, value) in options.sorted(by: { $0.key < $1.key }) {
      let (code, log) = LibavLog.collecting {
        av_opt_set(context, option, value, AV_OPT_SEARCH_CHILDREN)
      }
      guard code >= 0 else {
        throw .encoderOption(
          encoder: name, option: option, value: value, reason: LibavError(code: code, log: log))
      }
    }
  }

  /// Checks that an encoder has presets; a name that is not that of an encoder is reported when it is opened.
  static func checkPresets(of name: String) throws(VideoIOError) {
    guard let codec = try? find(name) else { return }
    var options = codec.pointee.priv_class
    let isKnown = withUnsafeMutablePointer(to: &options) {
      $0.pointee != nil && av_opt_find($0, "preset", nil, 0, AV_OPT_SEARCH_FAKE_OBJ) != nil
    }
    if !isKnown { throw .noPresets(encoder: String(cString: codec.pointee.name)) }
  }

  /// Checks the quality here: x264 clamps larger values silently, and x265's error names no option.
  private static func checkQuality(_ crf: Double, name: String) throws(VideoIOError) {
    guard name.hasPrefix("libx26"), crf > 51 else { return }
    throw .encoderOption(
      encoder: name, option: "crf", value: "\(crf)",
      reason: LibavError(errno: EINVAL, log: ["the highest is 51"]))
  }

  /// Checks the preset here, since x264 reports a wrong one without using FFmpeg's log.
  private static func checkPreset(_ preset: String, name: String) throws(VideoIOError) {
    let known = [
      "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
      "placebo",
    ]
    guard name.hasPrefix("libx264"), !known.contains(preset),
      Int(preset).map({ (0...9).contains($0) }) != true
    else { return }
    throw .encoderOption(
      encoder: name, option: "preset", value: preset,
      reason: LibavError(errno: EINVAL, log: ["its presets are \(known.joined(separator: ", "))"]))
  }

  /// Adds options to the parameter strings of x264 and x265; the user's parameters take precedence.
  private static func addParameters(of request: Request, name: String, to options: inout [String: String]) {
    var added: [(key: String, value: String)] = []
    let option: String
    switch name {
    case "libx264":
      option = "x264-params"
      // Without this, the stream would declare the source's ticks as its frame rate.
      if request.isConstantRate { added.append(("force-cfr", "1")) }
      added += lookaheadLimit(request, options)
      // The lookahead thread buffers four more pictures, 30 MB at 1080p, and does not affect the stream.
      if ProcessInfo.processInfo.activeProcessorCount <= 4 { added.append(("sync-lookahead", "0")) }
      added += fewerPictures(request, options)
      if let asm = reproducibleInstructions { added.append(("asm", asm)) }
      if let hdr = request.hdr {
        if let display = hdr.masteringDisplay { added.append(("mastering-display", display)) }
        if let light = hdr.contentLight { added.append(("cll", light)) }
      }
    case "libx265":
      option = "x265-params"
      // x265 logs to stderr directly, not through FFmpeg.
      added.append(("log-level", "error"))
      if let hdr = request.hdr {
        if let display = hdr.masteringDisplay { added.append(("master-display", display)) }
        if let light = hdr.contentLight { added.append(("max-cll", light)) }
      }
    case "libsvtav1":
      setenv("SVT_LOG", "1", 0)
      return
    default:
      return
    }
    var parts = (options[option] ?? "").split(separator: ":").map(String.init)
    for (key, value) in added where !parts.contains(where: { $0.hasPrefix(key + "=") }) {
      parts.append("\(key)=\(value)")
    }
    if !parts.isEmpty { options[option] = parts.joined(separator: ":") }
  }

  /// Limits x264's lookahead where the preset's would take hundreds of megabytes: at 1080p, 40 frames are 370 MB. The
  /// limit is about 80 MB of pictures, but at least 10 frames; it has no effect below about 1440x800.
  private static func lookaheadLimit(_ request: Request, _ options: [String: String]) -> [(
    key: String, value: String
  )] {
    let preset = options["preset"] ?? ""
    guard options["rc-lookahead"] == nil, let usual = slowLookahead[preset],
      let limit = limitedLookahead(preset: preset, width: request.width, height: request.height),
      limit < usual
    else { return [] }
    return [("rc-lookahead", "\(limit)"), ("sync-lookahead", "0")]
  }

  /// Frames that x264 looks ahead at presets where they are limited.
  private static let slowLookahead = [
    "fast": 30, "medium": 40, "slow": 50, "slower": 60, "veryslow": 60, "placebo": 60,
  ]

  /// Returns the frames that x264 looks ahead with this limit; nil for presets without one.
  static func limitedLookahead(preset: String, width: Int, height: Int) -> Int? {
    slowLookahead[preset].map { min($0, max(10, 80_000_000 * 2 / max(1, width * height * 3))) }
  }

  /// The instruction sets for x264 where it would use AVX-512; nil elsewhere, for its own choice.
  ///
  /// The AVX-512 functions of x264 (seen in 164.3095) read memory that was never written at widths that are not multiples of
  /// 128, so that equal frames become different files. Those for AVX2 do not (`sameBytesEveryTime`), and cost no bit rate.
  static var reproducibleInstructions: String? { reproducibleInstructions(cpu: av_get_cpu_flags()) }

  /// - Parameter cpu: FFmpeg's `AV_CPU_FLAG_*`.
  static func reproducibleInstructions(cpu: Int32) -> String? {
    // Every processor with AVX-512 has these.
    cpu & AV_CPU_FLAG_AVX512 != 0 ? "AVX2,FMA3,BMI2,LZCNT" : nil
  }

  /// Turns wrong x264 and x265 parameters, about which the libraries only warn, into errors.
  static func checkRefusals(
    _ log: [String], settings: EncoderSettings, name: String
  ) throws(VideoIOError) {
    let signs = ["Error parsing option", "Unknown option", "Invalid value for"]
    guard let line = log.first(where: { line in signs.contains { line.contains($0) } }) else { return }
    let option = settings.options.keys.first { $0.hasSuffix("-params") || $0 == "x264opts" } ?? "params"
    throw .encoderOption(
      encoder: name, option: option, value: settings.options[option] ?? "",
      reason: LibavError(errno: EINVAL, log: [line]))
  }

  /// Makes x264 buffer fewer pictures at presets that are faster than the network.
  ///
  /// Half the threads suffice, and each one buffers two more pictures, 20 MB at 1080p. With one reference frame, all modes
  /// of `b-pyramid` yield the same stream except for the number of frames that decoders, and x264 itself, must keep. A
  /// lookahead of 9 instead of 10 frames saves another 7 MB for 0.7 % more bit rate (docs/lab/performance.md).
  private static func fewerPictures(_ request: Request, _ options: [String: String]) -> [(
    key: String, value: String
  )] {
    guard ["ultrafast", "superfast", "veryfast"].contains(options["preset"] ?? "") else { return [] }
    let own = [options["x264-params"], options["x264opts"]].compactMap { $0 }.joined(separator: ":")
    func isSaid(_ names: String...) -> Bool {
      let parts = own.split(separator: ":").map { part in
        String(part.prefix { $0 != "=" }.map { $0 == "_" ? "-" : $0 })
      }
      return names.contains { options[$0] != nil || parts.contains($0) }
    }
    var result: [(key: String, value: String)] = []
    let isLarge = request.width * request.height > 1_000_000
    if isLarge, request.settings.threads > 1, !isSaid("threads") {
      result.append(("threads", "\(request.settings.threads / 2)"))
    }
    if isLarge, options["preset"] == "veryfast", !isSaid("rc-lookahead") {
      result.append(("rc-lookahead", "9"))
    }
    if !isSaid("b-pyramid", "refs", "ref", "frameref") { result.append(("b-pyramid", "strict")) }
    return result
  }

  private static func usesQuantizerScale(_ id: AVCodecID) -> Bool {
    [
      AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG4, AV_CODEC_ID_MJPEG,
      AV_CODEC_ID_MSMPEG4V2, AV_CODEC_ID_MSMPEG4V3, AV_CODEC_ID_H263, AV_CODEC_ID_H263P,
      AV_CODEC_ID_FLV1, AV_CODEC_ID_WMV1, AV_CODEC_ID_WMV2,
    ].contains(id)
  }
}
