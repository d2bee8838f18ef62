// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Converts decoded frames to `VideoFrame`s: unifies layout and range, repairs timestamps, checks that the shape is constant.
struct FrameIntake: ~Copyable {
  /// The properties of the first frame that all others must share.
  private struct Shape: Equatable {
    let width: Int32
    let height: Int32
    let code: Int32
  }

  private let path: String
  private let timeBase: Rational
  private let isStillImage: Bool
  private var shape: Shape?
  private var sourceCode: Int32?
  private var converter: PictureConverter?
  private var rgbConversion: RGBConversion?
  private(set) var timestamps: TimestampRepair
  /// The colour and pixel aspect ratio of the first frame, which apply to the whole output.
  private var firstColor: ColorDescription?
  private var firstAspect = Rational(0, 1)
  private var recoloring: PictureConverter?
  /// Changes within the video, one line each.
  private(set) var warnings: [String] = []

  /// - Parameter start: time of a first frame without a timestamp, in microseconds.
  init(path: String, timeBase: Rational, frameRate: Rational, isStillImage: Bool, start: Int64 = 0) {
    self.path = path
    self.timeBase = timeBase
    self.isStillImage = isStillImage
    let usual = frameRate.isPositive ? frameRate.inverse.rescale(1, to: timeBase) : 1
    timestamps = TimestampRepair(usualDuration: usual, start: microseconds.rescale(start, to: timeBase))
    converter = nil
    rgbConversion = nil
    recoloring = nil
  }

  /// FFmpeg's name of the decoder's layout, known after the first frame.
  var sourceFormatName: String {
    guard let sourceCode else { return "unknown" }
    return av_get_pix_fmt_name(AVPixelFormat(sourceCode)).map { String(cString: $0) } ?? "unknown"
  }

  /// Whether decoded frames have an alpha channel, which is dropped.
  var hasAlpha: Bool { shape.map { PixelFormat.hasAlpha($0.code) } ?? false }

  /// Whether a decoded frame was transparent somewhere.
  private(set) var losesTransparency = false

  /// Whether frames are converted.
  var isConverting: Bool { converter != nil || rgbConversion != nil }

  /// Converts a decoded frame.
  /// - Throws: `VideoIOError.pictureChanges`, `unsupportedFormat`, `cannotConvert`, `outOfMemory`.
  /// - Parameter isAtEnd: whether the decoder is being flushed.
  mutating func take(_ owner: consuming FrameOwner, isAtEnd: Bool = false) throws(VideoIOError) -> VideoFrame
  {
    let raw = owner.raw
    let best = raw.pointee.best_effort_timestamp
    let duration = max(cffmpeg_frame_duration(raw), 0)
    let timestamp = timestamps.next(
      best == noTimestamp ? nil : best, duration: duration, isAtEnd: isAtEnd)
    try checkShape(of: raw, at: Double(timestamp) * timeBase.doubleValue)
    if !losesTransparency { losesTransparency = Transparency.isPresent(in: raw) }
    raw.pointee.pts = timestamp
    cffmpeg_frame_set_duration(raw, duration)
    let code = raw.pointee.format
    let seconds = Double(timestamp) * timeBase.doubleValue
    noteAspect(of: raw, at: seconds)
    if let format = PixelFormat(code: code) {
      if format.code != code {
        raw.pointee.format = format.code
        raw.pointee.color_range = AVCOL_RANGE_JPEG
      }
      let color = ColorDescription(frame: raw)
      let upright = try Self.upright(owner, format)
      return VideoFrame(adopting: try recolored(upright, color, format, at: seconds), format: format)
    }
    guard let format = PixelFormat.nearest(toCode: code) else {
      throw .unsupportedFormat(path: path, format: sourceFormatName)
    }
    let color = ColorDescription(frame: raw)
    let converted = try convert(owner, to: format)
    if rgbConversion != nil { return VideoFrame(adopting: converted, format: format) }
    return VideoFrame(adopting: try recolored(converted, color, format, at: seconds), format: format)
  }

  /// Converts the frame to the colour of the first one.
  private mutating func recolored(
    _ owner: consuming FrameOwner, _ color: ColorDescription, _ format: PixelFormat, at seconds: Double
  ) throws(VideoIOError) -> FrameOwner {
    guard let first = firstColor else {
      firstColor = color
      return owner
    }
    guard color != first else { return owner }
    let (width, height) = (Int(owner.raw.pointee.width), Int(owner.raw.pointee.height))
    func full(_ color: ColorDescription) -> ColorDescription {
      var result = color.assumingDefaults(width: width, height: height)
      if result.range == 0 { result.range = format.isGray ? 2 : 1 }
      return result
    }
    let (from, to) = (full(color), full(first))
    if from.primaries != to.primaries && color.primaries != 2
      || from.transfer != to.transfer && color.transfer != 2
    {
      warn(
        "its primaries or transfer change at \(VideoIOError.text(seconds)) from \(first) to \(color); the first are written"
      )
    }
    let needsConversion =
      from.range != to.range || !format.isGray && !Self.isSameMatrix(from.matrix, to.matrix)
    guard needsConversion else {
      first.store(in: owner.raw)
      return owner
    }
    warn(
      "its colour changes at \(VideoIOError.text(seconds)) from \(first) to \(color), and is converted to the first"
    )
    let sides = (
      PictureConverter.Side(width: width, height: height, code: format.code, color: from),
      PictureConverter.Side(width: width, height: height, code: format.code, color: to)
    )
    if recoloring == nil || recoloring?.source != sides.0 {
      recoloring = try PictureConverter(from: sides.0, to: sides.1)
    }
    guard let result = try recoloring?.converted(owner.raw) else { throw .outOfMemory }
    first.store(in: result.raw)
    return result
  }

  /// BT.601 has two codes.
  static func isSameMatrix(_ a: Int32, _ b: Int32) -> Bool {
    a == b || [a, b].allSatisfy { $0 == 5 || $0 == 6 }
  }

  private mutating func noteAspect(of raw: UnsafePointer<AVFrame>, at seconds: Double) {
    let found = Rational(raw.pointee.sample_aspect_ratio)
    guard found.isPositive else { return }
    guard firstAspect.isPositive else {
      firstAspect = found
      return
    }
    let isSame =
      Int64(found.numerator) * Int64(firstAspect.denominator)
      == Int64(firstAspect.numerator) * Int64(found.denominator)
    if !isSame {
      warn(
        "the shape of its pixels changes at \(VideoIOError.text(seconds)) from \(firstAspect) to \(found); the first is written"
      )
    }
  }

  /// Records a change; of a file that changes constantly, only the first few.
  private mutating func warn(_ line: String) {
    if warnings.count < 4, !warnings.contains(line) { warnings.append(line) }
  }

  private mutating func checkShape(of raw: UnsafePointer<AVFrame>, at seconds: Double) throws(VideoIOError) {
    // The range is part of the colour, which is converted.
    let found = Shape(
      width: raw.pointee.width, height: raw.pointee.height, code: PixelFormat.withoutRange(raw.pointee.format)
    )
    guard let shape else {
      shape = found
      sourceCode = raw.pointee.format
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

  /// RGB is converted with the matrix for its size and limited range, still images with BT.601 and full range, as in JPEG.
  /// YUV keeps its colour.
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

  /// The frame with rows stored top to bottom; some raw video decoders store them bottom up.
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
