// SPDX-License-Identifier: Apache-2.0
internal import Kernels
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

  /// - Parameter smoothed: `frame.smoothedLuma()` if it is known.
  init(of frame: PlanarFrame, sharpness: Float?, smoothed: [UInt8]? = nil, threads: Int = 1) {
    self.frame = frame
    gain = sharpness.map(Self.gain) ?? 0
    self.smoothed = gain > 0 ? smoothed ?? frame.smoothedLuma(threads: threads) : []
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
  func smoothedLuma(threads: Int = 1) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: width * height) { result, count in
      nonisolated(unsafe) let target = result.baseAddress!  // Bands write their own rows.
      Parallel.bands(rows: height, threads: threads) { rows, _ in smoothLuma(rows, into: target) }
      count = width * height
    }
  }

  private func smoothLuma(_ rows: Range<Int>, into result: UnsafeMutablePointer<UInt8>) {
    let first = max(0, rows.lowerBound - 2), end = min(height, rows.upperBound + 2)
    withUnsafeTemporaryAllocation(of: UInt16.self, capacity: (end - first) * width) { sums in
      let sums = sums.baseAddress!
      for y in first..<end { sumAcross(luma + y * width, into: sums + (y - first) * width) }
      for y in rows {
        func row(_ y: Int) -> UnsafeMutablePointer<UInt16> {
          sums + (max(0, min(height - 1, y)) - first) * width
        }
        let (a, b, c, d, e) = (row(y - 2), row(y - 1), row(y), row(y + 1), row(y + 2))
        let to = result + y * width
        for x in 0..<width {
          let sum = a[x] &+ e[x] &+ 4 &* (b[x] &+ d[x]) &+ 6 &* c[x]
          to[x] = UInt8(truncatingIfNeeded: (sum &+ 128) &>> 8)
        }
      }
    }
  }

  /// The sums of a row with weights 1, 4, 6, 4, 1.
  private func sumAcross(_ from: UnsafePointer<UInt8>, into sums: UnsafeMutablePointer<UInt16>) {
    func tap(_ x: Int) -> UInt16 { UInt16(from[max(0, min(width - 1, x))]) }
    for x in 0..<width {
      if x >= 2 && x < width - 2 {
        let outer = UInt16(from[x - 2]) &+ UInt16(from[x + 2])
        let inner = UInt16(from[x - 1]) &+ UInt16(from[x + 1])
        sums[x] = outer &+ 4 &* inner &+ 6 &* UInt16(from[x])
      } else {
        sums[x] = tap(x - 2) + tap(x + 2) + 4 * (tap(x - 1) + tap(x + 1)) + 6 * tap(x)
      }
    }
  }
}
