// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Kernels
internal import VideoIO

/// Averages each enhanced frame with the frames before and after it where the picture does not move.
///
/// A network predicts each frame from a window of its own, so its errors differ from frame to frame: still parts
/// of the picture flicker, and noise that is left changes. Their mean has less of both. The luma of two frames
/// is compared in squares of 12x12 samples around each block of 4x4; with a mean square difference of m, the
/// neighbour's weight relative to the frame's own is
///
///     1 / (1 + (m / change)^2)
///
/// so that motion, cuts and fades leave a frame as it is. Integer arithmetic; the result does not depend on the
/// number of threads, nor on frames further away.
struct TemporalSmoothing: Sendable {
  /// The mean square difference of a neighbour of half weight, in squared 8-bit levels times `unit`.
  typealias Change = Int
  static let unit = 16

  /// Threads of the averaging.
  let threads: Int
  /// Side of a block of luma, in samples.
  static let side = 4

  private let pool = FramePool()

  init(threads: Int) { self.threads = threads }

  /// Returns what counts as a change for the frames of a network, or nil if they are not smoothed: for denoising
  /// 2.25 times the level above 1 of the noise that was removed (`NoiseLevel`'s code), for networks for real footage
  /// 12 squared levels (docs/lab/real-footage.md, "Steadiness").
  static func change(after architecture: Architecture, noiseCode: UInt8?) -> Change? {
    switch architecture.task {
    // A level of 1 is found in clean film as well.
    case .denoising:
      Int((2.25 * Float(unit) * max(0, NoiseLevel.level(ofCode: noiseCode ?? 128) - 1)).rounded())
    case .superResolution, .restoration: architecture.takesQuantizers ? 12 * unit : nil
    case .interpolation: nil
    }
  }

  /// The difference of two frames.
  struct Difference: Sendable {
    /// Mean square difference around each block of luma in squared 8-bit levels times `unit`, row by row.
    fileprivate let means: [Int32]
    fileprivate let columns, rows: Int
  }

  /// Returns the difference of two frames; nil if they have different sizes or formats.
  func difference(of first: VideoFrame, and second: VideoFrame) -> Difference? {
    guard (first.width, first.height, first.format) == (second.width, second.height, second.format) else {
      return nil
    }
    let columns = (first.width + Self.side - 1) / Self.side
    let rows = (first.height + Self.side - 1) / Self.side
    let sums = [Int32](unsafeUninitializedCapacity: columns * rows) { sums, count in
      nonisolated(unsafe) let sums = sums  // Bands write disjoint rows.
      first.withPlane(0) { a, aRow in
        second.withPlane(0) { b, bRow in
          nonisolated(unsafe) let (a, b) = (a.baseAddress!, b.baseAddress!)
          Parallel.bands(rows: rows, threads: threads) { band, _ in
            for row in band {
              for y in row * Self.side..<min((row + 1) * Self.side, first.height) {
                let to = sums.baseAddress! + row * columns
                if y % Self.side == 0 { to.update(repeating: 0, count: columns) }
                let (from, other) = (a + y * aRow, b + y * bRow)
                if first.format.bytesPerSample == 1 {
                  Self.addSquares(
                    from.assumingMemoryBound(to: UInt8.self), other.assumingMemoryBound(to: UInt8.self),
                    first.width, shift: 0, to: to)
                } else {
                  Self.addSquares(
                    from.assumingMemoryBound(to: UInt16.self), other.assumingMemoryBound(to: UInt16.self),
                    first.width, shift: max(0, first.format.bitDepth - 12), to: to)
                }
              }
            }
          }
        }
      }
      count = columns * rows
    }
    let bits = 2 * (min(first.format.bitDepth, 12) - 8)
    return Difference(
      means: Self.means(of: sums, columns, rows, width: first.width, height: first.height, shift: bits),
      columns: columns, rows: rows)
  }

  /// Adds the squared differences of a row of samples to its blocks.
  private static func addSquares<Sample: FixedWidthInteger>(
    _ a: UnsafePointer<Sample>, _ b: UnsafePointer<Sample>, _ count: Int, shift: Int,
    to sums: UnsafeMutablePointer<Int32>
  ) {
    @inline(__always) func square(_ x: Int) -> Int32 {
      let difference = (Int32(truncatingIfNeeded: a[x]) &- Int32(truncatingIfNeeded: b[x])) &>> Int32(shift)
      return difference &* difference
    }
    let whole = count / side
    for block in 0..<whole {
      let x = block &* side
      sums[block] &+= square(x) &+ square(x &+ 1) &+ square(x &+ 2) &+ square(x &+ 3)
    }
    for x in whole * side..<count { sums[whole] &+= square(x) }
  }

