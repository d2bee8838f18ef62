// SPDX-License-Identifier: Apache-2.0
import LineEngine

/// An input of networks that know the sharpness of their source: the fine detail of the centre frame, as much more of it as
/// a source of this sharpness lacks.
///
/// Networks find it hard to learn that one number controls how much they sharpen. With
///
///     (1 / sharpness - 1.2) x (luma - smoothed luma)
///
/// a linear layer can do it. It is zero for sources that are about sharp, and if sharpness is unknown.
struct MissingDetail: Sendable {
  /// Channels: the luma phases of a grid point.
  static let channels = 4

  /// Factors are in units of 1/32, at most 3.
  private static let (shift, mostGain): (Int, Float) = (5, 3)

  private let frame: PlanarFrame
  private let smoothed: [UInt8]
  /// In units of `shift`.
  private let gain: Int

  init(of frame: PlanarFrame, sharpness: Float?) {
    self.frame = frame
    gain = sharpness.map(Self.gain) ?? 0
    smoothed = gain > 0 ? frame.smoothedLuma() : []
  }

  /// The factor of detail, in units of 1/32.
  static func gain(_ sharpness: Float) -> Int {
    let missing = 1 / max(0.1, sharpness) - 1.2
    return Int((Float(1 << shift) * max(0, min(mostGain, missing))).rounded())
  }

  /// Writes the codes of some rows of the grid into four channels, from `channel` on.
  func write(channel: Int, to target: WindowPacker.Destination, rows: Range<Int>) {
    let width = frame.width
    let offsets = [0, 1, width, width + 1]
    for y in rows {
      for x in 0..<frame.gridWidth {
        let to = target.origin + (y &* target.rowStride &+ x &* target.pixelStride &+ channel)
        let from = 2 &* y &* width &+ 2 &* x
        for phase in 0..<Self.channels { to[phase] = code(from &+ offsets[phase]) }
      }
    }
  }

  /// The network's input for a sample, whose zero is 128.
  private func code(_ sample: Int) -> UInt8 {
    guard gain > 0 else { return 128 }
    let detail = Int(frame.luma[sample]) &- Int(smoothed[sample])
    let half = 1 << (Self.shift - 1)
    return UInt8(max(0, min(255, 128 &+ ((detail &* gain &+ half) >> Self.shift))))
  }
}

extension PlanarFrame {
  /// Luma smoothed with the 5 x 5 binomial filter; edges are replicated.
  func smoothedLuma() -> [UInt8] {
    var rows = [UInt16](repeating: 0, count: width * height)
    var result = [UInt8](repeating: 0, count: width * height)
    rows.withUnsafeMutableBufferPointer { rows in
      for y in 0..<height {
        let from = luma + y * width
        let to = rows.baseAddress! + y * width
        func tap(_ x: Int) -> UInt16 { UInt16(from[max(0, min(width - 1, x))]) }
        for x in 0..<width {
          if x >= 2 && x < width - 2 {
            let outer = UInt16(from[x - 2]) &+ UInt16(from[x + 2])
            let inner = UInt16(from[x - 1]) &+ UInt16(from[x + 1])
            to[x] = outer &+ 4 &* inner &+ 6 &* UInt16(from[x])
          } else {
            to[x] = tap(x - 2) + tap(x + 2) + 4 * (tap(x - 1) + tap(x + 1)) + 6 * tap(x)
          }
        }
      }
      result.withUnsafeMutableBufferPointer { result in
        for y in 0..<height {
          func row(_ y: Int) -> UnsafeMutablePointer<UInt16> {
            rows.baseAddress! + max(0, min(height - 1, y)) * width
          }
          let (a, b, c, d, e) = (row(y - 2), row(y - 1), row(y), row(y + 1), row(y + 2))
          let to = result.baseAddress! + y * width
          for x in 0..<width {
            let sum = a[x] &+ e[x] &+ 4 &* (b[x] &+ d[x]) &+ 6 &* c[x]
            to[x] = UInt8(truncatingIfNeeded: (sum &+ 128) &>> 8)
          }
        }
      }
    }
    return result
  }
}
