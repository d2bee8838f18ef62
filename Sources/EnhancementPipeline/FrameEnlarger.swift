// SPDX-License-Identifier: Apache-2.0
public import EnhancementModel
public import VideoIO

/// Makes output frames: the bicubic enlargement of the source at its full depth and chroma resolution, plus
/// what a network adds.
///
/// Each sample is (64 x bicubic + residual x 2^(depth - 8) + 32) / 64, rounded down once and clipped to the
/// depth. Chroma takes the residual in 4:2:0 only; chroma of higher resolution is resampled alone. The result
/// does not depend on the number of threads.
public struct FrameEnlarger: Sendable {
  /// Enlargement of width and height: 1, 2 or 4.
  public let scale: Int
  /// Threads to work on.
  public let threads: Int

  /// Rows of output that a thread takes at a time.
  private static let bandHeight = 128

  /// An enlarger; it keeps nothing between frames.
  public init(scale: Int, threads: Int) {
    precondition(scale == 1 || scale == 2 || scale == 4, "scale is 1, 2 or 4")
    self.scale = scale
    self.threads = threads
  }

  /// The enlarged frame, with the source's times, colour and side data.
  /// - Parameter residual: what the network says of this frame; nil for nothing.
  /// - Throws: `PipelineError.badResidual` for a residual of another shape; `VideoIOError.invalidPicture`.
  public func enlarge(_ source: VideoFrame, adding residual: Residual?) throws -> VideoFrame {
    try check(residual, source)
    var buffer = try FrameBuffer(
      width: source.width * scale, height: source.height * scale, format: source.format, like: source)
    for index in 0..<source.format.planeCount {
      let residual = residual.flatMap { ResidualPlane($0, plane: index, format: source.format, scale: scale) }
      buffer.withMutablePlane(index) { bytes, bytesPerRow in
        switch source.format.bytesPerSample {
        case 1: fill(bytes, bytesPerRow, UInt8.self, Int16.self, from: source, index, residual)
        default: fill(bytes, bytesPerRow, UInt16.self, Int32.self, from: source, index, residual)
        }
      }
    }
    return buffer.freeze(presentationTimestamp: source.presentationTimestamp, duration: source.duration)
  }

  private func check(_ residual: Residual?, _ source: VideoFrame) throws {
    guard let residual else { return }
    let (width, height, channels) = ((source.width + 1) / 2, (source.height + 1) / 2, 6 * scale * scale)
    if residual.gridWidth == width, residual.gridHeight == height, residual.channels == channels { return }
    throw PipelineError.badResidual(
      expected: "\(width)x\(height)x\(channels)",
      found: "\(residual.gridWidth)x\(residual.gridHeight)x\(residual.channels)")
  }

  /// Fills a plane, band by band.
  private func fill<Sample: SampleInteger, Row: WideInteger>(
    _ bytes: UnsafeMutableRawBufferPointer, _ bytesPerRow: Int, _: Sample.Type, _: Row.Type,
    from source: VideoFrame,
    _ index: Int, _ residual: ResidualPlane?
  ) {
    let format = source.format
    SourcePlane<Sample>.with(source, index) { plane in
      let height = format.planeHeight(index, height: source.height * scale)
      let target = PlaneEnlargement<Sample, Row>(
        source: plane, target: bytes.baseAddress!.assumingMemoryBound(to: Sample.self),
        targetStride: bytesPerRow / MemoryLayout<Sample>.stride,
        width: format.planeWidth(index, width: source.width * scale), depth: format.bitDepth,
        residual: residual)
      let bands = (height + Self.bandHeight - 1) / Self.bandHeight
      concurrently(bands, threads: threads) { band in
        target.fill(rows: band * Self.bandHeight..<min((band + 1) * Self.bandHeight, height), scale: scale)
      }
    }
  }
}

/// The channels of a residual that belong to one plane.
struct ResidualPlane: @unchecked Sendable {
  // Unchecked: only read.

  /// Samples of the plane per grid point and direction.
  let phases: Int

  private let residual: Residual
  private let firstChannel: Int

  /// nil for chroma that has not half the luma's resolution both ways.
  init?(_ residual: Residual, plane: Int, format: PixelFormat, scale: Int) {
    let isHalf = format.log2ChromaWidth == 1 && format.log2ChromaHeight == 1
    guard plane == 0 || isHalf else { return nil }
    self.residual = residual
    phases = plane == 0 ? 2 * scale : scale
    firstChannel = plane == 0 ? 0 : (4 + plane - 1) * scale * scale
  }

  /// Values in a row.
  var width: Int { residual.gridWidth * phases }

  /// Row `y` of the plane, in its order.
  func gather(_ y: Int, into result: UnsafeMutablePointer<Int16>) {
    let channels = residual.channels
    let from =
      residual.values + (y / phases) * residual.gridWidth * channels + firstChannel + (y % phases) * phases
    switch phases {
    case 2: Self.copy(from, channels, residual.gridWidth, SIMD2<Int16>.self, to: result)
    case 4: Self.copy(from, channels, residual.gridWidth, SIMD4<Int16>.self, to: result)
    case 8: Self.copy(from, channels, residual.gridWidth, SIMD8<Int16>.self, to: result)
    default: for x in 0..<residual.gridWidth { result[x] = from[x * channels] }
    }
  }

  @inline(__always)
  private static func copy<Group: SIMD<Int16>>(
    _ from: UnsafePointer<Int16>, _ channels: Int, _ count: Int, _: Group.Type,
    to: UnsafeMutablePointer<Int16>
  ) {
    let from = UnsafeRawPointer(from)
    let to = UnsafeMutableRawPointer(to)
    let size = MemoryLayout<Group>.size
    for x in 0..<count {
      to.storeBytes(
        of: from.loadUnaligned(fromByteOffset: x &* channels &* 2, as: Group.self), toByteOffset: x &* size,
        as: Group.self)
    }
  }
}
