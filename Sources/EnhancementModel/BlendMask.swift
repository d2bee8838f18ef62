// SPDX-License-Identifier: Apache-2.0
internal import Kernels

/// Which of the two warped frames a network for interpolation trusts, sample by sample: where one of them shows what is
/// hidden at the instant, their blend is a ghost.
///
/// The last layer's channels are a residual R and a mask M, both in 1/64 of a level. With the warped frames a and b, what is
/// added to 64 times their blend is R + (M (b - a) + 128) / 256, rounded down: M = ±8192 moves an even blend wholly to one of them.
public enum BlendMask {
  /// Units of M that count as one whole difference: what is added is M (b - a) 64 / `one`.
  static let one = 16384
  /// The mask's factor in a float network, whose M, b - a and sum are in units of the full range.
  public static let floatFactor = ResidualScale.unitsPerRange / Float(one)

  /// What is added for one sample.
  @inlinable
  public static func added(residual: Int32, mask: Int32, difference: Int32) -> Int32 {
    max(-32768, min(32767, residual &+ ((mask &* difference &+ 128) >> 8)))
  }

  /// The residual to the blend, of a last layer's channels.
  /// - Parameter warped: both frames, warped to the instant.
  static func apply(_ output: Residual, warped: [PlanarFrame], threads: Int) -> Residual {
    let count = Architecture.frameChannels
    let result = Residual(gridWidth: output.gridWidth, gridHeight: output.gridHeight, channels: count)
    let (width, stride) = (output.gridWidth, output.channels)
    let (first, second) = (warped[0], warped[1])
    let (to, from) = (result, output)  // Bands write rows of their own.
    Parallel.bands(rows: output.gridHeight, multiple: 4, threads: threads) { rows, _ in
      withUnsafeTemporaryAllocation(of: Int16.self, capacity: 2 * count * width) { packed in
        let (a, b) = (packed.baseAddress!, packed.baseAddress! + count * width)
        for y in rows {
          first.pack(
            into: a - y * count * width, pixelStride: count, rowStride: count * width, rows: y..<y + 1
          ) {
            Int16($0)
          }
          second.pack(
            into: b - y * count * width, pixelStride: count, rowStride: count * width, rows: y..<y + 1
          ) {
            Int16($0)
          }
          for x in 0..<width {
            let said = from.values + (y &* width &+ x) &* stride
            let sum = to.values + (y &* width &+ x) &* count
            for c in 0..<count {
              let i = x &* count &+ c
              sum[c] = Int16(
                truncatingIfNeeded: added(
                  residual: Int32(said[c]), mask: Int32(said[c &+ count]),
                  difference: Int32(b[i]) &- Int32(a[i])))
            }
          }
        }
      }
    }
    return result
  }
}
