// SPDX-License-Identifier: Apache-2.0

/// The quantizers of a frame's blocks: an input of networks that are conditioned on their source.
///
/// Values are twice the quantizer on the scale of H.264 (8-bit video), 0 ... 126.
package struct QuantizerMap: Sendable, Hashable {
  /// Columns and rows of luma per value.
  package static let side = 16
  /// The network's input for an unknown quantizer.
  package static let unknown: UInt8 = 128
  /// Extents in blocks.
  package let columns, rows: Int
  /// `rows * columns` values, row by row.
  package let values: [UInt8]

  /// Creates a map.
  /// - Precondition: `values` holds `columns * rows`, at least one.
  package init(columns: Int, rows: Int, values: [UInt8]) {
    precondition(columns > 0 && rows > 0 && values.count == columns * rows, "a value for each block")
    self.columns = columns
    self.rows = rows
    self.values = values
  }

  /// Creates a map with one value for all blocks of a frame of `width` x `height`.
  package init(width: Int, height: Int, value: UInt8) {
    let (columns, rows) = ((width + Self.side - 1) / Self.side, (height + Self.side - 1) / Self.side)
    self.init(columns: columns, rows: rows, values: Array(repeating: value, count: columns * rows))
  }

  /// The mean quantizer on the scale of H.264. Exact on all machines.
  var mean: Float { Float(values.reduce(0) { $0 + Int($1) }) / Float(2 * values.count) }

  /// The network's input for a value: always above `unknown`, whose real value is zero.
  static func code(_ value: UInt8) -> UInt8 { 129 + min(126, value) }

  /// Writes the codes of grid rows `rows` (two rows of luma each) at `to` plus the strides.
  static func write(
    _ map: QuantizerMap?, gridWidth: Int, rows: Range<Int>, into to: UnsafeMutablePointer<UInt8>,
    pixelStride: Int, rowStride: Int
  ) {
    for y in rows {
      var at = to + y &* rowStride
      guard let map else {
        for _ in 0..<gridWidth {
          at.pointee = unknown
          at += pixelStride
        }
        continue
      }
      let first = min(2 * y / side, map.rows - 1) * map.columns
      for x in 0..<gridWidth {
        at.pointee = code(map.values[first + min(2 * x / side, map.columns - 1)])
        at += pixelStride
      }
    }
  }
}
