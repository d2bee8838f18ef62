// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// A resampling kernel.
package enum ScalingKernel: String, Codable, Sendable, Hashable, CaseIterable {
  /// Cubic convolution with a = -0.6, swscale's default.
  case bicubic
  /// The mean over the area of a sample.
  case area
  /// A windowed sinc with three lobes.
  case lanczos

  var flag: Int32 {
    switch self {
    case .bicubic: SWS_BICUBIC
    case .area: SWS_AREA
    case .lanczos: SWS_LANCZOS
    }
  }
}

/// Owns a scaler from one size, layout and colour to another.
struct PictureConverter: ~Copyable {
  /// One side of a conversion.
  struct Side: Hashable {
    var width: Int
    var height: Int
    var code: Int32
    var color: ColorDescription

    var text: String {
      let name = av_get_pix_fmt_name(AVPixelFormat(code)).map { String(cString: $0) } ?? "?"
      return "\(width)x\(height) \(name)"
    }

    fileprivate func libav() -> cffmpeg_picture? {
      guard let w = Int32(exactly: width), let h = Int32(exactly: height), w > 0, h > 0,
        let descriptor = av_pix_fmt_desc_get(AVPixelFormat(code))?.pointee
      else { return nil }
      let position = color.chromaPosition(
        log2Width: Int32(descriptor.log2_chroma_w), log2Height: Int32(descriptor.log2_chroma_h))
      // An unspecified range means full for gray, unlike YUV.
      let isFull = color.isFullRange || (descriptor.nb_components <= 2 && color.range == 0)
      return cffmpeg_picture(
        width: w, height: h, format: code, full_range: isFull ? 1 : 0, matrix: color.matrix,
        chroma_x: position.x, chroma_y: position.y)
    }
  }

  let source: Side
  let target: Side
  private let scaler: OpaquePointer

  /// - Throws: `VideoIOError.cannotConvert` if swscale does not support the conversion.
  init(
    from source: Side, to target: Side, kernel: ScalingKernel = .bicubic
  ) throws(VideoIOError) {
    let flags = kernel.flag | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INP | SWS_FULL_CHR_H_INT
    guard var from = source.libav(), var to = target.libav() else {
      throw .cannotConvert(from: source.text, to: target.text, reason: .invalidData)
    }
    let (scaler, log) = LibavLog.collecting { cffmpeg_scaler_make(&from, &to, flags) }
    guard let scaler else {
      throw .cannotConvert(from: source.text, to: target.text, reason: LibavError(errno: 22, log: log))
    }
    self.source = source
    self.target = target
    self.scaler = scaler
  }

  deinit { cffmpeg_scaler_free(scaler) }

  /// Converts `from` into `to`; both must have the converter's sizes and layouts.
  func run(from: UnsafePointer<AVFrame>, to: UnsafeMutablePointer<AVFrame>) throws(VideoIOError) {
    let code = cffmpeg_scaler_run(scaler, from, to)
    guard code >= 0 else {
      throw .cannotConvert(from: source.text, to: target.text, reason: LibavError(code: code))
    }
  }

  /// Returns a new frame with the picture converted and all other properties kept.
  func converted(_ frame: UnsafePointer<AVFrame>) throws(VideoIOError) -> FrameOwner {
    let result = try FrameOwner(width: target.width, height: target.height, code: target.code)
    try run(from: frame, to: result.raw)
    try copyProperties(from: frame, to: result.raw)
    target.color.store(in: result.raw)
    return result
  }
}

extension ColorDescription {
  /// The position of chroma samples for swscale, in 1/256 of a luma sample.
  ///
  /// Unspecified means left, as in MPEG-2 and later, or centre for full range, as in JPEG.
  fileprivate func chromaPosition(log2Width: Int32, log2Height: Int32) -> (x: Int32, y: Int32) {
    let location = chromaLocation == 0 ? (isFullRange ? 2 : 1) : chromaLocation
    // Left 1, centre 2, top left 3, top 4, bottom left 5, bottom 6.
    let isLeft = location == 1 || location == 3 || location == 5
    let y: Int32 = location <= 2 ? 128 : location <= 4 ? 0 : 256
    return (log2Width == 0 ? -513 : isLeft ? 0 : 128, log2Height == 0 ? -513 : y)
  }
}
