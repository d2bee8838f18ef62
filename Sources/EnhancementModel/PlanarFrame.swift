// SPDX-License-Identifier: Apache-2.0
import Kernels

/// An 8-bit 4:2:0 picture of even extents: the networks' input, whatever the file's depth and chroma format.
package final class PlanarFrame: @unchecked Sendable {
  // Unchecked: written by its creator before it is shared, then only read.

  /// Luma extents, even.
  @usableFromInline package let width, height: Int
  /// Luma, with contiguous rows.
  @usableFromInline package let luma: UnsafeMutablePointer<UInt8>
  /// U and V planes of half the extents, stored directly after luma in the same allocation.
  @usableFromInline package let chroma: [UnsafeMutablePointer<UInt8>]

  /// The quantizers with which the frame was coded; nil if unknown.
  package var quantizers: QuantizerMap?

  private let memory: AlignedBuffer

  /// Creates an uninitialised picture.
  package init(width: Int, height: Int) {
    precondition(
      width > 0 && height > 0 && width % 2 == 0 && height % 2 == 0, "extents are positive and even")
    self.width = width
    self.height = height
    let luma = width * height
    memory = AlignedBuffer(bytes: luma + luma / 2)
    self.luma = memory.values(UInt8.self)
    chroma = [self.luma + luma, self.luma + luma + luma / 4]
  }

  /// Extents of the networks' half-resolution grid.
  @usableFromInline package var gridWidth: Int { width / 2 }
  /// See `gridWidth`.
  @usableFromInline package var gridHeight: Int { height / 2 }

  /// The variance of luma.
  package var variance: Double {
    var (sum, squares) = (0, 0)
    for index in 0..<width * height {
      let sample = Int(luma[index])
      sum &+= sample
      squares &+= sample &* sample
    }
    let (count, mean) = (Double(width * height), Double(sum) / Double(width * height))
    return Double(squares) / count - mean * mean
  }

  /// Writes the packed frame: for each grid point the luma phases (0,0), (0,1), (1,0), (1,1), then U, V.
  /// - Parameter pixelStride: elements from one grid point to the next (at least 6; those in between are not written).
  /// - Parameter rowStride: elements from one grid row to the next.
  /// - Parameter rows: grid rows to write; nil for all.
  @inlinable
  package func pack<Element>(
    into result: UnsafeMutablePointer<Element>, pixelStride: Int, rowStride: Int, rows: Range<Int>? = nil,
    _ convert: (UInt8) -> Element
  ) {
    for row in rows ?? 0..<gridHeight {
      let above = luma + 2 * row * width
      let below = above + width
      let u = chroma[0] + row * gridWidth
      let v = chroma[1] + row * gridWidth
      var to = result + row * rowStride
      for x in 0..<gridWidth {
        to[0] = convert(above[2 &* x])
        to[1] = convert(above[2 &* x &+ 1])
        to[2] = convert(below[2 &* x])
        to[3] = convert(below[2 &* x &+ 1])
        to[4] = convert(u[x])
        to[5] = convert(v[x])
        to += pixelStride
      }
    }
  }

  /// Converts a code to the float input of networks: zero point 128, step 1/255.
  @inlinable
  package static func centred(_ code: UInt8) -> Float { Float(Int(code) - 128) * (1 / 255) }
}

/// Network outputs are residuals to the resampled source, in units of 1/64 of an 8-bit level.
package enum ResidualScale {
  /// Fraction bits of a residual.
  package static let fractionBits = 6
  /// Units of a residual for the full range of a sample (1.0 in a float network).
  package static let unitsPerRange: Float = 255 * 64
}

/// Doubles a plane's extents by bicubic interpolation (Keys, a = -1/2), with centred samples and replicated edges.
///
/// With a = -1/2, the taps at the two phases are multiples of 1/128 (111, 29, -9, -3), so the result is exact in integers
/// and identical on all machines.
package enum BicubicDoubling {
  /// `result` (2 width x 2 height) = 64 x the interpolated samples of `source`, rounded.
  @inlinable
  package static func double<Sample: FixedWidthInteger & UnsignedInteger>(
    _ source: UnsafePointer<Sample>, width: Int, height: Int, stride: Int,
    into result: UnsafeMutablePointer<Int32>
  ) {
    var rows = [Int32](repeating: 0, count: 4 * 2 * width)
    var held = [Int](repeating: Int.min, count: 4)
    rows.withUnsafeMutableBufferPointer { rows in
      /// The horizontally doubled row `y` (clamped), times 128.
      func row(_ y: Int) -> UnsafeMutablePointer<Int32> {
        let clamped = min(max(y, 0), height - 1)
        let slot = clamped & 3
        let to = rows.baseAddress! + slot * 2 * width
        if held[slot] == clamped { return to }
        held[slot] = clamped
        let from = source + clamped * stride
        for x in 0..<width {
          let a = Int32(truncatingIfNeeded: from[max(x - 2, 0)])
          let b = Int32(truncatingIfNeeded: from[max(x - 1, 0)])
          let c = Int32(truncatingIfNeeded: from[x])
          let d = Int32(truncatingIfNeeded: from[min(x + 1, width - 1)])
          let e = Int32(truncatingIfNeeded: from[min(x + 2, width - 1)])
          to[2 &* x] = 111 &* c &+ 29 &* b &- 9 &* d &- 3 &* a
          to[2 &* x &+ 1] = 111 &* c &+ 29 &* d &- 9 &* b &- 3 &* e
        }
        return to
      }
      for y in 0..<height {
        for phase in 0..<2 {
          let toward = phase == 0 ? -1 : 1
          let taps = [row(y), row(y + toward), row(y - toward), row(y + 2 * toward)]
          let (c, b, d, a) = (taps[0], taps[1], taps[2], taps[3])
          let to = result + (2 * y + phase) * 2 * width
          for x in 0..<(2 * width) {
            // 64 bits, since sums of 16-bit samples reach 65535 * 1.4² * 2^14.
            let sum = 111 &* Int64(c[x]) &+ 29 &* Int64(b[x]) &- 9 &* Int64(d[x]) &- 3 &* Int64(a[x])
            to[x] = Int32(truncatingIfNeeded: (sum &+ 128) >> 8)
          }
        }
      }
    }
  }
}
