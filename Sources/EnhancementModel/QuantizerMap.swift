// SPDX-License-Identifier: Apache-2.0

/// The quantizers of a frame's blocks. Their mean is an input of networks that are conditioned on their source.
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

  /// The mean value of all blocks, rounded down; nil if no frame has a map.
  static func mean(_ maps: [QuantizerMap?]) -> UInt8? {
    let values = maps.lazy.compactMap { $0?.values }.joined()
    let (sum, count) = values.reduce((0, 0)) { ($0.0 + Int($1), $0.1 + 1) }
    return count > 0 ? UInt8(sum / count) : nil
  }
}
