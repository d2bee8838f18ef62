// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
internal import Kernels
internal import Synchronization
package import VideoIO

/// Makes output frames: the bicubic enlargement of the source at its full depth and chroma resolution, plus
/// what a network adds.
///
/// Each sample is (64 x bicubic + residual x 2^(depth - 8) + 32) / 64, rounded down once and clipped to the
/// depth. Chroma takes the residual in 4:2:0 only; chroma of higher resolution is resampled alone. The result
/// does not depend on the number of threads.
package struct FrameEnlarger: Sendable {
  /// Enlargement of width and height: 1, 2 or 4.
  package let scale: Int
  /// Threads to work on.
  package let threads: Int

  /// Rows of output that a thread takes at a time, where it has the choice.
  private static let bandHeight = 128

  /// An enlarger; it keeps nothing between frames.
  package init(scale: Int, threads: Int) {
    precondition(scale == 1 || scale == 2 || scale == 4, "scale is 1, 2 or 4")
    self.scale = scale
    self.threads = threads
  }

  /// The enlarged frame, with the source's times, colour and side data.
  /// - Parameter residual: what the network says of this frame; nil for nothing.
  /// - Throws: `PipelineError.badResidual` for a residual of another shape; `VideoIOError.invalidPicture`.
  package func enlarge(_ source: VideoFrame, adding residual: Residual?) throws -> VideoFrame {
    guard let residual else {
      return try make(source) { planes in fill(planes, from: source, rows: 0..<(source.height + 1) / 2, nil) }
    }
    defer { withExtendedLifetime(residual) {} }
    return try enlarge(source) { take in take(residual.rows) }
  }

  /// The same with residuals that come a few rows at a time.
  /// - Parameter work: hands all rows of the grid to the function it is given, from any threads.
  /// - Throws: what `work` throws, too.
  package func enlarge(
    _ source: VideoFrame, _ work: (_ take: (ResidualRows) -> Void) throws -> Void
  ) throws -> VideoFrame {
    let shapes = Mutex<ResidualRows?>(nil)
    let frame = try make(source) { planes in
      try work { rows in
        if fits(rows, source) {
          fill(planes, from: source, rows: rows.rows, rows)
        } else {
          shapes.withLock { $0 = rows }
        }
      }
    }
    if let wrong = shapes.withLock({ $0 }) { throw badResidual(wrong, source) }
    return frame
  }

  private typealias Planes = [(bytes: UnsafeMutableRawBufferPointer, bytesPerRow: Int)]

  private func make(_ source: VideoFrame, _ work: (Planes) throws -> Void) throws -> VideoFrame {
    var buffer = try FrameBuffer(
      width: source.width * scale, height: source.height * scale, format: source.format, like: source)
    try buffer.withMutablePlanes { planes throws in try work(planes) }
    return buffer.freeze(presentationTimestamp: source.presentationTimestamp, duration: source.duration)
  }

  private func shape(_ source: VideoFrame) -> (width: Int, height: Int, channels: Int) {
    ((source.width + 1) / 2, (source.height + 1) / 2, 6 * scale * scale)
  }

  private func fits(_ rows: ResidualRows, _ source: VideoFrame) -> Bool {
    shape(source) == (rows.gridWidth, rows.gridHeight, rows.channels)
  }

  private func badResidual(_ rows: ResidualRows, _ source: VideoFrame) -> PipelineError {
    let (width, height, channels) = shape(source)
    return .badResidual(
      expected: "\(width)x\(height)x\(channels)",
      found: "\(rows.gridWidth)x\(rows.gridHeight)x\(rows.channels)")
  }

  /// Fills the rows of all planes that belong to rows of the grid; many of them on several threads.
  private func fill(_ planes: Planes, from source: VideoFrame, rows: Range<Int>, _ residual: ResidualRows?) {
    let step = max(1, Self.bandHeight / (2 * scale))
    let bands = (rows.count + step - 1) / step
    nonisolated(unsafe) let planes = planes  // Bands write rows of their own.
    Parallel.forEach(bands, threads: threads) { band in
      let first = rows.lowerBound + band * step
      let part = first..<min(first + step, rows.upperBound)
      for index in planes.indices {
        switch source.format.bytesPerSample {
        case 1:
          fill(
            planes[index].bytes, planes[index].bytesPerRow, UInt8.self, Int16.self, from: source, index, part,
            residual)
        default:
          fill(
            planes[index].bytes, planes[index].bytesPerRow, UInt16.self, Int32.self, from: source, index,
            part, residual)
        }
      }
    }
  }

  /// Fills rows of one plane.
  private func fill<Sample: SampleInteger, Row: WideInteger>(
    _ bytes: UnsafeMutableRawBufferPointer, _ bytesPerRow: Int, _: Sample.Type, _: Row.Type,
    from source: VideoFrame, _ index: Int, _ rows: Range<Int>, _ residual: ResidualRows?
  ) {
    let format = source.format
    let height = format.planeHeight(index, height: source.height * scale)
    let rowsOfPoint = index == 0 ? 2 * scale : (2 * scale) >> format.log2ChromaHeight
    let part = min(rows.lowerBound * rowsOfPoint, height)..<min(rows.upperBound * rowsOfPoint, height)
    if part.isEmpty { return }
    SourcePlane<Sample>.with(source, index) { plane in
      PlaneEnlargement<Sample, Row>(
        source: plane, target: bytes.baseAddress!.assumingMemoryBound(to: Sample.self),
        targetStride: bytesPerRow / MemoryLayout<Sample>.stride,
        width: format.planeWidth(index, width: source.width * scale), depth: format.bitDepth,
        residual: residual.flatMap { ResidualPlane($0, plane: index, format: format, scale: scale) }
      ).fill(rows: part, scale: scale)
    }
  }
}

/// The channels of a residual that belong to one plane.
struct ResidualPlane: @unchecked Sendable {
  // Unchecked: only read.

  /// Samples of the plane per grid point and direction.
  let phases: Int

  private let residual: ResidualRows
  private let firstChannel: Int

  /// nil for chroma that has not half the luma's resolution both ways.
  init?(_ residual: ResidualRows, plane: Int, format: PixelFormat, scale: Int) {
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
    let channels = residual.stride
    let from =
      residual.values + (y / phases - residual.rows.lowerBound) * residual.gridWidth * channels + firstChannel
      + (y % phases) * phases
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
