// SPDX-License-Identifier: Apache-2.0
internal import VideoIO

/// The layout of a picture's samples: planar YUV or gray, of 8 to 16 bits.
///
/// Samples of up to 8 bits are `UInt8`, deeper ones `UInt16` in the machine's byte order.
public struct PictureLayout: Sendable, Hashable, CustomStringConvertible {
  let format: PixelFormat

  init(_ format: PixelFormat) { self.format = format }

  /// Returns the layout with FFmpeg's `name`, such as `yuv420p10le`; nil if this package does not support it.
  public init?(name: String) {
    guard let format = PixelFormat(name: name) else { return nil }
    self.init(format)
  }

  /// 8-bit 4:2:0.
  public static let yuv420p = PictureLayout(.yuv420p)
  /// 8-bit 4:4:4.
  public static let yuv444p = PictureLayout(.yuv444p)
  /// 10-bit 4:2:0.
  public static let yuv420p10 = PictureLayout(.yuv420p10)

  /// Bits per sample, 8 to 16.
  public var bitDepth: Int { format.bitDepth }
  /// Bytes per sample: 1 up to 8 bits, else 2.
  public var bytesPerSample: Int { format.bytesPerSample }
  /// Number of planes: 1 for gray, else 3 (luma and two of chroma).
  public var planeCount: Int { format.planeCount }
  /// FFmpeg's name.
  public var description: String { format.name }
}

/// A video picture with its time. Immutable; copies share the samples.
public struct VideoPicture: Sendable {
  let frame: VideoFrame
  /// Presentation time.
  public let time: MediaTime
  /// Duration; nil if unknown.
  public let duration: MediaTime?

  /// Width of the luma plane in samples.
  public var width: Int { frame.width }
  /// Height of the luma plane in samples.
  public var height: Int { frame.height }
  /// Layout of the samples.
  public var layout: PictureLayout { PictureLayout(frame.format) }

  init(_ frame: VideoFrame, timeBase: Rational) {
    self.frame = frame
    time = MediaTime(ticks: frame.presentationTimestamp, timeBase: timeBase)
    duration = frame.duration > 0 ? MediaTime(ticks: frame.duration, timeBase: timeBase) : nil
  }

  /// Creates a picture, row by row.
  ///
  /// - Parameters:
  ///   - width: width of the luma plane in samples.
  ///   - height: height of the luma plane in samples.
  ///   - layout: layout of the samples.
  ///   - time: presentation time.
  ///   - duration: duration; nil if unknown.
  ///   - other: a picture whose colour description is copied; nil leaves it unknown.
  ///   - samples: `UInt8.self` or `UInt16.self`, according to `layout`.
  ///   - fill: sets all samples of row `row` of plane `plane`; they are initially zero.
  /// - Throws: `UsageError.sampleSize`, an error thrown by `fill`, or another `VidenhanceError` for invalid
  ///   sizes.
  public init<Sample: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    width: Int, height: Int, layout: PictureLayout, time: MediaTime, duration: MediaTime? = nil,
    like other: VideoPicture? = nil, samples: Sample.Type,
    fill: (_ plane: Int, _ row: Int, inout MutableSpan<Sample>) throws -> Void
  ) throws {
    guard layout.bytesPerSample == MemoryLayout<Sample>.size else {
      throw UsageError.sampleSize(layout: layout.description, bytes: MemoryLayout<Sample>.size)
    }
    var buffer = try FrameBuffer(width: width, height: height, format: layout.format, like: other?.frame)
    for plane in 0..<layout.planeCount {
      let columns = layout.format.planeWidth(plane, width: width)
      try buffer.withMutablePlane(plane) { bytes, bytesPerRow throws in
        for row in 0..<layout.format.planeHeight(plane, height: height) {
          let start = row * bytesPerRow
          let samples = UnsafeMutableRawBufferPointer(
            rebasing: bytes[start..<start + columns * MemoryLayout<Sample>.size]
          ).bindMemory(to: Sample.self)
          samples.initialize(repeating: 0)
          var span = samples.mutableSpan
          try fill(plane, row, &span)
        }
      }
    }
    frame = buffer.freeze(
      presentationTimestamp: time.value, duration: duration.map { $0.ticks(of: time.timeBase) } ?? 0)
    self.time = time
    self.duration = duration
  }

  /// Returns the number of rows of plane `plane`.
  /// - Precondition: `plane` is below `layout.planeCount`.
  public func rowCount(ofPlane plane: Int) -> Int { frame.planeHeight(plane) }

  /// Returns the number of columns of plane `plane`.
  /// - Precondition: `plane` is below `layout.planeCount`.
  public func columnCount(ofPlane plane: Int) -> Int { frame.planeWidth(plane) }

  /// Calls `body` with each row of a plane, from top to bottom, as bytes.
  /// - Precondition: `plane` is below `layout.planeCount`.
  public func forEachRow<Failure: Error>(
    ofPlane plane: Int, _ body: (_ row: Int, RawSpan) throws(Failure) -> Void
  ) throws(Failure) {
    let rowBytes = columnCount(ofPlane: plane) * layout.bytesPerSample
    try frame.withPlane(plane) { bytes, bytesPerRow throws(Failure) in
      for row in 0..<rowCount(ofPlane: plane) {
        let start = row * bytesPerRow
        try body(row, UnsafeRawBufferPointer(rebasing: bytes[start..<start + rowBytes]).bytes)
      }
    }
  }

  /// Calls `body` with each row of a plane, from top to bottom, as samples.
  /// - Parameters:
  ///   - plane: 0 is luma, 1 and 2 are chroma.
  ///   - samples: `UInt8.self` or `UInt16.self`, according to `layout`.
  ///   - body: called with the row's index and its samples.
  /// - Throws: `UsageError.sampleSize`, or an error thrown by `body`.
  /// - Precondition: `plane` is below `layout.planeCount`.
  public func forEachRow<Sample: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    ofPlane plane: Int, samples: Sample.Type, _ body: (_ row: Int, Span<Sample>) throws -> Void
  ) throws {
    guard layout.bytesPerSample == MemoryLayout<Sample>.size else {
      throw UsageError.sampleSize(layout: layout.description, bytes: MemoryLayout<Sample>.size)
    }
    let rowBytes = columnCount(ofPlane: plane) * layout.bytesPerSample
    try frame.withPlane(plane) { bytes, bytesPerRow throws in
      for row in 0..<rowCount(ofPlane: plane) {
        let start = row * bytesPerRow
        let samples = UnsafeRawBufferPointer(rebasing: bytes[start..<start + rowBytes])
          .assumingMemoryBound(to: Sample.self)
        try body(row, samples.span)
      }
    }
  }
}
