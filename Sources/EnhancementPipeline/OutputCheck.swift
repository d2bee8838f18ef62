// SPDX-License-Identifier: Apache-2.0
internal import VideoIO

/// Checks finished frames: a network that fails (a damaged model, an overflow) produces flat or saturated
/// pictures, which should not go unnoticed for hours.
struct OutputCheck {
  let path: String
  /// Scale factor from source to output.
  let scale: Int

  /// Range in 8-bit levels below which the source counts as flat.
  private static let leastRange = 24
  /// Largest accepted change of a frame's mean, in levels.
  private static let mostShift = 40.0
  /// Number of sampled places in each direction.
  private static let gridSide = 64
  /// Side of the blocks that are averaged: block means hardly change when a network removes noise.
  private static let blockSide = 16

  /// Number of frames equal to the previous one at the sampled places although the source's frames differ.
  private(set) var repeatedCount = 0
  private var last: (source: [UInt8], output: [UInt8])?

  init(path: String, scale: Int) {
    self.path = path
    self.scale = scale
  }

  private struct Levels {
    /// Single samples, to compare consecutive frames.
    var samples: [UInt8] = []
    /// Histogram of block means.
    var blocks = [Int](repeating: 0, count: 256)

    /// The range without the lowest and the highest 2 % of the blocks.
    var least: Int { mean(ofBlock: samples.count / 50) }
    var most: Int { mean(ofBlock: samples.count - 1 - samples.count / 50) }
    var range: Int { most - least }
    var mean: Double {
      Double(blocks.enumerated().reduce(0) { $0 + $1.offset * $1.element }) / Double(samples.count)
    }

    /// Returns the block mean at `place` in ascending order.
    private func mean(ofBlock place: Int) -> Int {
      var seen = 0
      return blocks.firstIndex {
        seen += $0
        return seen > place
      } ?? 0
    }
  }

  /// Compares a frame with its source frame, or with the two neighbours of an interpolated frame: in a flash
  /// or a fast fade its level may be anywhere between theirs.
  /// - Parameter sources: one or two frames of equal extents.
  /// - Throws: `PipelineError.implausibleOutput`.
  mutating func check(_ output: VideoFrame, sources: [VideoFrame], frame: Int) throws(PipelineError) {
    let source = sources[0]
    let all = sources.map { Self.levels($0, width: $0.width, height: $0.height, scale: 1) }
    let before = all[0]
    let after = Self.levels(output, width: source.width, height: source.height, scale: scale)
    let leastRange = all.map(\.range).min() ?? 0
    if leastRange >= Self.leastRange, after.range * 8 < leastRange {
      let look = after.most <= 16 ? "black" : "a single level"
      throw PipelineError.implausibleOutput(
        path: path, frame: frame, detail: "it is \(look) where the source is not")
    }
    let means = all.map(\.mean)
    let plausible = (means.min()! - Self.mostShift)...(means.max()! + Self.mostShift)
    if !plausible.contains(after.mean) {
      let expected = means.map { "\(Int($0))" }.joined(separator: " to ")
      throw PipelineError.implausibleOutput(
        path: path, frame: frame, detail: "its mean level is \(Int(after.mean)) instead of \(expected)")
    }
    if let last, last.output == after.samples, last.source != before.samples { repeatedCount += 1 }
    last = (before.samples, after.samples)
  }

  /// Samples luma, in 8-bit levels, at `scale` times a grid of places.
  private static func levels(_ frame: VideoFrame, width: Int, height: Int, scale: Int) -> Levels {
    frame.format.bytesPerSample == 1
      ? levels(frame, UInt8.self, width: width, height: height, scale: scale)
      : levels(frame, UInt16.self, width: width, height: height, scale: scale)
  }

  private static func levels<Sample: SampleInteger>(
    _ frame: VideoFrame, _: Sample.Type, width: Int, height: Int, scale: Int
  ) -> Levels {
    SourcePlane<Sample>.with(frame, 0) { plane in
      var levels = Levels()
      let (columns, rows) = (min(gridSide, width), min(gridSide, height))
      let shift = frame.format.bitDepth - 8
      levels.samples.reserveCapacity(columns * rows)
      let side = blockSide * scale
      withUnsafeTemporaryAllocation(of: UInt32.self, capacity: plane.width) { sums in
        for y in 0..<rows {
          let top = y * height / rows * scale
          // Use as many samples of the output as of the source.
          let counted = addUp(plane, rows: top..<min(top + side, plane.height), by: scale, into: sums)
          let first = plane.row(top)
          for x in 0..<columns {
            let left = x * width / columns * scale
            levels.samples.append(UInt8(clamping: Int(first[left]) >> shift))
            var (sum, count) = (0, 0)
            for column in stride(from: left, to: min(left + side, plane.width), by: scale) {
              sum &+= Int(truncatingIfNeeded: sums[column])
              count &+= counted
            }
            levels.blocks[min(255, (sum / max(count, 1)) >> shift)] += 1
          }
        }
      }
      return levels
    }
  }

  /// Adds every `step`th sample of some rows, by column; returns the number of rows added.
  private static func addUp<Sample: SampleInteger>(
    _ plane: SourcePlane<Sample>, rows: Range<Int>, by step: Int,
    into sums: UnsafeMutableBufferPointer<UInt32>
  ) -> Int {
    let sums = sums.baseAddress!
    for x in 0..<plane.width { sums[x] = 0 }
    var count = 0
    for row in stride(from: rows.lowerBound, to: rows.upperBound, by: step) {
      let samples = plane.row(row)
      for x in 0..<plane.width { sums[x] &+= UInt32(truncatingIfNeeded: samples[x]) }
      count += 1
    }
    return count
  }
}
