// SPDX-License-Identifier: Apache-2.0
internal import CQuantKernels

/// A luma plane prepared for motion search.
package final class MotionPlane: @unchecked Sendable {
  // Unchecked: filled by init, then only read.
  fileprivate let plane: ve_motion_plane
  private let memory: AlignedBuffer

  /// Copies and prepares a contiguous plane of `width` x `height` samples.
  package init(luma: UnsafePointer<UInt8>, width: Int, height: Int) {
    memory = AlignedBuffer(bytes: ve_motion_plane_bytes(Int32(width), Int32(height)))
    plane = ve_motion_plane_prepare(luma, Int32(width), Int32(height), memory.pointer)
  }
}

/// Motion of every 8 x 8 block of one frame into another: whole-pixel vectors and fractions in sixteenths.
package struct NeighbourMotion: Sendable {
  private let vectors: [ve_motion_vector]
  private let instructionSet: InstructionSet

  /// Channels written by `writeNeighbour`.
  package static let neighbourChannels = Int(VE_NEIGHBOUR_CHANNELS)

  /// Searches motion. `prior` is the motion into a nearer frame, used as a candidate after multiplication by `priorFactor`.
  package init(
    of reference: MotionPlane, in neighbour: MotionPlane, prior: NeighbourMotion? = nil, priorFactor: Int = 1,
    instructionSet: InstructionSet = .best
  ) {
    self.instructionSet = instructionSet
    let count = Int(ve_motion_blocks(reference.plane.width) * ve_motion_blocks(reference.plane.height))
    vectors = [ve_motion_vector](unsafeUninitializedCapacity: count) { buffer, initialized in
      var (a, b) = (reference.plane, neighbour.plane)
      if let prior {
        ve_motion_search(
          &a, &b, prior.vectors, Int32(priorFactor), buffer.baseAddress, instructionSet.handle)
      } else {
        ve_motion_search(&a, &b, nil, 1, buffer.baseAddress, instructionSet.handle)
      }
      initialized = count
    }
  }

  /// Displacement of block `index` (row by row) in pixels.
  package func displacement(_ index: Int) -> (x: Float, y: Float) {
    let v = vectors[index]
    return (Float(v.dx) + Float(v.rx) / 16, Float(v.dy) + Float(v.ry) / 16)
  }

  /// Writes rows of the packed, aligned neighbour: six samples, their modulations by the fractional motion, match quality.
  /// - Parameter result: grid point (0, 0) of a tensor with the given strides in bytes.
  package func writeNeighbour(
    reference: MotionPlane, neighbour: MotionPlane, chroma: [UnsafeMutablePointer<UInt8>],
    into result: UnsafeMutablePointer<UInt8>, pixelStride: Int, rowStride: Int, rows: Range<Int>
  ) {
    var (a, b) = (reference.plane, neighbour.plane)
    let planes: [UnsafePointer<UInt8>?] = [UnsafePointer(chroma[0]), UnsafePointer(chroma[1])]
    planes.withUnsafeBufferPointer { planes in
      ve_motion_neighbour(
        &a, &b, planes.baseAddress, vectors, result, pixelStride, rowStride, Int32(rows.lowerBound),
        Int32(rows.upperBound), instructionSet.handle)
    }
  }
}
