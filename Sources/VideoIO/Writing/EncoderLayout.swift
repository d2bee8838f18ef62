// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Selects the encoder's layout for ours.
struct EncoderLayout {
  let code: Int32
  let needsConversion: Bool
  /// The colour in the encoder's layout, and in ours.
  let color: ColorDescription
  let sourceColor: ColorDescription

  /// - Throws: `VideoIOError.encoderFormat` if chroma would be lost, or the encoder does not support the requested layout.
  init(
    for request: VideoEncoder.Request, codec: UnsafePointer<AVCodec>,
    context: UnsafePointer<AVCodecContext>, name: String
  ) throws(VideoIOError) {
    let format = request.format
    sourceColor = request.color.assumingDefaults(width: request.width, height: request.height)
    var asked = request.layoutCode
    if asked == nil { asked = try Self.wanted(request, codec: codec, context: context, name: name) }
    if let code = asked {
      let color = Self.color(sourceColor, inLayout: code)
      let changesRange =
        color.isFullRange != sourceColor.isFullRange && !(format.isGray && sourceColor.range == 0)
      (self.code, needsConversion, self.color) = (code, code != format.code || changesRange, color)
      return
    }
    if codec.pointee.id == AV_CODEC_ID_GIF {
      code = AV_PIX_FMT_PAL8.rawValue
      (needsConversion, color) = (true, Self.color(sourceColor, inLayout: AV_PIX_FMT_PAL8.rawValue))
      return
    }
    if codec.pointee.id == AV_CODEC_ID_MJPEG || codec.pointee.id == AV_CODEC_ID_LJPEG {
      // JPEG supports full range only.
      var color = sourceColor
      color.range = 2
      code = PixelFormat.withFullRange(format.code) ?? format.code
      (needsConversion, self.color) = (!request.color.isFullRange, color)
      return
    }
    guard let list = cffmpeg_encoder_formats(context, codec) else {
      (code, needsConversion, color) = (format.code, false, request.color)
      return
    }
    let supported = Self.codes(list)
    if supported.contains(format.code) {
      (code, needsConversion, color) = (format.code, false, request.color)
      return
    }
    if let full = PixelFormat.withFullRange(format.code), supported.contains(full) {
      var color = request.color
      color.range = 2
      (code, needsConversion, self.color) = (full, !request.color.isFullRange, color)
      return
    }
    var loss: Int32 = 0
    let best = avcodec_find_best_pix_fmt_of_list(list, AVPixelFormat(format.code), 0, &loss)
    let unbearable = FF_LOSS_CHROMA | FF_LOSS_COLORQUANT
    guard best != AV_PIX_FMT_NONE, loss & unbearable == 0, sws_isSupportedOutput(best) > 0 else {
      throw .encoderFormat(encoder: name, format: format.name, supported: supported.map(Self.name))
    }
    let color = Self.color(sourceColor, inLayout: best.rawValue)
    (code, needsConversion, self.color) = (best.rawValue, true, color)
  }

  /// FFmpeg's list of layouts as an array.
  private static func codes(_ list: UnsafePointer<AVPixelFormat>) -> [Int32] {
    var codes: [Int32] = []
    while list[codes.count] != AV_PIX_FMT_NONE, codes.count < 1000 {
      codes.append(list[codes.count].rawValue)
    }
    return codes
  }

  private static func name(_ code: Int32) -> String {
    av_get_pix_fmt_name(AVPixelFormat(code)).map { String(cString: $0) } ?? "?"
  }

  /// The layout that the user requests by name; nil if none.
  /// - Throws: `VideoIOError.encoderFormat` for a layout that the encoder or FFmpeg does not support.
  private static func wanted(
    _ request: VideoEncoder.Request, codec: UnsafePointer<AVCodec>, context: UnsafePointer<AVCodecContext>,
    name: String
  ) throws(VideoIOError) -> Int32? {
    guard let wanted = request.settings.pixelFormat else { return nil }
    let supported = cffmpeg_encoder_formats(context, codec).map(codes)
    let code = av_get_pix_fmt(wanted)
    guard code != AV_PIX_FMT_NONE, supported?.contains(code.rawValue) != false,
      sws_isSupportedOutput(code) > 0
    else {
      throw .encoderFormat(
        encoder: name, format: wanted, supported: (supported ?? []).map(Self.name))
    }
    return code.rawValue
  }

