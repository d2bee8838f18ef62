// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

// Decisions before the first frame.
extension VideoWriter {
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
  /// - Throws: `VideoIOError.outputIsInput`, `outputExists`, `cannotCreate`, `unknownContainer`, `outdatedContainer`.
  package static func validate(
    path: String, input: String?, overwrite: Bool, container: String? = nil, codec: String = "libx264"
  ) throws(VideoIOError) {
    try OutputFile.validate(path: path, input: input, overwrite: overwrite)
    let format = try MuxerPlan.format(path: path, container: container)
    if MuxerPlan.isSequence(format, path: path) { try PictureSequence.validate(path, overwrite: overwrite) }
    if codec == "auto", container == nil, MuxerPlan.isOutdated(format) {
      throw .outdatedContainer(path: path)
    }
  }
}
