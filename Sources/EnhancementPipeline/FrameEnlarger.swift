// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
internal import Kernels
internal import Synchronization
package import VideoIO

/// Creates output frames: the bicubic upscale of the source at full depth and chroma resolution, plus the
/// network's residual.
///
/// Each sample is (64 x bicubic + residual x 2^(depth - 8) + 32) / 64, rounded down once and clipped to the
/// depth. The residual is applied to chroma only in 4:2:0; chroma of higher resolution is resampled without
/// it. The result does not depend on the number of threads.
package struct FrameEnlarger: Sendable {
  /// Scale factor of width and height: 1, 2 or 4.
  package let scale: Int
  /// Number of threads.
  package let threads: Int

  /// Output rows per band if the bands are chosen here.
  private static let bandHeight = 128
  private let pool = FramePool()

  /// Creates an enlarger; it keeps only the memory of frames.
  package init(scale: Int, threads: Int) {
    precondition(scale == 1 || scale == 2 || scale == 4, "scale is 1, 2 or 4")
    self.scale = scale
    self.threads = threads
  }

  /// Returns the enlarged frame with the source's times, colour and side data.
  /// - Parameter residual: the network's correction; nil for none.
  /// - Throws: `PipelineError.badResidual` for a residual of another shape; `VideoIOError.invalidPicture`.
  package func enlarge(_ source: VideoFrame, adding residual: Residual?) throws -> VideoFrame {
    guard let residual else {
      return try make(source) { planes in fill(planes, from: source, rows: 0..<(source.height + 1) / 2, nil) }
    }
    defer { withExtendedLifetime(residual) {} }
    return try enlarge(source) { take in take(residual.rows) }
  }

  /// Like `enlarge(_:adding:)`, with a residual that is computed a few rows at a time.
  /// - Parameter work: passes all rows of the grid to its argument, from any threads.
  /// - Throws: also the errors of `work`.
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
      width: source.width * scale, height: source.height * scale, format: source.format, like: source,
      pool: pool)
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

  /// Fills the rows of all planes for some rows of the grid; uses several threads for many rows.
  private func fill(_ planes: Planes, from source: VideoFrame, rows: Range<Int>, _ residual: ResidualRows?) {
    let step = max(1, Self.bandHeight / (2 * scale))
    let bands = (rows.count + step - 1) / step
    nonisolated(unsafe) let planes = planes  // Bands write disjoint rows.
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

/// The channels of a residual that apply to one plane.
struct ResidualPlane: @unchecked Sendable {
  // Unchecked: only read.

  /// Samples of the plane per grid point in each direction.
  let phases: Int

  private let residual: ResidualRows
  private let firstChannel: Int

  /// Returns nil for chroma, unless it has half the luma's resolution in both directions.
  init?(_ residual: ResidualRows, plane: Int, format: PixelFormat, scale: Int) {
    let isHalf = format.log2ChromaWidth == 1 && format.log2ChromaHeight == 1
    guard plane == 0 || isHalf else { return nil }
    self.residual = residual
    phases = plane == 0 ? 2 * scale : scale
    firstChannel = plane == 0 ? 0 : (4 + plane - 1) * scale * scale
  }

  /// Values per row.
  var width: Int { residual.gridWidth * phases }

  /// Collects row `y` of the plane in sample order.
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
