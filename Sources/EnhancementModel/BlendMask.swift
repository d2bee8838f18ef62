// SPDX-License-Identifier: Apache-2.0
internal import Kernels

/// The weighting of the two warped frames by an interpolation network, per sample: where one of them shows something that
/// is hidden at the new instant, an even blend would show a ghost.
///
/// The last layer's channels are a residual R and a mask M, both in 1/64 of a level. For the warped frames a and b, the
/// correction added to 64 times their blend is R + (M (b - a) + 128) / 256, rounded down: M = ±8192 turns an even blend
/// into one of the frames.
package enum BlendMask {
  /// The value of M that adds one whole difference: the correction is M (b - a) 64 / `one`.
  static let one = 16384
  /// The mask's factor in a float network, where M, b - a and the sum are in units of the full range.
  package static let floatFactor = ResidualScale.unitsPerRange / Float(one)

  /// The correction for one sample.
  @inlinable
  package static func added(residual: Int32, mask: Int32, difference: Int32) -> Int32 {
    max(-32768, min(32767, residual &+ ((mask &* difference &+ 128) >> 8)))
  }

  /// The correction to the blend from the last layer's channels.
  /// - Parameter warped: both frames, warped to the instant.
  static func apply(_ output: Residual, warped: [PlanarFrame], threads: Int) -> Residual {
    let count = Architecture.frameChannels
    let result = Residual(gridWidth: output.gridWidth, gridHeight: output.gridHeight, channels: count)
    let (width, stride) = (output.gridWidth, output.channels)
    let (first, second) = (warped[0], warped[1])
    let (to, from) = (result, output)  // Each band writes its own rows.
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
            let predicted = from.values + (y &* width &+ x) &* stride
            let sum = to.values + (y &* width &+ x) &* count
            for c in 0..<count {
              let i = x &* count &+ c
              sum[c] = Int16(
                truncatingIfNeeded: added(
                  residual: Int32(predicted[c]), mask: Int32(predicted[c &+ count]),
                  difference: Int32(b[i]) &- Int32(a[i])))
            }
          }
        }
      }
    }
    return result
  }
}
