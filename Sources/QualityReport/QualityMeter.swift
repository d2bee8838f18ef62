package import EnhancementPipeline
// SPDX-License-Identifier: Apache-2.0
internal import Foundation
package import VideoIO

/// Compares frames with reference frames, in luma.
///
/// - PSNR and SSIM are those of FFmpeg's filters `psnr` and `ssim` (SSIM of 8x8 windows, four samples apart; Wang et al., 2004).
/// - Flicker is the mean of |(o(t) - o(t-1)) - (r(t) - r(t-1))| over the samples, in 8-bit levels: it measures changes between
///   frames that the reference does not have, and vice versa.
package struct QualityMeter {
  /// The measurements of one frame.
  package struct Sample: Sendable, Equatable {
    /// Mean squared difference relative to the squared range; 0 for equal frames.
    package var error: Double
    /// Structural similarity, at most 1; nil for pictures below 8x8.
    package var ssim: Double?
    /// In 8-bit levels; nil for the first frame.
    package var flicker: Double?

    /// Decibels; infinite for equal frames.
    package var psnr: Double { Self.decibels(error) }

    package static func decibels(_ error: Double) -> Double { error == 0 ? .infinity : -10 * log10(error) }
  }

  /// The measurements of all frames so far.
  package private(set) var samples: [Sample] = []
  private var last: (output: [Int32], reference: [Int32])?

  /// Creates a meter without samples.
  package init() {}

  /// PSNR of the mean error of all frames, like FFmpeg's filter; nil before the first.
  package var psnr: Double? { mean(\.error).map(Sample.decibels) }
  /// Mean over the frames.
  package var ssim: Double? { mean(\.ssim) }
  /// Mean over all frames except the first.
  package var flicker: Double? { mean(\.flicker) }

  private func mean(_ value: (Sample) -> Double?) -> Double? {
    let values = samples.compactMap(value)
    return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }

  /// Adds the next frame and its reference; depths may differ, but extents must be equal.
  /// - Throws: `PipelineError.extentsDiffer`.
  @discardableResult
  package mutating func measure(_ output: VideoFrame, reference: VideoFrame) throws(PipelineError) -> Sample {
    guard output.width == reference.width, output.height == reference.height else {
      throw .extentsDiffer(
        found: "\(output.width)x\(output.height)", expected: "\(reference.width)x\(reference.height)")
    }
    let depth = max(output.format.bitDepth, reference.format.bitDepth)
    let (a, b) = (Self.luma(output, depth: depth), Self.luma(reference, depth: depth))
    let most = Double((1 << depth) - 1)
    var sum: Int64 = 0
    for i in a.indices {
      let difference = Int64(a[i] &- b[i])
      sum &+= difference &* difference
    }
    var sample = Sample(error: Double(sum) / Double(a.count) / (most * most))
    sample.ssim = Self.structuralSimilarity(a, b, width: output.width, height: output.height, most: most)
    if let last, last.output.count == a.count {
      var change: Int64 = 0
      for i in a.indices {
        change &+= Int64(abs((a[i] &- last.output[i]) &- (b[i] &- last.reference[i])))
      }
      sample.flicker = Double(change) / Double(a.count) / Double(1 << (depth - 8))
    }
    last = (a, b)
    samples.append(sample)
    return sample
  }

  /// Luma in levels of `depth` bits, row by row.
  /// - Precondition: `depth` is at least the frame's.
  package static func luma(_ frame: VideoFrame, depth: Int) -> [Int32] {
    func gather<Sample: SampleInteger>(_: Sample.Type) -> [Int32] {
      let shift = Int32(depth - frame.format.bitDepth)
      return [Int32](unsafeUninitializedCapacity: frame.width * frame.height) { buffer, count in
        SourcePlane<Sample>.with(frame, 0) { plane in
          for y in 0..<plane.height {
            let row = plane.row(y)
            let to = buffer.baseAddress! + y * plane.width
            for x in 0..<plane.width { to[x] = Int32(truncatingIfNeeded: row[x]) &<< shift }
          }
        }
        count = frame.width * frame.height
      }
    }
    return frame.format.bytesPerSample == 1 ? gather(UInt8.self) : gather(UInt16.self)
  }

  /// Sums over a 4x4 block of both pictures.
  private struct Sums {
    package var a: Int64 = 0
    package var b: Int64 = 0
    package var squares: Int64 = 0
    package var product: Int64 = 0
  }

  private static func structuralSimilarity(
    _ a: [Int32], _ b: [Int32], width: Int, height: Int, most: Double
  ) -> Double? {
    let (columns, rows) = (width / 4, height / 4)
    guard columns > 1, rows > 1 else { return nil }
    var above = [Sums](repeating: Sums(), count: columns)
    var sum = 0.0
    for row in 0..<rows {
      var blocks = [Sums](repeating: Sums(), count: columns)
      for y in (4 * row)..<(4 * row + 4) {
        for column in 0..<columns {
          var block = blocks[column]
          for x in (4 * column)..<(4 * column + 4) {
            let (p, q) = (Int64(a[y * width + x]), Int64(b[y * width + x]))
            block.a &+= p
            block.b &+= q
            block.squares &+= p &* p &+ q &* q
            block.product &+= p &* q
          }
          blocks[column] = block
        }
      }
      if row > 0 {
        for column in 1..<columns {
          sum += similarity([above[column - 1], above[column], blocks[column - 1], blocks[column]], most)
        }
      }
      above = blocks
    }
    return sum / Double((columns - 1) * (rows - 1))
  }

  /// SSIM of the 64 samples in four blocks.
  private static func similarity(_ blocks: [Sums], _ most: Double) -> Double {
    let a = Double(blocks.reduce(0) { $0 + $1.a })
    let b = Double(blocks.reduce(0) { $0 + $1.b })
    let squares = Double(blocks.reduce(0) { $0 + $1.squares })
    let product = Double(blocks.reduce(0) { $0 + $1.product })
    // Constants rounded like FFmpeg's.
    let c1 = (0.01 * 0.01 * most * most * 64 + 0.5).rounded(.down)
    let c2 = (0.03 * 0.03 * most * most * 64 * 63 + 0.5).rounded(.down)
    let variances = squares * 64 - a * a - b * b
    let covariance = product * 64 - a * b
    return (2 * a * b + c1) * (2 * covariance + c2) / ((a * a + b * b + c1) * (variances + c2))
  }
}
