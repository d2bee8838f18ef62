// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Turns RGB frames into YUV 4:4:4 of the same depth, by the formulas of ITU-T H.273.
///
/// swscale would do it too, but scales deep samples as if white were 256, not 255.
struct RGBConversion: ~Copyable {
  private let format: PixelFormat
  private let color: ColorDescription
  private let layout: Layout
  /// To a layout that can be read directly, where the decoder's cannot.
  private let unpacker: PictureConverter?

  /// Where the samples of R, G and B lie.
  private struct Layout {
    struct Component {
      let plane: Int32
      let offset: Int
      let step: Int
    }
    let components: [Component]
    let bytesPerSample: Int
    let isBigEndian: Bool

    /// nil if samples are not whole bytes of one kind.
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
  ///   - format: 4:4:4 of the depth wanted.
  ///   - color: what the results' values shall mean.
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

  /// A new frame with the picture converted and the other properties kept.
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
    let weights = Weights(color: color, bitDepth: format.bitDepth)
    for row in 0..<Int(target.pointee.height) {
      let inputs = layout.components.map { component in
        UnsafeRawPointer(cffmpeg_frame_plane(source, component.plane))
          + row * Int(cffmpeg_frame_bytes_per_row(source, component.plane)) + component.offset
      }
      let outputs = (0..<3).map { index in
        UnsafeMutableRawPointer(cffmpeg_frame_plane(target, Int32(index)))
          + row * Int(cffmpeg_frame_bytes_per_row(target, Int32(index)))
      }
      fillRow(outputs, from: inputs, width: Int(target.pointee.width), weights)
    }
  }

  private func fillRow(
    _ outputs: [UnsafeMutableRawPointer], from inputs: [UnsafeRawPointer], width: Int, _ weights: Weights
  ) {
    let steps = layout.components.map(\.step)
    let isDeep = layout.bytesPerSample == 2
    let isBigEndian = layout.isBigEndian
    func load(_ component: Int, _ x: Int) -> Float {
      let address = inputs[component] + x * steps[component]
      guard isDeep else { return Float(address.load(as: UInt8.self)) }
      let value = address.loadUnaligned(as: UInt16.self)
      return Float(isBigEndian ? UInt16(bigEndian: value) : UInt16(littleEndian: value))
    }
    for x in 0..<width {
      let values = weights.values(load(0, x), load(1, x), load(2, x))
      for plane in 0..<3 {
        let value = values[plane]
        if isDeep {
          outputs[plane].storeBytes(of: UInt16(value).littleEndian, toByteOffset: 2 * x, as: UInt16.self)
        } else {
          outputs[plane].storeBytes(of: UInt8(value), toByteOffset: x, as: UInt8.self)
        }
      }
    }
  }

  /// The matrix, scaled to sample values; lanes are Y, Cb and Cr.
  private struct Weights {
    private let red: SIMD4<Float>
    private let green: SIMD4<Float>
    private let blue: SIMD4<Float>
    private let offset: SIMD4<Float>
    private let top: SIMD4<Float>

    init(color: ColorDescription, bitDepth: Int) {
      let (kr, kb) = color.lumaWeights
      let kg = 1 - kr - kb
      let top = Double((1 << bitDepth) - 1)
      let unit = Double(1 << (bitDepth - 8))
      let isFull = color.isFullRange
      let luma = isFull ? 1 : 219 * unit / top
      let chroma = isFull ? 1 : 224 * unit / top
      let (cb, cr) = (chroma / (2 * (1 - kb)), chroma / (2 * (1 - kr)))
      red = SIMD4(Float(kr * luma), Float(-kr * cb), Float((1 - kr) * cr), 0)
      green = SIMD4(Float(kg * luma), Float(-kg * cb), Float(-kg * cr), 0)
      blue = SIMD4(Float(kb * luma), Float((1 - kb) * cb), Float(-kb * cr), 0)
      // Half a step more, as conversion to integers cuts.
      let middle = Float(128 * unit + 0.5)
      offset = SIMD4(Float((isFull ? 0 : 16 * unit) + 0.5), middle, middle, 0)
      self.top = SIMD4(repeating: Float(top))
    }

    @inline(__always)
    func values(_ r: Float, _ g: Float, _ b: Float) -> SIMD4<Int32> {
      let sum = red * r + green * g + blue * b + offset
      return SIMD4<Int32>(sum.clamped(lowerBound: .zero, upperBound: top))
    }
  }
}

extension ColorDescription {
  /// The shares of red and blue in luma, by matrix; BT.601's where the matrix is none of these.
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
