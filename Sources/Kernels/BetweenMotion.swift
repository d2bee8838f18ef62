// SPDX-License-Identifier: Apache-2.0
internal import CQuantKernels

/// A luma plane prepared for motion search between two frames.
package final class MotionPyramid: @unchecked Sendable {
  // Unchecked: filled by init, then only read.
  fileprivate let plane: ve_interp_plane
  private let memory: AlignedBuffer

  /// Copies and prepares a contiguous plane of `width` x `height` samples.
  package init(luma: UnsafePointer<UInt8>, width: Int, height: Int) {
    memory = AlignedBuffer(bytes: ve_interp_plane_bytes(Int32(width), Int32(height)))
    plane = ve_interp_plane_prepare(luma, Int32(width), Int32(height), memory.pointer)
  }
}

/// A plane of samples to warp.
package struct WarpSource: @unchecked Sendable {
  // Unchecked: only read.
  fileprivate let source: ve_interp_source

  /// A plane of 8-bit samples.
  /// - Parameter log2Width: binary logarithm of the ratio of luma's width to this plane's; `log2Height` likewise.
  package init(
    _ samples: UnsafePointer<UInt8>, stride: Int, width: Int, height: Int, log2Width: Int, log2Height: Int
  ) {
    self.init(samples, stride, width, height, log2Width, log2Height, depth: 8, isWide: false)
  }

  /// A plane of 16-bit samples of depth `depth`.
  package init(
    _ samples: UnsafePointer<UInt16>, stride: Int, width: Int, height: Int, log2Width: Int, log2Height: Int,
    depth: Int
  ) {
    self.init(samples, stride, width, height, log2Width, log2Height, depth: depth, isWide: true)
  }

  private init(
    _ samples: UnsafeRawPointer, _ stride: Int, _ width: Int, _ height: Int, _ log2Width: Int,
    _ log2Height: Int,
    depth: Int, isWide: Bool
  ) {
    source = ve_interp_source(
      samples: samples, stride: stride, width: Int32(width), height: Int32(height), log2_x: Int32(log2Width),
      log2_y: Int32(log2Height), depth: Int32(depth), is_wide: isWide ? 1 : 0)
  }
}

/// Motion between two frames relative to an instant between them: a vector for every 8 x 8 luma pixels, in sixteenths of a
/// pixel, found by a symmetric coarse-to-fine search (`interpolation_search.c`).
package struct BetweenMotion: Sendable {
  /// The unit of instants: the first frame is at 0, the second at `unit`.
  package static let unit = Int(VE_INTERP_ONE)

  /// Luma extents.
  package let width, height: Int
  /// The instant, 1 ..< unit.
  package let instant: Int
  /// Blocks per row.
  package let columns: Int

  private let vectors: [ve_interp_vector]
  private let instructionSet: InstructionSet

  /// Searches motion, on `threads` threads where possible.
  package init(
    from first: MotionPyramid, to second: MotionPyramid, instant: Int, threads: Int = 1,
    instructionSet: InstructionSet = .best
  ) {
    precondition((1..<Self.unit).contains(instant), "an instant lies between the frames")
    self.instant = instant
    width = Int(first.plane.width.0)
    height = Int(first.plane.height.0)
    columns = Int(ve_interp_blocks(Int32(width)))
    self.instructionSet = instructionSet
    let (columns, rows) = (self.columns, Int(ve_interp_blocks(Int32(height))))
    let count = columns * rows
    vectors = [ve_interp_vector](unsafeUninitializedCapacity: count) { buffer, initialized in
      var (a, b) = (first.plane, second.plane)
      // Out of memory: assume no motion, so that the frames are blended.
      if ve_interp_search(&a, &b, Int32(instant), buffer.baseAddress, instructionSet.handle) != 0 {
        buffer.initialize(repeating: ve_interp_vector())
      }
      initialized = count
      nonisolated(unsafe) let (shared, vectors) = ((a, b), buffer.baseAddress)  // Bands are disjoint.
      Parallel.bands(rows: rows, threads: threads) { band, _ in
        var (a, b) = shared
        ve_interp_refine(
          &a, &b, Int32(instant), vectors, Int32(band.lowerBound), Int32(band.upperBound),
          instructionSet.handle)
      }
      ve_interp_disorder(vectors, Int32(columns), Int32(rows))
    }
  }

  /// Displacement of block `index` (row by row) from the first to the second frame, in pixels.
  package func displacement(_ index: Int) -> (x: Float, y: Float) {
    (Float(vectors[index].x) / 16, Float(vectors[index].y) / 16)
  }

  /// Mean absolute difference of the frames at the vector of block `index`, in sixteenths of a level.
  package func error(_ index: Int) -> Int { Int(vectors[index].error) }

  /// Largest difference to a neighbouring block's vector along an axis, in sixteenths of a pixel.
  package func disorder(_ index: Int) -> Int { Int(vectors[index].disorder) }

  /// Warps rows of a plane of the first or second frame to the instant.
  /// - Parameter result: samples like the source's, with row stride `stride`.
  package func warp(
    _ plane: WarpSource, isSecond: Bool, into result: UnsafeMutableRawPointer, stride: Int, rows: Range<Int>
  ) {
    var source = plane.source
    ve_interp_warp(
      &source, Int32(width), Int32(height), vectors, Int32(instant), isSecond ? 1 : 0, result, stride,
      Int32(rows.lowerBound), Int32(rows.upperBound), instructionSet.handle)
  }
}