  /// The encoded size: encoders may require even dimensions where chroma is subsampled.
  func extents(for request: VideoEncoder.Request, name: String) -> (width: Int, height: Int) {
    guard ["libx264", "libx265"].contains(name),
      let descriptor = av_pix_fmt_desc_get(AVPixelFormat(code))?.pointee,
      descriptor.nb_components >= 3, request.width > 1, request.height > 1
    else { return (request.width, request.height) }
    return (
      descriptor.log2_chroma_w > 0 ? request.width & ~1 : request.width,
      descriptor.log2_chroma_h > 0 ? request.height & ~1 : request.height
    )
  }

  /// Warnings about the layout, if it was requested or loses something, and about the size.
  func warnings(for request: VideoEncoder.Request, name: String, width: Int, height: Int) -> [MediaRemark] {
    var remarks: [MediaRemark] = []
    if usesPalette {
      remarks.append(MediaRemark(.layout, "each frame keeps 256 colours, the most that GIF allows"))
    } else if code != request.format.code, request.layoutCode == nil {
      let loss = av_get_pix_fmt_loss(AVPixelFormat(code), AVPixelFormat(request.format.code), 0)
      let parts = [
        (FF_LOSS_DEPTH, "depth"), (FF_LOSS_RESOLUTION, "resolution of colour"), (FF_LOSS_CHROMA, "colour"),
      ].filter { loss & $0.0 != 0 }.map(\.1)
      let lost = parts.isEmpty ? "" : "; lost: \(parts.joined(separator: ", "))"
      if request.settings.pixelFormat != nil {
        remarks.append(
          MediaRemark(
            .layout, "frames of \(request.format.name) are encoded as \(Self.name(code)), as asked for\(lost)"
          ))
      } else if !parts.isEmpty {
        remarks.append(
          MediaRemark(
            .layout,
            "frames of \(request.format.name) are encoded as \(Self.name(code)), the nearest that \(name) supports\(lost)",
            remedy: .layoutOrEncoder))
      }
    }
    let parts = [width < request.width ? "column" : "", height < request.height ? "row" : ""].filter {
      !$0.isEmpty
    }
    if !parts.isEmpty {
      remarks.append(
        MediaRemark(
          .size,
          "the last \(parts.joined(separator: " and ")) of \(request.width)x\(request.height) is left out: "
            + "\(name) supports even sizes only", remedy: .oddSizes))
    }
    return remarks
  }

  /// The colour after conversion to a layout: RGB, gray and FFmpeg's full-range layouts have full range.
  private static func color(_ color: ColorDescription, inLayout code: Int32) -> ColorDescription {
    guard let descriptor = av_pix_fmt_desc_get(AVPixelFormat(code))?.pointee else { return color }
    var result = color
    if descriptor.flags & UInt64(AV_PIX_FMT_FLAG_RGB) != 0 {
      result.matrix = 0
      result.range = 2
    } else if descriptor.nb_components <= 2 || name(code).hasPrefix("yuvj") {
      result.range = 2
    }
    return result
  }

  /// Whether each frame gets a palette of its own.
  var usesPalette: Bool { code == AV_PIX_FMT_PAL8.rawValue }

  /// Converts from our layout to the encoder's; nil if they are the same, or if the encoder's has a palette.
  func converter(for request: VideoEncoder.Request) throws(VideoIOError) -> PictureConverter? {
    guard needsConversion, !usesPalette else { return nil }
    return try PictureConverter(
      from: .init(
        width: request.width, height: request.height, code: request.format.code, color: sourceColor),
      to: .init(width: request.width, height: request.height, code: code, color: color))
  }
}
