// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import VideoIO

/// Pictures are rotated as by FFmpeg and players.
@Suite struct OrientationTests {
  /// Display matrices as written by `ffmpeg -display_rotation`, which some versions of FFmpeg lack.
  private static let one: Int32 = 1 << 16
  private static let matrices: [(name: String, a: Int32, b: Int32, c: Int32, d: Int32, filter: String?)] = [
    ("as stored", one, 0, 0, one, nil), ("clockwise", 0, one, -one, 0, "transpose=clock"),
    ("counterclockwise", 0, -one, one, 0, "transpose=cclock"),
    ("upside down", -one, 0, 0, -one, "hflip,vflip"),
    ("mirrored", -one, 0, 0, one, "hflip"), ("flipped", one, 0, 0, -one, "vflip"),
    ("transposed", 0, one, one, 0, "transpose=cclock_flip"),
    ("transversed", 0, -one, -one, 0, "transpose=clock_flip"),
  ]

  @Test func matricesBecomeFilters() {
    for entry in Self.matrices {
      let matrix = [entry.a, entry.b, 0, entry.c, entry.d, 0, 0, 0, 1 << 30]
      #expect(PictureOrientation(matrix: matrix).filter == entry.filter, "\(entry.name)")
    }
    #expect(PictureOrientation(matrix: []).filter == nil)
    // A deviation of a few degrees is ignored.
    #expect(PictureOrientation(matrix: [65000, 8000, 0, -8000, 65000, 0, 0, 0, 1 << 30]).filter == nil)
  }

  /// Each corner moves to the position given by the matrix.
  @Test func cornersLandWhereTheMatrixSendsThem() throws {
    let gray = try #require(PixelFormat(name: "gray"))
    let (width, height) = (6, 4)
    let frame = try VideoFrame.make(width: width, height: height, format: gray) { _, bytes, bytesPerRow in
      for y in 0..<height { for x in 0..<width { bytes[y * bytesPerRow + x] = UInt8(10 * y + x) } }
    }
    for entry in Self.matrices {
      let matrix = [entry.a, entry.b, 0, entry.c, entry.d, 0, 0, 0, 1 << 30]
      let turned = try frame.turned(by: PictureOrientation(matrix: matrix))
      let transposes = entry.a == 0
      #expect(turned.width == (transposes ? height : width), "\(entry.name)")
      for (x, y) in [(0, 0), (width - 1, 0), (0, height - 1), (2, 1)] {
        // Relative to the centre, in half samples.
        let (p, q) = (2 * x - width + 1, 2 * y - height + 1)
        let (a, b, c, d) = (entry.a.signum(), entry.b.signum(), entry.c.signum(), entry.d.signum())
        let (u, v) = (Int(a) * p + Int(c) * q, Int(b) * p + Int(d) * q)
        let (column, row) = ((u + turned.width - 1) / 2, (v + turned.height - 1) / 2)
        turned.withPlane(0) { bytes, bytesPerRow in
          #expect(bytes[row * bytesPerRow + column] == UInt8(10 * y + x), "\(entry.name) \(x),\(y)")
        }
      }
    }
  }
}
