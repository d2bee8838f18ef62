// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel

/// The luma of a frame, averaged to at most 64 x 64 samples and slightly blurred, which makes it insensitive
/// to motion below one of these samples.
struct LumaThumbnail: Sendable {
  /// Extents.
  let width, height: Int
  /// Mean levels, row by row.
  let samples: [UInt8]

  private static let side = 64
  /// Side of the blocks matched in another frame, and the search radius.
  private static let blockSide = 8
  private static let reach = 4

  init(_ frame: PlanarFrame) {
    let longest = max(frame.width, frame.height)
    let width = max(1, min(frame.width, frame.width * Self.side / longest))
    let height = max(1, min(frame.height, frame.height * Self.side / longest))
    self.width = width
    self.height = height
    samples = Self.blurred(Self.means(frame, width: width, height: height), width: width, height: height)
  }

  /// Returns the means of `width` x `height` areas of a frame.
  private static func means(_ frame: PlanarFrame, width: Int, height: Int) -> [UInt8] {
    // Sum the rows of an area first, to read memory sequentially.
    var sums = [UInt32](repeating: 0, count: frame.width)
    var means = [UInt8](repeating: 0, count: width * height)
    for row in 0..<height {
      let rows = row * frame.height / height..<(row + 1) * frame.height / height
      for x in 0..<frame.width { sums[x] = 0 }
      for y in rows {
        let from = frame.luma + y * frame.width
        for x in 0..<frame.width { sums[x] &+= UInt32(from[x]) }
      }
      for column in 0..<width {
        let columns = column * frame.width / width..<(column + 1) * frame.width / width
        let sum = sums[columns].reduce(UInt32(0), &+)
        means[row * width + column] = UInt8(sum / UInt32(columns.count * rows.count))
      }
    }
    return means
  }

  /// Averages each sample with its neighbours, weighted 1 2 1 in both directions; edges are repeated.
  private static func blurred(_ samples: [UInt8], width: Int, height: Int) -> [UInt8] {
    func row(_ y: Int, _ x: Int) -> Int {
      let start = min(max(y, 0), height - 1) * width
      return Int(samples[start + max(x - 1, 0)]) + 2 * Int(samples[start + x])
        + Int(samples[start + min(x + 1, width - 1)])
    }
    var result = samples
    for y in 0..<height {
      for x in 0..<width {
        result[y * width + x] = UInt8((row(y - 1, x) + 2 * row(y, x) + row(y + 1, x) + 8) >> 4)
      }
    }
    return result
  }

  /// Returns the mean absolute difference in levels to `other`, of the same size, after moving each block to
  /// its best match: small for pans and moving objects, large for pictures without common content.
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

  /// Returns the sum of absolute differences between a block and its best match in `other`.
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