  /// The means over 3x3 blocks, fewer at the edges of the picture.
  private static func means(
    of sums: [Int32], _ columns: Int, _ rows: Int, width: Int, height: Int, shift: Int
  ) -> [Int32] {
    var result = [Int32](repeating: 0, count: columns * rows)
    var down = [Int](repeating: 0, count: columns)
    result.withUnsafeMutableBufferPointer { result in
      down.withUnsafeMutableBufferPointer { down in
        for row in 0..<rows {
          let near = max(0, row - 1)...min(rows - 1, row + 1)
          let (above, below) = (near.lowerBound * columns, near.upperBound * columns)
          for column in 0..<columns {
            var sum = Int(sums[row &* columns &+ column])
            if near.lowerBound < row { sum &+= Int(sums[above &+ column]) }
            if near.upperBound > row { sum &+= Int(sums[below &+ column]) }
            down[column] = sum
          }
          let lines = min((near.upperBound + 1) * side, height) - near.lowerBound * side
          for column in 0..<columns {
            let (from, to) = (max(0, column - 1), min(columns - 1, column + 1))
            let sum = down[column] + (from < column ? down[from] : 0) + (to > column ? down[to] : 0)
            let samples = lines * (min((to + 1) * side, width) - from * side)
            result[row * columns + column] = Int32(clamping: (sum * unit) / (samples << shift))
          }
        }
      }
    }
    return result
  }

  /// Returns `frame` averaged with its neighbours.
  /// - Parameters:
  ///   - neighbours: frames of the same shape, and their differences from `frame`: two at most.
  ///   - change: what counts as a change of the picture.
  /// - Throws: `VideoIOError.invalidPicture`.
  func smooth(
    _ frame: VideoFrame, by neighbours: [(frame: VideoFrame, difference: Difference)], change: Change
  )
    throws(VideoIOError) -> VideoFrame
  {
    guard !neighbours.isEmpty, change > 0 else { return frame }
    let weights = Weights(neighbours.map(\.difference), change: change)
    var buffer = try FrameBuffer(
      width: frame.width, height: frame.height, format: frame.format, like: frame, pool: pool)
    buffer.withMutablePlanes { planes in
      nonisolated(unsafe) let planes = planes  // Bands write disjoint rows.
      Parallel.bands(rows: weights.rows, threads: threads) { band, _ in
        for index in planes.indices {
          let mean = PlaneMean(
            of: frame, and: neighbours.map(\.frame), plane: index, into: planes[index], weights: weights)
          mean.fill(blockRows: band)
        }
      }
    }
    return buffer.freeze(presentationTimestamp: frame.presentationTimestamp, duration: frame.duration)
  }
}

/// The shares of the neighbours in the mean, by block, in units of 1/128: at most 64, and 86 together, so that what
/// is added to a sample of 8 bits fits into 16.
private struct Weights: Sendable {
  let columns, rows: Int
  /// For both neighbours; the second is zero if there is one.
  let shares: (first: [Int16], second: [Int16])

  static let shift: Int16 = 7

  init(_ differences: [TemporalSmoothing.Difference], change: Int) {
    columns = differences[0].columns
    rows = differences[0].rows
    let first = differences[0].means.map { Self.weight($0, change) }
    let second = differences.count > 1 ? differences[1].means.map { Self.weight($0, change) } : nil
    func shares(_ own: [Int], _ other: [Int]?) -> [Int16] {
      own.indices.map { block in
        if own[block] == 0 { return 0 }
        let sum = 256 + own[block] + (other?[block] ?? 0)
        return Int16(((own[block] << Int(Self.shift)) + sum / 2) / sum)
      }
    }
    self.shares = (shares(first, second), second.map { shares($0, first) } ?? first.map { _ in 0 })
  }

  /// The weight of a neighbour relative to the frame's own, in units of 1/256.
  private static func weight(_ mean: Int32, _ change: Int) -> Int {
    let mean = Int(mean)
    return mean > 16 * change ? 0 : 256 * change * change / (change * change + mean * mean)
  }
}

