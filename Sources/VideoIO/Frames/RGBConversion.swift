// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Converts RGB frames to YUV 4:4:4 of the same depth by the formulas of ITU-T H.273.
///
/// swscale can do this too, but scales deep samples as if white were 256, not 255.
struct RGBConversion: ~Copyable {
  private let format: PixelFormat
  private let color: ColorDescription
  private let layout: Layout
  /// Converts to a layout that can be read directly if the decoder's cannot.
  private let unpacker: PictureConverter?

  /// The positions of the R, G and B samples.
  private struct Layout {
    struct Component {
      let plane: Int32
      let offset: Int
      let step: Int
    }
    let components: [Component]
    let bytesPerSample: Int
    let isBigEndian: Bool

    /// nil if samples are not whole bytes of one size.
    init?(code: Int32, depth: Int) {
      guard let descriptor = av_pix_fmt_desc_get(AVPixelFormat(code))?.pointee else { return nil }
      let flags = UInt64(descriptor.flags)
      let refused = UInt64(
        AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BAYER)
      let all = [descriptor.comp.0, descriptor.comp.1, descriptor.comp.2]
      guard flags & refused == 0, flags & UInt64(AV_PIX_FMT_FLAG_RGB) != 0, descriptor.nb_components >= 3,
        descriptor.name.map({ String(cString: $0).hasPrefix("xyz") }) == false,
        all.allSatisfy({ $0.shift == 0 && Int($0.depth) == depth })
      else { return nil }
      components = all.map { .init(plane: $0.plane, offset: Int($0.offset), step: Int($0.step)) }
      bytesPerSample = depth > 8 ? 2 : 1
      isBigEndian = flags & UInt64(AV_PIX_FMT_FLAG_BE) != 0
    }
  }

  /// - Parameters:
  ///   - code: the decoder's layout, RGB of any kind.
  ///   - format: 4:4:4 of the requested depth.
  ///   - color: colour of the results.
  /// - Throws: `VideoIOError.cannotConvert`.
  init(
    width: Int, height: Int, code: Int32, to format: PixelFormat, color: ColorDescription
  ) throws(VideoIOError) {
    self = try Self.make(width: width, height: height, code: code, to: format, color: color)
  }

  private init(
    format: PixelFormat, color: ColorDescription, layout: Layout, unpacker: consuming PictureConverter?
  ) {
    self.format = format
    self.color = color
    self.layout = layout
    self.unpacker = unpacker
  }

  private static func make(
    width: Int, height: Int, code: Int32, to format: PixelFormat, color: ColorDescription
  ) throws(VideoIOError) -> RGBConversion {
    if let layout = Layout(code: code, depth: format.bitDepth) {
      return RGBConversion(format: format, color: color, layout: layout, unpacker: nil)
    }
    let name = format.bitDepth == 8 ? "gbrp" : "gbrp\(format.bitDepth)le"
    let planar = av_get_pix_fmt(name).rawValue
    var rgb = color
    rgb.matrix = 0
    rgb.range = 2
    guard let layout = Layout(code: planar, depth: format.bitDepth) else {
      throw .cannotConvert(from: name, to: format.name, reason: .invalidData)
    }
    let unpacker = try PictureConverter(
      from: .init(width: width, height: height, code: code, color: rgb),
      to: .init(width: width, height: height, code: planar, color: rgb))
    return RGBConversion(format: format, color: color, layout: layout, unpacker: unpacker)
  }

  /// Returns a new frame with the picture converted and all other properties kept.
  func converted(_ frame: UnsafePointer<AVFrame>) throws(VideoIOError) -> FrameOwner {
    let result = try FrameOwner(
      width: Int(frame.pointee.width), height: Int(frame.pointee.height), code: format.code)
    if let unpacked = try unpacker?.converted(frame) {
      fill(result.raw, from: unpacked.raw)
    } else {
      fill(result.raw, from: frame)
    }
    try copyProperties(from: frame, to: result.raw)
    color.store(in: result.raw)
    return result
  }

  private func fill(_ target: UnsafeMutablePointer<AVFrame>, from source: UnsafePointer<AVFrame>) {
    // The sums fit in 32 bits up to 12 bits per sample.
    switch format.bitDepth {
    case 8: fill(target, from: source, UInt8.self, Weights<Int32>(color, bitDepth: 8, fractionBits: 16))
    case ...12:
      fill(
        target, from: source, UInt16.self,
        Weights<Int32>(color, bitDepth: format.bitDepth, fractionBits: 16))
    default:
      fill(
        target, from: source, UInt16.self,
        Weights<Int64>(color, bitDepth: format.bitDepth, fractionBits: 24))
    }
  }

