// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
internal import Kernels
package import VideoIO

/// Creates interpolated frames: both neighbours are warped to the instant at full depth and chroma resolution
/// and blended, and the network's residual is added.
///
/// Each sample is (64 x blend + residual x 2^(depth - 8) + 32) / 64, rounded down once and clipped to the
/// depth. The residual is applied to chroma only in 4:2:0. The result does not depend on the number of
/// threads.
package struct FrameBlender: Sendable {
  /// Number of threads.
  package let threads: Int

  private static let bandHeight = 64
  private let pool = FramePool()

  /// Creates a blender; it keeps only the memory of frames.
  package init(threads: Int) { self.threads = threads }

  /// Returns the frame between two frames of the same shape at the instant of `alignment`.
  ///
  /// For 8-bit 4:2:0 with even extents, the warped frames of `alignment` are used, since they equal the
  /// network's input. Other formats are warped here.
  /// - Parameter residual: the correction to add; nil for none.
  /// - Throws: `VideoIOError.invalidPicture`.
  package func blend(
    _ first: VideoFrame, _ second: VideoFrame, aligned alignment: FrameAlignment,
    adding residual: Residual?, presentationTimestamp: Int64, duration: Int64
  ) throws -> VideoFrame {
    let isSeenWhole =
      first.format.bitDepth == 8 && first.format.planeCount == 3 && first.format.log2ChromaWidth == 1
      && first.format.log2ChromaHeight == 1
    let motion = alignment.motion
    let known = alignment.warped.filter {
      isSeenWhole && $0.width == first.width && $0.height == first.height
    }
    var buffer = try FrameBuffer(
      width: first.width, height: first.height, format: first.format, like: first, pool: pool)
    defer { withExtendedLifetime(residual) {} }
    for index in 0..<first.format.planeCount {
      let residual = residual.flatMap {
        ResidualPlane($0.rows, plane: index, format: first.format, scale: 1)
      }
      buffer.withMutablePlane(index) { bytes, bytesPerRow in
        switch first.format.bytesPerSample {
        case 1: fill(bytes, bytesPerRow, UInt8.self, first, second, index, motion, known, residual)
        default: fill(bytes, bytesPerRow, UInt16.self, first, second, index, motion, known, residual)
        }
      }
    }
    return buffer.freeze(presentationTimestamp: presentationTimestamp, duration: duration)
  }

  private func fill<Sample: SampleInteger>(
    _ bytes: UnsafeMutableRawBufferPointer, _ bytesPerRow: Int, _: Sample.Type, _ first: VideoFrame,
    _ second: VideoFrame, _ index: Int, _ motion: BetweenMotion, _ warped: [PlanarFrame],
    _ residual: ResidualPlane?
  ) {
    let format = first.format
    SourcePlane<Sample>.with(first, index) { a in
      SourcePlane<Sample>.with(second, index) { b in
        let plane = PlaneBlend(
          sources: [a.warpSource(format, index), b.warpSource(format, index)],
          warped: warped.map { UnsafeRawPointer(index == 0 ? $0.luma : $0.chroma[index - 1]) },
          width: a.width,
          depth: format.bitDepth, motion: motion, residual: residual,
          target: bytes.baseAddress!.assumingMemoryBound(to: Sample.self),
          targetStride: bytesPerRow / MemoryLayout<Sample>.stride)
        let bands = (a.height + Self.bandHeight - 1) / Self.bandHeight
        let height = a.height
        Parallel.forEach(bands, threads: threads) { band in
          plane.fill(band * Self.bandHeight..<min((band + 1) * Self.bandHeight, height))
        }
      }
    }
  }
}

extension SourcePlane {
  fileprivate func warpSource(_ format: PixelFormat, _ index: Int) -> WarpSource {
    let log2Width = index == 0 ? 0 : Int(format.log2ChromaWidth)
    let log2Height = index == 0 ? 0 : Int(format.log2ChromaHeight)
    let raw = UnsafeRawPointer(samples)
    return MemoryLayout<Sample>.size == 1
      ? WarpSource(
        raw.assumingMemoryBound(to: UInt8.self), stride: stride, width: width, height: height,
        log2Width: log2Width,
        log2Height: log2Height)
      : WarpSource(
        raw.assumingMemoryBound(to: UInt16.self), stride: stride, width: width, height: height,
        log2Width: log2Width, log2Height: log2Height, depth: format.bitDepth)
  }
}

/// A plane of an interpolated frame.
private struct PlaneBlend<Sample: SampleInteger>: @unchecked Sendable {
  // Unchecked: each thread writes its own rows, and the sources are only read.
  let sources: [WarpSource]
  /// The warped sources without row padding; empty if they have to be computed.
  let warped: [UnsafeRawPointer]
  let width, depth: Int
  let motion: BetweenMotion
  let residual: ResidualPlane?
  let target: UnsafeMutablePointer<Sample>
  let targetStride: Int

  func fill(_ rows: Range<Int>) {
    if warped.count == 2 {
      let planes = warped.map { $0.assumingMemoryBound(to: Sample.self) + rows.lowerBound * width }
      blend(rows, planes[0], planes[1])
      return
    }
    let count = rows.count * width
    withUnsafeTemporaryAllocation(of: Sample.self, capacity: 2 * count) { warped in
      let (first, second) = (warped.baseAddress!, warped.baseAddress! + count)
      for (slot, to) in [first, second].enumerated() {
        // The warp writes row y at y times the stride.
        motion.warp(
          sources[slot], isSecond: slot == 1, into: UnsafeMutableRawPointer(to - rows.lowerBound * width),
          stride: width, rows: rows)
      }
      blend(rows, first, second)
    }
  }

  /// Blends rows of the two warped sources.
  private func blend(_ rows: Range<Int>, _ first: UnsafePointer<Sample>, _ second: UnsafePointer<Sample>) {
    let length = max(residual?.width ?? 0, width)
    withUnsafeTemporaryAllocation(of: Int16.self, capacity: length) { added in
      let added = added.baseAddress!
      added.update(repeating: 0, count: length)
      let (shift, most) = (Int32(depth - 8), Int32(truncatingIfNeeded: (1 << depth) - 1))
      let instant = Int32(motion.instant)
      for y in rows {
        residual?.gather(y, into: added)
        let at = (y - rows.lowerBound) * width
        let to = target + y * targetStride
        for x in 0..<width {
          // `InterpolationPacker.blend`, written out: generic functions of other modules are not specialised.
          let (a, b) = (
            Int32(truncatingIfNeeded: first[at + x]), Int32(truncatingIfNeeded: second[at + x])
          )
          let base = (a &* (256 &- instant) &+ b &* instant &+ 2) &>> 2
          let value = (base &+ (Int32(added[x]) &<< shift) &+ 32) &>> 6
          to[x] = Sample(truncatingIfNeeded: max(0, min(value, most)))
        }
      }
    }
  }
}
