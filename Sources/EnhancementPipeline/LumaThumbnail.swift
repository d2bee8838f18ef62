// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel

/// The luma of a frame, averaged down to at most 64 columns and rows, and how its levels are spread.
struct LumaThumbnail: Sendable {
  /// Extents.
  let width, height: Int
  /// Mean levels, row after row.
  let samples: [UInt8]
  /// Share of the samples in each of 32 ranges of levels.
  let histogram: [Float]

  private static let side = 64
  private static let bins = 32
  /// Side of the blocks that are looked for in another frame, and how far.
  private static let blockSide = 8
  private static let reach = 4

  init(_ frame: PlanarFrame) {
    let longest = max(frame.width, frame.height)
    let width = max(1, min(frame.width, frame.width * Self.side / longest))
    let height = max(1, min(frame.height, frame.height * Self.side / longest))
    self.width = width
    self.height = height
    samples = (0..<height).flatMap { y in
      Self.row(frame, rows: y * frame.height / height..<(y + 1) * frame.height / height, columns: width)
    }
    var counts = [Float](repeating: 0, count: Self.bins)
    for sample in samples { counts[Int(sample) * Self.bins / 256] += 1 }
    histogram = counts.map { $0 / Float(width * height) }
  }

  /// Means of `columns` stretches of a band of rows.
  private static func row(_ frame: PlanarFrame, rows: Range<Int>, columns: Int) -> [UInt8] {
    // Sums over the rows first: one pass over memory in its order.
    let sums = [UInt32](unsafeUninitializedCapacity: frame.width) { sums, count in
      let to = sums.baseAddress!
      for x in 0..<frame.width { to[x] = 0 }
      for y in rows {
        let from = frame.luma + y * frame.width
        for x in 0..<frame.width { to[x] &+= UInt32(from[x]) }
      }
      count = frame.width
    }
    return (0..<columns).map { x in
      let stretch = x * frame.width / columns..<(x + 1) * frame.width / columns
      let sum = sums[stretch].reduce(UInt32(0), &+)
      return UInt8(sum / UInt32(stretch.count * rows.count))
    }
  }

  /// How differently the levels of two frames are spread: 0 for equally, 2 for nothing in common.
  func histogramDifference(_ other: LumaThumbnail) -> Float {
    zip(histogram, other.histogram).reduce(0) { $0 + abs($1.0 - $1.1) }
  }

  /// Mean absolute difference in levels to `other`, of the same size, of blocks that were moved to where they
  /// fit best: what pans and moving objects leave is small, what has nothing in common remains.
  func difference(_ other: LumaThumbnail) -> Float {
    precondition(width == other.width && height == other.height, "thumbnails differ in size")
    var total = 0
    for y in stride(from: 0, to: height, by: Self.blockSide) {
      for x in stride(from: 0, to: width, by: Self.blockSide) {
        total += bestDifference(
          other, x: x, y: y, width: min(Self.blockSide, width - x), height: min(Self.blockSide, height - y))
      }
    }
    return Float(total) / Float(width * height)
  }

  /// Sum of absolute differences of a block to the place in `other` where it is least.
  private func bestDifference(_ other: LumaThumbnail, x: Int, y: Int, width: Int, height: Int) -> Int {
    samples.withUnsafeBufferPointer { mine in
      other.samples.withUnsafeBufferPointer { theirs in
        var best = Int32.max
        for toY in max(0, y - Self.reach)...min(self.height - height, y + Self.reach) {
          for toX in max(0, x - Self.reach)...min(self.width - width, x + Self.reach) {
            var sum: Int32 = 0
            for row in 0..<height {
              let from = mine.baseAddress! + (y + row) * self.width + x
              let to = theirs.baseAddress! + (toY + row) * self.width + toX
              for column in 0..<width { sum &+= abs(Int32(from[column]) &- Int32(to[column])) }
            }
            best = min(best, sum)
          }
        }
        return Int(best)
      }
    }
  }
}
