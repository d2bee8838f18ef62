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
    let (frameWidth, frameHeight, luma) = (frame.width, frame.height, frame.luma)
    let edges = (0...width).map { $0 * frameWidth / width }
    return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: frameWidth) { sums in
      let sums = sums.baseAddress!
      return [UInt8](unsafeUninitializedCapacity: width * height) { means, count in
        count = width * height
        for row in 0..<height {
          // Sum the rows of an area first, to read memory sequentially.
          let rows = row * frameHeight / height..<(row + 1) * frameHeight / height
          sums.update(repeating: 0, count: frameWidth)
          for y in rows {
            let from = luma + y * frameWidth
            for x in 0..<frameWidth { sums[x] &+= UInt32(from[x]) }
          }
          for column in 0..<width {
            var sum: UInt32 = 0
            for x in edges[column]..<edges[column + 1] { sum &+= sums[x] }
            let area = (edges[column + 1] - edges[column]) * rows.count
            means[row * width + column] = UInt8(sum / UInt32(area))
          }
        }
      }
    }
  }

  /// Averages each sample with its neighbours, weighted 1 2 1 in both directions; edges are repeated.
  private static func blurred(_ samples: [UInt8], width: Int, height: Int) -> [UInt8] {
    samples.withUnsafeBufferPointer { samples in
      withUnsafeTemporaryAllocation(of: UInt16.self, capacity: width * height) { sums in
        for y in 0..<height {
          let (from, to) = (samples.baseAddress! + y * width, sums.baseAddress! + y * width)
          for x in 0..<width {
            let (left, right) = (from[x == 0 ? 0 : x - 1], from[x == width - 1 ? x : x + 1])
            to[x] = UInt16(left) &+ UInt16(from[x]) &* 2 &+ UInt16(right)
          }
        }
        return [UInt8](unsafeUninitializedCapacity: width * height) { result, count in
          count = width * height
          for y in 0..<height {
            let row = sums.baseAddress! + y * width
            let (above, below) = (y == 0 ? row : row - width, y == height - 1 ? row : row + width)
            for x in 0..<width {
              result[y * width + x] = UInt8(
                truncatingIfNeeded: (above[x] &+ row[x] &* 2 &+ below[x] &+ 8) >> 4)
            }
          }
        }
      }
    }
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
        let stride = self.width
        let block = mine.baseAddress! + y * stride + x
        /// The sum for a place in `other`; not all of it where it cannot be below `enough`.
        func sum(at place: UnsafePointer<UInt8>, enough: Int32) -> Int32 {
          var sum: Int32 = 0
          for row in 0..<height {
            let (from, to) = (block + row * stride, place + row * stride)
            for column in 0..<width { sum &+= abs(Int32(from[column]) &- Int32(to[column])) }
            if sum >= enough { break }
          }
          return sum
        }
        // Most blocks have hardly moved: a good match to begin with cuts the other sums short.
        var best = sum(at: theirs.baseAddress! + y * stride + x, enough: .max)
        for toY in max(0, y - Self.reach)...min(self.height - height, y + Self.reach) {
          for toX in max(0, x - Self.reach)...min(self.width - width, x + Self.reach) where best > 0 {
            best = min(best, sum(at: theirs.baseAddress! + toY * stride + toX, enough: best))
          }
        }
        return Int(best)
      }
    }
  }
}
