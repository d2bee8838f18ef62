// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

// Decisions before the first frame.
extension VideoWriter {
  /// Plans the container of an output, and completes the parameters of its encoder accordingly.
  /// - Parameters:
  ///   - path: the output as given by the user.
  ///   - writingPath: the file that is written until the output is complete.
  /// - Returns: also a note if the layout was chosen by default.
  /// - Throws: `VideoIOError.unknownContainer`.
  static func plan(
    for request: VideoEncoder.Request, like info: MediaInfo, path: String, writingPath: String
  ) throws(VideoIOError) -> (plan: MuxerPlan, request: VideoEncoder.Request, note: MediaRemark?) {
    let settings = request.settings
    let container = try MuxerPlan.format(path: path, container: settings.container)
    let isSequence = MuxerPlan.isSequence(container, path: path) && !info.isStillImage
    let plan = MuxerPlan(
      format: container, source: info.source, videoIndex: info.videoStreamIndex, input: info.path,
      path: path,
      url: isSequence ? PictureSequence.url(path) : fileURL(writingPath),
      frameRate: request.frameRate, timeBase: request.timeBase, sampleAspectRatio: info.sampleAspectRatio,
      containerOptions: settings.containerOptions, convertsAudio: settings.convertsAudio,
      convertsSubtitles: settings.convertsSubtitles, isSequence: isSequence)
    var request = request
    request.settings.codec = MuxerPlan.encoderName(settings.codec, format: container, path: path)
    request.wantsGlobalHeader = container.pointee.flags & AVFMT_GLOBALHEADER != 0
    request.isConstantRate = info.source.hasConstantRate
    request.hdr = HDRMetadata(info.source.streams[info.videoStreamIndex])
    guard let code = commonLayout(for: request, sourceFormat: info.sourceFormatName) else {
      return (plan, request, nil)
    }
    request.layoutCode = code
    let layout = request.format.name
    let name = av_get_pix_fmt_name(AVPixelFormat(code)).map { String(cString: $0) } ?? "?"
    let note = MediaRemark(
      .layout, "frames of \(layout) are encoded as \(name), which all players show", remedy: .layout(layout))
    return (plan, request, note)
  }

  /// The layout for frames converted from RGB, as with GIF and screen recordings: few devices can play 4:4:4. nil for all other
  /// frames, and if the user requests a layout or lossless quality.
  static func commonLayout(for request: VideoEncoder.Request, sourceFormat: String) -> Int32? {
    let settings = request.settings
    let isLossless =
      settings.crf == 0 || settings.options["qp"] == "0" || settings.options["crf"] == "0"
      || settings.options["lossless"] == "1"
    guard settings.pixelFormat == nil, !isLossless, PixelFormat.isRGB(av_get_pix_fmt(sourceFormat).rawValue),
      request.format.planeCount == 3, request.format.log2ChromaWidth == 0,
      ["libx264", "libx265", "libvpx", "libvpx-vp9", "libaom-av1"].contains(settings.codec)
    else { return nil }
    return request.format.bitDepth == 8 || settings.codec == "libvpx"
      ? AV_PIX_FMT_YUV420P.rawValue : AV_PIX_FMT_YUV420P10LE.rawValue
  }

  /// Checks that an output can be written, before any work is done.
  /// - Parameters:
  ///   - input: the source, which must not be the output; nil if there is none.
  ///   - codec: as in `EncoderSettings`.
  ///   - preset: as in `EncoderSettings`.
  /// - Throws: `VideoIOError.outputIsInput`, `outputExists`, `cannotCreate`, `unknownContainer`, `outdatedContainer`,
  ///   `noPresets`.
  package static func validate(
    path: String, input: String?, overwrite: Bool, container: String? = nil, codec: String = "libx264",
    preset: String? = nil
  ) throws(VideoIOError) {
    try OutputFile.validate(path: path, input: input, overwrite: overwrite)
    let format = try MuxerPlan.format(path: path, container: container)
    if MuxerPlan.isSequence(format, path: path) {
      try PictureSequence.validate(path, input: input, overwrite: overwrite)
    }
    if codec == "auto", container == nil, MuxerPlan.isOutdated(format) {
      throw .outdatedContainer(path: path)
    }
    if preset != nil {
      try VideoEncoder.checkPresets(of: MuxerPlan.encoderName(codec, format: format, path: path))
    }
  }
}

extension MediaInfo {
  /// The colour to write: the source's, with the matrix made explicit if players would assume another one at
  /// the new size.
  func color(width: Int, height: Int) -> ColorDescription {
    let assumed = color.assumingDefaults(width: self.width, height: self.height)
    let guessed = color.assumingDefaults(width: width, height: height)
    return assumed == guessed ? color : assumed
  }
}
