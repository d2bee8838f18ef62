// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Turns a decoder's frames into `VideoFrame`s: layout, range, timestamps, constancy of shape.
struct FrameIntake: ~Copyable {
  /// What the first frame was like, and all others must be.
  private struct Shape: Equatable {
    let width: Int32
    let height: Int32
    let code: Int32
  }

  private let path: String
  private let timeBase: Rational
  private let isStillImage: Bool
  private var shape: Shape?
  private var converter: PictureConverter?
  private var rgbConversion: RGBConversion?
  private(set) var timestamps: TimestampRepair

  init(path: String, timeBase: Rational, frameRate: Rational, isStillImage: Bool) {
    self.path = path
    self.timeBase = timeBase
    self.isStillImage = isStillImage
    let usual = frameRate.isPositive ? frameRate.inverse.rescale(1, to: timeBase) : 1
    timestamps = TimestampRepair(usualDuration: usual)
    converter = nil
    rgbConversion = nil
  }

  /// FFmpeg's name of the decoder's layout, once a frame has come.
  var sourceFormatName: String {
    guard let shape else { return "unknown" }
    return av_get_pix_fmt_name(AVPixelFormat(shape.code)).map { String(cString: $0) } ?? "unknown"
  }

  /// Whether the decoder's frames have a transparency, which is left out.
  var losesTransparency: Bool { shape.map { PixelFormat.hasAlpha($0.code) } ?? false }

  /// Whether frames are converted.
  var isConverting: Bool { converter != nil || rgbConversion != nil }

  /// Takes a frame as the decoder gave it.
  /// - Throws: `VideoIOError.pictureChanges`, `unsupportedFormat`, `cannotConvert`, `outOfMemory`.
  /// - Parameter isAtEnd: whether the decoder is being emptied.
  mutating func take(_ owner: consuming FrameOwner, isAtEnd: Bool = false) throws(VideoIOError) -> VideoFrame
  {
    let raw = owner.raw
    let best = raw.pointee.best_effort_timestamp
    let duration = max(cffmpeg_frame_duration(raw), 0)
    let timestamp = timestamps.next(
      best == noTimestamp ? nil : best, duration: duration, isAtEnd: isAtEnd)
    try checkShape(of: raw, at: Double(timestamp) * timeBase.doubleValue)
    raw.pointee.pts = timestamp
    cffmpeg_frame_set_duration(raw, duration)
    let code = raw.pointee.format
    if let format = PixelFormat(code: code) {
      if format.code != code {
        raw.pointee.format = format.code
        raw.pointee.color_range = AVCOL_RANGE_JPEG
      }
      return VideoFrame(adopting: try Self.upright(owner, format), format: format)
    }
    guard let format = PixelFormat.nearest(toCode: code) else {
      throw .unsupportedFormat(path: path, format: sourceFormatName)
    }
    return VideoFrame(adopting: try convert(owner, to: format), format: format)
  }

  private mutating func checkShape(of raw: UnsafePointer<AVFrame>, at seconds: Double) throws(VideoIOError) {
    let found = Shape(width: raw.pointee.width, height: raw.pointee.height, code: raw.pointee.format)
    guard let shape else {
      shape = found
      return
    }
    guard shape != found else { return }
    func text(_ shape: Shape) -> String {
      let name = av_get_pix_fmt_name(AVPixelFormat(shape.code)).map { String(cString: $0) } ?? "?"
      return "\(shape.width)x\(shape.height) \(name)"
    }
    throw .pictureChanges(path: path, seconds: seconds, from: text(shape), to: text(found))
  }

  private mutating func convert(
    _ owner: consuming FrameOwner, to format: PixelFormat
  ) throws(VideoIOError) -> FrameOwner {
    let raw = owner.raw
    if rgbConversion == nil, converter == nil { try chooseConversion(of: raw, to: format) }
    if let result = try rgbConversion?.converted(raw) { return result }
    if let result = try converter?.converted(raw) { return result }
    throw .outOfMemory
  }

  /// RGB gets the matrix of its size and limited range; photographs get BT.601 and full range, as in JPEG.
  /// YUV keeps its meaning.
  private mutating func chooseConversion(
    of raw: UnsafePointer<AVFrame>, to format: PixelFormat
  ) throws(VideoIOError) {
    let width = Int(raw.pointee.width)
    let height = Int(raw.pointee.height)
    let code = raw.pointee.format
    var color = ColorDescription(frame: raw)
    guard PixelFormat.isRGB(code), !format.isGray else {
      converter = try PictureConverter(
        from: .init(width: width, height: height, code: code, color: color),
        to: .init(width: width, height: height, code: format.code, color: color))
      return
    }
    color.matrix = isStillImage ? 5 : ColorDescription.assumedMatrix(width: width, height: height)
    color.range = isStillImage ? 2 : 1
    color.chromaLocation = 0
    rgbConversion = try RGBConversion(width: width, height: height, code: code, to: format, color: color)
  }

  /// The frame with all rows stored downwards; some decoders of raw video store them upwards.
  private static func upright(
    _ owner: consuming FrameOwner, _ format: PixelFormat
  ) throws(VideoIOError) -> FrameOwner {
    let raw = owner.raw
    guard (0..<format.planeCount).contains(where: { cffmpeg_frame_bytes_per_row(raw, Int32($0)) < 0 })
    else { return owner }
    let copy = try FrameOwner(
      width: Int(raw.pointee.width), height: Int(raw.pointee.height), code: format.code)
    try copyProperties(from: raw, to: copy.raw)
    guard av_frame_copy(copy.raw, raw) >= 0 else { throw .outOfMemory }
    return copy
  }
}
