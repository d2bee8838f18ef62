// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The layout of a picture: planar YUV or gray, 8 to 16 bits per sample, little-endian.
///
/// Only supported layouts have a value: 4:2:0, 4:2:2, 4:4:0, 4:4:4 and gray. Samples of more than 8 bits
/// take two bytes. The range is part of a frame's colour, not of its layout, so FFmpeg's `yuvj420p` is
/// `yuv420p` here.
package struct PixelFormat: Sendable, Hashable, CustomStringConvertible {
  /// FFmpeg's name, such as `yuv420p10le`.
  package let name: String
  /// Bits per sample, 8 to 16.
  package let bitDepth: Int
  /// Binary logarithm of luma columns per chroma column: 1 for 4:2:0 and 4:2:2, else 0.
  package let log2ChromaWidth: Int
  /// Binary logarithm of luma rows per chroma row: 1 for 4:2:0 and 4:4:0, else 0.
  package let log2ChromaHeight: Int
  /// 1 for gray, else 3.
  package let planeCount: Int

  /// FFmpeg's code (`AVPixelFormat`).
  let code: Int32

  /// Whether there is no chroma.
  package var isGray: Bool { planeCount == 1 }
  /// 1 up to 8 bits, else 2.
  package var bytesPerSample: Int { bitDepth > 8 ? 2 : 1 }
  /// The largest sample value.
  package var maximumValue: Int { (1 << bitDepth) - 1 }
  /// FFmpeg's name.
  package var description: String { name }

  /// The layout with FFmpeg's `name`; nil if FFmpeg does not have it or this package does not support it.
  ///
  /// `yuvj420p` and the like yield the plain layout. Names without `le` yield the little-endian layout on
  /// little-endian machines. The corresponding C function is `av_get_pix_fmt`.
  package init?(name: String) {
    self.init(code: av_get_pix_fmt(name).rawValue)
  }

  init?(code: Int32) {
    let plain = Self.withoutRange(code)
    guard let descriptor = av_pix_fmt_desc_get(AVPixelFormat(plain))?.pointee,
      let name = descriptor.name, Self.isProcessable(descriptor)
    else { return nil }
    self.code = plain
    self.name = String(cString: name)
    self.bitDepth = Int(descriptor.comp.0.depth)
    self.planeCount = Int(descriptor.nb_components)
    self.log2ChromaWidth = planeCount == 1 ? 0 : Int(descriptor.log2_chroma_w)
    self.log2ChromaHeight = planeCount == 1 ? 0 : Int(descriptor.log2_chroma_h)
  }

  private init(known format: AVPixelFormat) {
    guard let value = PixelFormat(code: format.rawValue) else {
      preconditionFailure("FFmpeg lacks a basic pixel format")
    }
    self = value
  }

  /// 8-bit 4:2:0.
  package static let yuv420p = PixelFormat(known: AV_PIX_FMT_YUV420P)
  /// 8-bit 4:2:2.
  package static let yuv422p = PixelFormat(known: AV_PIX_FMT_YUV422P)
  /// 8-bit 4:4:4.
  package static let yuv444p = PixelFormat(known: AV_PIX_FMT_YUV444P)
  /// 10-bit 4:2:0.
  package static let yuv420p10 = PixelFormat(known: AV_PIX_FMT_YUV420P10LE)
  /// 10-bit 4:2:2.
  package static let yuv422p10 = PixelFormat(known: AV_PIX_FMT_YUV422P10LE)
  /// 10-bit 4:4:4.
  package static let yuv444p10 = PixelFormat(known: AV_PIX_FMT_YUV444P10LE)
  /// 16-bit 4:4:4.
  package static let yuv444p16 = PixelFormat(known: AV_PIX_FMT_YUV444P16LE)
  /// 8-bit gray.
  package static let gray8 = PixelFormat(known: AV_PIX_FMT_GRAY8)
  /// 16-bit gray.
  package static let gray16 = PixelFormat(known: AV_PIX_FMT_GRAY16LE)

  /// Columns of plane `index` in a picture `width` wide, rounded up.
  package func planeWidth(_ index: Int, width: Int) -> Int {
    index == 0 ? width : (width + (1 << log2ChromaWidth) - 1) >> log2ChromaWidth
  }

  /// Rows of plane `index` in a picture `height` high, rounded up.
  package func planeHeight(_ index: Int, height: Int) -> Int {
    index == 0 ? height : (height + (1 << log2ChromaHeight) - 1) >> log2ChromaHeight
  }

  /// Whether decoded frames in this layout can be used without conversion.
  private static func isProcessable(_ descriptor: AVPixFmtDescriptor) -> Bool {
    let refused = UInt64(
      AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_HWACCEL
        | AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_BE)
    let count = descriptor.nb_components
    guard UInt64(descriptor.flags) & refused == 0, count == 1 || count == 3,
      descriptor.log2_chroma_w <= 1, descriptor.log2_chroma_h <= 1
    else { return false }
    let all = [descriptor.comp.0, descriptor.comp.1, descriptor.comp.2]
    let depth = descriptor.comp.0.depth
    guard (8...16).contains(depth) else { return false }
    for (index, component) in all.prefix(Int(count)).enumerated() {
      guard component.plane == index, component.offset == 0, component.shift == 0,
        component.depth == depth, component.step == (depth > 8 ? 2 : 1)
      else { return false }
    }
    return true
  }

  /// The plain layout for one of FFmpeg's full-range duplicates, or `code` itself.
  static func withoutRange(_ code: Int32) -> Int32 {
    rangePairs.first { $0.full == code }?.plain ?? code
  }

  /// FFmpeg's full-range duplicate of a layout, if it has one.
  static func withFullRange(_ code: Int32) -> Int32? {
    rangePairs.first { $0.plain == code }?.full
  }

  private static let rangePairs: [(full: Int32, plain: Int32)] = [
    (AV_PIX_FMT_YUVJ420P.rawValue, AV_PIX_FMT_YUV420P.rawValue),
    (AV_PIX_FMT_YUVJ422P.rawValue, AV_PIX_FMT_YUV422P.rawValue),
    (AV_PIX_FMT_YUVJ440P.rawValue, AV_PIX_FMT_YUV440P.rawValue),
    (AV_PIX_FMT_YUVJ444P.rawValue, AV_PIX_FMT_YUV444P.rawValue),
    (AV_PIX_FMT_YUVJ411P.rawValue, AV_PIX_FMT_YUV411P.rawValue),
  ]

  /// Whether pixels are RGB, directly, through a palette or as a Bayer mosaic.
  static func isRGB(_ code: Int32) -> Bool {
    guard let flags = av_pix_fmt_desc_get(AVPixelFormat(code))?.pointee.flags else { return false }
    return flags & UInt64(AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BAYER) != 0
  }

  /// Whether pixels have an alpha channel; palettes nominally have one but do not count.
  static func hasAlpha(_ code: Int32) -> Bool {
    guard let flags = av_pix_fmt_desc_get(AVPixelFormat(code))?.pointee.flags else { return false }
    return flags & UInt64(AV_PIX_FMT_FLAG_ALPHA) != 0 && flags & UInt64(AV_PIX_FMT_FLAG_PAL) == 0
  }

  /// The nearest supported layout that loses neither depth (up to 16 bits) nor chroma resolution;
  /// alpha is dropped. RGB becomes 4:4:4.
  ///
  /// - Returns: nil for layouts that swscale cannot read.
  static func nearest(toCode code: Int32) -> PixelFormat? {
    if let same = PixelFormat(code: code) { return same }
    guard let descriptor = av_pix_fmt_desc_get(AVPixelFormat(code))?.pointee,
      sws_isSupportedInput(AVPixelFormat(code)) > 0
    else { return nil }
    let components = [descriptor.comp.0, descriptor.comp.1, descriptor.comp.2, descriptor.comp.3]
    let flags = UInt64(descriptor.flags)
    let isColor = descriptor.nb_components >= 3 || flags & UInt64(AV_PIX_FMT_FLAG_PAL) != 0
    let depth =
      flags & UInt64(AV_PIX_FMT_FLAG_FLOAT) != 0
      ? 16 : components.prefix(Int(descriptor.nb_components)).map { Int($0.depth) }.max() ?? 8
    let isRGB = isRGB(code)
    let base: String
    switch (isColor, isRGB, descriptor.log2_chroma_w, descriptor.log2_chroma_h) {
    case (false, _, _, _): base = "gray"
    case (_, true, _, _), (_, _, 0, 0): base = "yuv444p"
    case (_, _, 0, _): base = "yuv440p"
    case (_, _, _, 0): base = "yuv422p"
    default: base = "yuv420p"
    }
    if depth <= 8 { return PixelFormat(name: base) }
    for candidate in [9, 10, 12, 14, 16] where candidate >= depth {
      guard let format = PixelFormat(name: "\(base)\(candidate)le"),
        sws_isSupportedOutput(AVPixelFormat(format.code)) > 0
      else { continue }
      return format
    }
    return base == "yuv440p" ? PixelFormat(name: "yuv444p16le") : nil
  }
}