  @inline(__always)
  private func fill<Sample: FixedWidthInteger & UnsignedInteger, Sum: FixedWidthInteger>(
    _ target: UnsafeMutablePointer<AVFrame>, from source: UnsafePointer<AVFrame>, _: Sample.Type,
    _ weights: Weights<Sum>
  ) {
    let width = Int(target.pointee.width)
    let swaps = layout.isBigEndian != (Sample(1).bigEndian == 1)
    for row in 0..<Int(target.pointee.height) {
      func input(_ index: Int) -> UnsafeRawPointer {
        let component = layout.components[index]
        return UnsafeRawPointer(cffmpeg_frame_plane(source, component.plane))
          + row * Int(cffmpeg_frame_bytes_per_row(source, component.plane)) + component.offset
      }
      func output(_ index: Int32) -> UnsafeMutablePointer<Sample> {
        let start =
          UnsafeMutableRawPointer(cffmpeg_frame_plane(target, index))
          + row * Int(cffmpeg_frame_bytes_per_row(target, index))
        return start.assumingMemoryBound(to: Sample.self)
      }
      let (red, green, blue) = (input(0), input(1), input(2))
      let (y, cb, cr) = (output(0), output(1), output(2))
      let (redStep, greenStep, blueStep) = (
        layout.components[0].step, layout.components[1].step, layout.components[2].step
      )
      for x in 0..<width {
        var r = (red + x &* redStep).loadUnaligned(as: Sample.self)
        var g = (green + x &* greenStep).loadUnaligned(as: Sample.self)
        var b = (blue + x &* blueStep).loadUnaligned(as: Sample.self)
        if swaps { (r, g, b) = (r.byteSwapped, g.byteSwapped, b.byteSwapped) }
        let (sr, sg, sb) = (
          Sum(truncatingIfNeeded: r), Sum(truncatingIfNeeded: g), Sum(truncatingIfNeeded: b)
        )
        y[x] = Sample(truncatingIfNeeded: weights.luma.sample(sr, sg, sb, weights))
        cb[x] = Sample(truncatingIfNeeded: weights.blueDifference.sample(sr, sg, sb, weights))
        cr[x] = Sample(truncatingIfNeeded: weights.redDifference.sample(sr, sg, sb, weights))
      }
    }
  }

  /// The matrix in fixed point, scaled to the sample range.
  private struct Weights<Sum: FixedWidthInteger> {
    struct Row {
      let red: Sum
      let green: Sum
      let blue: Sum
      let offset: Sum

      @inline(__always)
      func sample(_ r: Sum, _ g: Sum, _ b: Sum, _ weights: Weights) -> Sum {
        let sum = red &* r &+ green &* g &+ blue &* b &+ offset
        return min(max(sum &>> weights.fractionBits, 0), weights.top)
      }
    }

    let luma: Row
    let blueDifference: Row
    let redDifference: Row
    let top: Sum
    let fractionBits: Sum

    init(_ color: ColorDescription, bitDepth: Int, fractionBits: Int) {
      let (kr, kb) = color.lumaWeights
      let kg = 1 - kr - kb
      let top = Double((1 << bitDepth) - 1)
      let unit = Double(1 << (bitDepth - 8))
      let isFull = color.isFullRange
      let one = Double(1 << fractionBits)
      func row(_ r: Double, _ g: Double, _ b: Double, _ scale: Double, _ offset: Double) -> Row {
        // Add half a step, since shifting truncates.
        Row(
          red: Sum((r * scale * one).rounded()), green: Sum((g * scale * one).rounded()),
          blue: Sum((b * scale * one).rounded()), offset: Sum(((offset + 0.5) * one).rounded()))
      }
      let lumaScale = isFull ? 1 : 219 * unit / top
      let chromaScale = isFull ? 1 : 224 * unit / top
      luma = row(kr, kg, kb, lumaScale, isFull ? 0 : 16 * unit)
      blueDifference = row(-kr, -kg, 1 - kb, chromaScale / (2 * (1 - kb)), 128 * unit)
      redDifference = row(1 - kr, -kg, -kb, chromaScale / (2 * (1 - kr)), 128 * unit)
      self.top = Sum(top)
      self.fractionBits = Sum(fractionBits)
    }
  }
}

extension ColorDescription {
  /// The weights of red and blue in luma for the matrix; those of BT.601 for other matrices.
  var lumaWeights: (red: Double, blue: Double) {
    switch matrix {
    case 1: (0.2126, 0.0722)
    case 4: (0.30, 0.11)
    case 7: (0.212, 0.087)
    case 9, 10: (0.2627, 0.0593)
    default: (0.299, 0.114)
    }
  }
}
