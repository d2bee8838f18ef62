// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import VideoIO

extension PlanarFrame {
  /// What networks see of a video frame: 8 bits, 4:2:0, extents made even by repeating the last column and
  /// row.
  ///
  /// Deeper samples are rounded, chroma of higher resolution is averaged over the 2 x 2 luma samples that
  /// share a chroma sample in 4:2:0, gray has chroma 128. The file keeps its depth and chroma: see
  /// `FrameEnlarger`.
  package convenience init(_ frame: VideoFrame) {
    self.init(width: (frame.width + 1) & ~1, height: (frame.height + 1) & ~1)
    switch frame.format.bytesPerSample {
    case 1: fill(from: frame, UInt8.self)
    default: fill(from: frame, UInt16.self)
    }
    quantizers = frame.quantizers.map {
      QuantizerMap(columns: $0.columns, rows: $0.rows, values: $0.values)
    }
  }

  private func fill<Sample: SampleInteger>(from frame: VideoFrame, _: Sample.Type) {
    let shift = frame.format.bitDepth - 8
    SourcePlane<Sample>.with(frame, 0) { source in
      for y in 0..<height {
        reduce(source, y, into: luma + y * width, width: width, shift: shift)
      }
    }
    guard frame.format.planeCount == 3 else {
      for plane in chroma { plane.update(repeating: 128, count: gridWidth * gridHeight) }
      return
    }
    let (columns, rows) = (2 >> frame.format.log2ChromaWidth, 2 >> frame.format.log2ChromaHeight)
    for (index, plane) in chroma.enumerated() {
      SourcePlane<Sample>.with(frame, index + 1) { source in
        for y in 0..<gridHeight {
          let to = plane + y * gridWidth
          if columns == 1 && rows == 1 {
            reduce(source, y, into: to, width: gridWidth, shift: shift)
          } else {
            average(source, y, into: to, width: gridWidth, columns: columns, rows: rows, shift: shift)
          }
        }
      }
    }
  }
}

/// A plane of a video frame as samples.
package struct SourcePlane<Sample: SampleInteger> {
  package let samples: UnsafePointer<Sample>
  /// Samples from one row to the next.
  package let stride: Int
  package let width, height: Int

  /// Row `y`, the last one for rows beyond it.
  package func row(_ y: Int) -> UnsafePointer<Sample> { samples + min(y, height - 1) * stride }

  /// Calls `body` with plane `index` of a frame whose samples are of this type.
  package static func with<Result>(_ frame: VideoFrame, _ index: Int, _ body: (SourcePlane) throws -> Result)
    rethrows
    -> Result
  {
    try frame.withPlane(index) { bytes, bytesPerRow throws in
      // FFmpeg aligns rows of two-byte samples to two bytes at least.
      try body(
        SourcePlane(
          samples: bytes.baseAddress!.assumingMemoryBound(to: Sample.self),
          stride: bytesPerRow / MemoryLayout<Sample>.stride, width: frame.planeWidth(index),
          height: frame.planeHeight(index)))
    }
  }
}

/// Row `y` rounded to 8 bits; `width` is the plane's or one more.
private func reduce<Sample>(
  _ source: SourcePlane<Sample>, _ y: Int, into to: UnsafeMutablePointer<UInt8>, width: Int, shift: Int
) {
  let from = source.row(y)
  if shift == 0 {
    for x in 0..<source.width { to[x] = UInt8(truncatingIfNeeded: from[x]) }
  } else {
    let half = UInt32(1) << UInt32(shift - 1)
    for x in 0..<source.width {
      to[x] = UInt8(
        truncatingIfNeeded: min((UInt32(truncatingIfNeeded: from[x]) &+ half) &>> UInt32(shift), 255))
    }
  }
  if width > source.width { to[source.width] = to[source.width - 1] }
}

/// Row `y` of means of `columns` x `rows` samples, rounded once to 8 bits.
private func average<Sample>(
  _ source: SourcePlane<Sample>, _ y: Int, into to: UnsafeMutablePointer<UInt8>, width: Int, columns: Int,
  rows: Int,
  shift: Int
) {
  let above = source.row(y * rows)
  let below = source.row(y * rows + rows - 1)
  let shift = UInt32(shift + 2)
  let half = UInt32(1) << (shift - 1)
  // Four samples always: where there is one row or column it counts twice.
  @inline(__always) func mean(_ left: Int, _ right: Int) -> UInt8 {
    let sum =
      UInt32(truncatingIfNeeded: above[left]) &+ UInt32(truncatingIfNeeded: above[right])
      &+ UInt32(truncatingIfNeeded: below[left]) &+ UInt32(truncatingIfNeeded: below[right])
    return UInt8(truncatingIfNeeded: min((sum &+ half) &>> shift, 255))
  }
  let whole = min(width, source.width / columns)
  for x in 0..<whole { to[x] = mean(columns &* x, columns &* x &+ columns &- 1) }
  for x in whole..<width { to[x] = mean(min(columns * x, source.width - 1), source.width - 1) }
}
