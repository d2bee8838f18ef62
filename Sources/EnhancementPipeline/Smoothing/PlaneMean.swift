// SPDX-License-Identifier: Apache-2.0
internal import Kernels
internal import VideoIO

/// The shares of a frame's neighbours in their mean, by block, in units of 1/128: at most 64, and 86 together, so that
/// what is added to a sample of 8 bits fits into 16.
struct NeighbourShares: Sendable {
  let columns, rows: Int
  /// For both neighbours; the second is zero if there is one.
  let first, second: [Int16]

  static let shift: Int16 = 7

  /// - Parameters:
  ///   - differences: of the neighbours from the frame: one or two.
  ///   - change: the mean square difference of a neighbour of half weight.
  init(_ differences: [FrameDifference], change: Float) {
    let count = differences[0].means.count
    columns = differences[0].columns
    rows = differences[0].rows
    let unit = Float(1 << Self.shift)
    var shares = (first: [Int16](repeating: 0, count: count), second: [Int16](repeating: 0, count: count))
    // Weights of 1/p and 1/q relative to the frame's own: shares of q and p in p q + p + q, with one division for both.
    @inline(__always) func denominator(_ mean: Float) -> Float { 1 + (mean / change) * (mean / change) }
    /// Rounds; what can trap is not vectorized.
    @inline(__always) func rounded(_ share: Float) -> Int16 {
      Int16(truncatingIfNeeded: (share + 8_388_608).bitPattern)
    }
    shares.first.withUnsafeMutableBufferPointer { first in
      shares.second.withUnsafeMutableBufferPointer { second in
        differences[0].means.withUnsafeBufferPointer { own in
          if differences.count == 1 {
            for block in 0..<count { first[block] = rounded(unit / (denominator(own[block]) + 1)) }
            return
          }
          differences[1].means.withUnsafeBufferPointer { other in
            for block in 0..<count {
              let (p, q) = (denominator(own[block]), denominator(other[block]))
              let part = unit / (p * q + p + q)
              first[block] = rounded(q * part)
              second[block] = rounded(p * part)
            }
          }
        }
      }
    }
    (first, second) = shares
  }
}

/// The mean of one plane of a frame and of its neighbours.
struct PlaneMean {
  private let frames: [VideoFrame]
  private let plane: Int
  private let target: (bytes: UnsafeMutableRawBufferPointer, bytesPerRow: Int)
  private let shares: NeighbourShares

  init(
    of frame: VideoFrame, and neighbours: [VideoFrame], plane: Int,
    into target: (bytes: UnsafeMutableRawBufferPointer, bytesPerRow: Int), shares: NeighbourShares
  ) {
    frames = [frame] + neighbours
    (self.plane, self.target, self.shares) = (plane, target, shares)
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
    let across = FrameDifference.side >> (plane == 0 ? 0 : format.log2ChromaWidth)
    let down = FrameDifference.side >> (plane == 0 ? 0 : format.log2ChromaHeight)
    // The shares by sample, so that the loop over these has no indices.
    let room = shares.columns * across
    let memory = AlignedBuffer(Wide.self, count: 2 * room)
    defer { withExtendedLifetime(memory) {} }
    let first = memory.values(Wide.self)
    let second = first + room
    for blockRow in blockRows {
      let place = blockRow * shares.columns
      let isFirst = spread(shares.first, from: place, across, to: first)
      let isSecond = spread(shares.second, from: place, across, to: second)
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
    _ values: [Int16], from place: Int, _ across: Int, to: UnsafeMutablePointer<Wide>
  ) -> Bool {
    let columns = shares.columns
    return values.withUnsafeBufferPointer { values in
      var any: Int16 = 0
      for column in 0..<columns {
        let share = values[place &+ column]
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
    let half = Wide(truncatingIfNeeded: 1 << (NeighbourShares.shift - 1))
    for x in 0..<count {
      let value = Wide(truncatingIfNeeded: own[x])
      let sum =
        firstShares[x] &* (Wide(truncatingIfNeeded: first[x]) &- value)
        &+ secondShares[x] &* (Wide(truncatingIfNeeded: second[x]) &- value)
      to[x] = Sample(
        truncatingIfNeeded: value &+ ((sum &+ half) &>> Wide(truncatingIfNeeded: NeighbourShares.shift)))
    }
  }
}