/// The mean of one plane of a frame and of its neighbours.
private struct PlaneMean {
  private let frames: [VideoFrame]
  private let plane: Int
  private let target: (bytes: UnsafeMutableRawBufferPointer, bytesPerRow: Int)
  private let weights: Weights

  init(
    of frame: VideoFrame, and neighbours: [VideoFrame], plane: Int,
    into target: (bytes: UnsafeMutableRawBufferPointer, bytesPerRow: Int), weights: Weights
  ) {
    frames = [frame] + neighbours
    (self.plane, self.target, self.weights) = (plane, target, weights)
  }

  /// Fills the rows of some rows of blocks.
  func fill(blockRows: Range<Int>) {
    if frames[0].format.bytesPerSample == 1 {
      fill(blockRows, UInt8.self, Int16.self)
    } else {
      fill(blockRows, UInt16.self, Int32.self)
    }
  }

  /// - Parameter wide: holds a difference of samples times their shares.
  private func fill<Sample: SampleInteger, Wide: WideInteger & BitwiseCopyable>(
    _ blockRows: Range<Int>, _: Sample.Type, _ wide: Wide.Type
  ) {
    let (frame, format) = (frames[0], frames[0].format)
    let (width, height) = (frame.planeWidth(plane), frame.planeHeight(plane))
    let across = TemporalSmoothing.side >> (plane == 0 ? 0 : format.log2ChromaWidth)
    let down = TemporalSmoothing.side >> (plane == 0 ? 0 : format.log2ChromaHeight)
    // The shares by sample, so that the loop over these has no indices.
    let room = weights.columns * across
    let memory = AlignedBuffer(Wide.self, count: 2 * room)
    defer { withExtendedLifetime(memory) {} }
    let first = memory.values(Wide.self)
    let second = first + room
    for blockRow in blockRows {
      let place = blockRow * weights.columns
      let isFirst = spread(weights.shares.first, from: place, across, to: first)
      let isSecond = spread(weights.shares.second, from: place, across, to: second)
      for y in min(blockRow * down, height)..<min((blockRow + 1) * down, height) {
        let to = (target.bytes.baseAddress! + y * target.bytesPerRow).assumingMemoryBound(to: Sample.self)
        let own = row(y, of: 0, Sample.self)
        if !isFirst && !isSecond {
          to.update(from: own, count: width)
        } else {
          Self.mean(
            own, row(y, of: 1, Sample.self), row(y, of: frames.count - 1, Sample.self), first, second, to,
            width)
        }
      }
    }
  }

  /// Repeats the shares of a row of blocks for each of their columns; returns whether any is not zero.
  private func spread<Wide: WideInteger>(
    _ shares: [Int16], from place: Int, _ across: Int, to: UnsafeMutablePointer<Wide>
  ) -> Bool {
    shares.withUnsafeBufferPointer { shares in
      var any: Int16 = 0
      for column in 0..<weights.columns {
        let share = shares[place &+ column]
        any |= share
        for x in 0..<across { to[column &* across &+ x] = Wide(truncatingIfNeeded: share) }
      }
      return any != 0
    }
  }

  /// A row of the plane; the frames outlive it.
  private func row<Sample>(_ y: Int, of frame: Int, _: Sample.Type) -> UnsafePointer<Sample> {
    frames[frame].withPlane(plane) { bytes, bytesPerRow in
      (bytes.baseAddress! + y * bytesPerRow).assumingMemoryBound(to: Sample.self)
    }
  }

  private static func mean<Sample: SampleInteger, Wide: WideInteger>(
    _ own: UnsafePointer<Sample>, _ first: UnsafePointer<Sample>, _ second: UnsafePointer<Sample>,
    _ firstShares: UnsafePointer<Wide>, _ secondShares: UnsafePointer<Wide>,
    _ to: UnsafeMutablePointer<Sample>,
    _ count: Int
  ) {
    let half = Wide(truncatingIfNeeded: 1 << (Weights.shift - 1))
    for x in 0..<count {
      let value = Wide(truncatingIfNeeded: own[x])
      let sum =
        firstShares[x] &* (Wide(truncatingIfNeeded: first[x]) &- value)
        &+ secondShares[x] &* (Wide(truncatingIfNeeded: second[x]) &- value)
      to[x] = Sample(truncatingIfNeeded: value &+ ((sum &+ half) &>> Wide(truncatingIfNeeded: Weights.shift)))
    }
  }
}
