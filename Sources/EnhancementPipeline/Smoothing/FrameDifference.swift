// SPDX-License-Identifier: Apache-2.0
internal import Kernels
internal import VideoIO

/// The difference of the luma of two frames.
struct FrameDifference: Sendable {
  /// Side of a block in samples.
  static let side = 4

  /// Mean square difference of the 3x3 blocks around each block in squared 8-bit levels, row by row; fewer blocks at
  /// the edges of the picture.
  let means: [Float]
  let columns, rows: Int

  /// Compares two frames; nil if they have different sizes or formats. Samples of more than 12 bits are compared at 12.
  init?(of first: VideoFrame, and second: VideoFrame, threads: Int) {
    guard (first.width, first.height, first.format) == (second.width, second.height, second.format) else {
      return nil
    }
    columns = (first.width + Self.side - 1) / Self.side
    rows = (first.height + Self.side - 1) / Self.side
    let depth = min(first.format.bitDepth, 12)
    means = BlockSums(first, second, columns, rows, shift: first.format.bitDepth - depth, threads: threads)
      .means(
        width: first.width, height: first.height, unit: Float(1 << (2 * (depth - 8))))
  }
}

/// Sums of the squared differences of each block.
private struct BlockSums {
  private static let side = FrameDifference.side

  let columns, rows: Int
  private let sums: [UInt32]

  /// - Parameter shift: bits of the samples that are left out.
  init(
    _ first: VideoFrame, _ second: VideoFrame, _ columns: Int, _ rows: Int, shift: Int, threads: Int
  ) {
    self.columns = columns
    self.rows = rows
    sums = [UInt32](unsafeUninitializedCapacity: columns * rows) { sums, count in
      nonisolated(unsafe) let sums = sums  // Bands write disjoint rows.
      first.withPlane(0) { a, aRow in
        second.withPlane(0) { b, bRow in
          nonisolated(unsafe) let (a, b) = (a.baseAddress!, b.baseAddress!)
          Parallel.bands(rows: rows, threads: threads) { band, _ in
            for y in band.lowerBound * Self.side..<min(band.upperBound * Self.side, first.height) {
              let to = sums.baseAddress! + y / Self.side * columns
              if y % Self.side == 0 { to.update(repeating: 0, count: columns) }
              let (from, other) = (a + y * aRow, b + y * bRow)
              if first.format.bytesPerSample == 1 {
                Self.addSquares(
                  from.assumingMemoryBound(to: UInt8.self), other.assumingMemoryBound(to: UInt8.self),
                  first.width, shift: 0, to: to)
              } else {
                Self.addSquares(
                  from.assumingMemoryBound(to: UInt16.self), other.assumingMemoryBound(to: UInt16.self),
                  first.width, shift: Int32(shift), to: to)
              }
            }
          }
        }
      }
      count = columns * rows
    }
  }

  /// Adds the squared differences of a row of samples to its blocks.
  private static func addSquares<Sample: FixedWidthInteger>(
    _ a: UnsafePointer<Sample>, _ b: UnsafePointer<Sample>, _ count: Int, shift: Int32,
    to sums: UnsafeMutablePointer<UInt32>
  ) {
    @inline(__always) func square(_ x: Int) -> UInt32 {
      let difference = (Int32(truncatingIfNeeded: a[x]) &- Int32(truncatingIfNeeded: b[x])) &>> shift
      return UInt32(bitPattern: difference &* difference)
    }
    let whole = count / side
    for block in 0..<whole {
      let x = block &* side
      sums[block] &+= square(x) &+ square(x &+ 1) &+ square(x &+ 2) &+ square(x &+ 3)
    }
    for x in whole * side..<count { sums[whole] &+= square(x) }
  }

  /// The means over 3x3 blocks; nine blocks of 16 squares of 24 bits fit into 32.
  /// - Parameter unit: the square of a level.
  func means(width: Int, height: Int, unit: Float) -> [Float] {
    var result = [Float](repeating: 0, count: columns * rows)
    var down = [UInt32](repeating: 0, count: columns)
    result.withUnsafeMutableBufferPointer { result in
      sums.withUnsafeBufferPointer { sums in
        down.withUnsafeMutableBufferPointer { down in
          for row in 0..<rows {
            let (above, below) = (max(0, row - 1), min(rows - 1, row + 1))
            let lines = min((below + 1) * Self.side, height) - above * Self.side
            for column in 0..<columns {
              down[column] = sums[row &* columns &+ column]
              if above < row { down[column] &+= sums[above &* columns &+ column] }
              if below > row { down[column] &+= sums[below &* columns &+ column] }
            }
            let to = result.baseAddress! + row * columns
            let divisor = Float(lines * 3 * Self.side) * unit
            for column in stride(from: 1, to: columns - 2, by: 1) {
              to[column] = Float(down[column &- 1] &+ down[column] &+ down[column &+ 1]) / divisor
            }
            // Fewer samples.
            for column in Set([0, columns - 2, columns - 1]) where column >= 0 {
              let (from, last) = (max(0, column - 1), min(columns - 1, column + 1))
              let samples = lines * (min((last + 1) * Self.side, width) - from * Self.side)
              to[column] = Float(down[from...last].reduce(0, &+)) / (Float(samples) * unit)
            }
          }
        }
      }
    }
    return result
  }
}
