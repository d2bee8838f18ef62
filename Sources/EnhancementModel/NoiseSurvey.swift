// SPDX-License-Identifier: Apache-2.0

/// Luma of a frame at full, half and quarter size, to detect noise that a single frame or scale does not reveal.
///
/// Grain that is correlated between samples has little energy at the highest frequencies, and texture has as much as noise.
/// Averages over 2 x 2 and 4 x 4 samples reveal correlated grain; differences between frames distinguish texture from noise.
final class NoiseSurvey: Sendable {
  /// Standard deviation of noise estimated from this frame alone at each scale, in 8-bit levels of white noise.
  private let spatial: [Float]
  /// The mean quantizer on the scale of H.264; nil if unknown, or if the source is not compressed with losses.
  private let quantizer: Float?
  /// Sums over 1, 4 and 16 samples.
  private let scales: [Scale]

  private struct Scale: Sendable {
    let width, height: Int
    let sums: [UInt16]
  }

  private static let side = 8
  private static let scaleCount = 3

  /// Surveys one frame.
  init(_ frame: PlanarFrame) {
    var scales = [
      Scale(
        width: frame.width, height: frame.height,
        sums: UnsafeBufferPointer(start: frame.luma, count: frame.width * frame.height).map(UInt16.init))
    ]
    while scales.count < Self.scaleCount { scales.append(Self.halved(scales[scales.count - 1])) }
    self.scales = scales
    quantizer = frame.quantizers?.mean
    spatial = scales.enumerated().map { index, scale in
      scale.sums.withUnsafeBufferPointer {
        NoiseLevel.estimate($0.baseAddress!, width: scale.width, height: scale.height, log2Sums: 2 * index)
          / Float(1 << index)
      }
    }
  }

  /// The estimate from this frame alone.
  var level: Float { min(NoiseLevel.most, spatial[0]) }

  /// Whether motion search should use smoothed frames: if any scale looks noisy, even from texture.
  var isRough: Bool { spatial[0] > 2 || spatial[2] > 6 }

  /// Estimates the noise level from the frames of a window and their changes.
  ///
  /// Noise appears both in frames and in the differences between them, texture only in frames, and motion only in
  /// differences, so the smaller estimate counts at each scale. White noise is equal at all scales. If a coarser scale has
  /// clearly more, the noise is correlated, and its density at low frequencies counts.
  ///
  /// Coarse quantizers remove noise at all scales, most of it at the finest: see `dampeningByCodec`. Medians keep the
  /// estimate from following the types of frames, of which B-frames lose the most.
  /// - Parameter changes: `difference(from:)` of pairs of neighbours.
  static func level(of window: [NoiseSurvey], changes: [[Float]]) -> Float {
    let quantizers = window.compactMap(\.quantizer)
    // FFmpeg exports none for the last frames of MPEG-2.
    let isCoded = 2 * quantizers.count > window.count
    let spatial = (0..<scaleCount).map { scale in median(window.map { $0.spatial[scale] }) }
    // Ignore repeated frames.
    let changes = changes.filter { $0.contains { $0 > 0 } }
    guard !changes.isEmpty else { return min(NoiseLevel.most, spatial[0]) }
    let temporal = (0..<scaleCount).map { scale in median(changes.map { $0[scale] }) }
    let levels = zip(spatial, temporal).map { min($0, $1) }
    // Compression freezes noise in skipped blocks, so keep a share of the estimate from the frames.
    let white = max(levels[0], leastShare * spatial[0])
    let (middle, coarse) = (levels[1], levels[2])
    // Blurred noise is dampened even at the coarsest scale, the more so the less noise the middle scale has.
    let rise = coarse > 0 ? 1 - min(1, middle / coarse) : 0
    let byCodec = isCoded ? dampeningByCodec(median(quantizers), spatial[2], temporal[2]) : 0
    let correlated = coarse * (1 + dampening * rise) - mostOfCleanFilm
    let hidden = min(mostByCodec, correlated + coarse * byCodec * rise)
    return min(NoiseLevel.most, max(white, correlated, hidden))
  }

  /// How much more a codec dampens noise: see `dampening`.
  ///
  /// Coarse quantizers remove most of the noise at fine scales and much of it at the coarsest. What they leave of texture in
  /// motion looks alike, so this counts only where frames and changes agree: texture is much stronger in the former.
  private static func dampeningByCodec(_ quantizer: Float, _ spatial: Float, _ temporal: Float) -> Float {
    func part(_ value: Float, _ range: ClosedRange<Float>) -> Float {
      max(0, min(1, (value - range.lowerBound) / (range.upperBound - range.lowerBound)))
    }
    let agreement = min(spatial, temporal) / max(spatial, temporal, .leastNonzeroMagnitude)
    return mostDampeningByCodec * part(quantizer, dampeningQuantizers) * part(agreement, 0.7...0.9)
  }

  private static func median(_ values: [Float]) -> Float { values.sorted()[values.count / 2] }

  /// Minimum share of the level in the frames, whatever the changes between them.
  private static let leastShare: Float = 0.4
  /// See `level(of:changes:)`. Gaussian blur of 0.5 to 1.2 samples: docs/lab/networks.md.
  private static let dampening: Float = 1
  /// See `dampeningByCodec`: reached at the upper quantizer. x264 at CRF 18 to 28: docs/lab/networks.md.
  private static let mostDampeningByCodec: Float = 2.2
  private static let dampeningQuantizers: ClosedRange<Float> = 27...33
  /// The highest level that quantizers raise an estimate to. Scrolling screens can look like noise.
  private static let mostByCodec: Float = 12
  /// The highest level that coarse scales read on films without noise.
  private static let mostOfCleanFilm: Float = 2.5

  /// By scale, the noise level implied by the differences of the calmest fifth of blocks from another frame.
  func difference(from other: NoiseSurvey) -> [Float] {
    scales.indices.map { index in
      let (a, b) = (scales[index], other.scales[index])
      guard a.width == b.width, a.height == b.height else { return 0 }
      let deviations = a.sums.withUnsafeBufferPointer { first in
        b.sums.withUnsafeBufferPointer { second in
          Self.deviations(first, second, a.width, a.height, log2Sums: 2 * index)
        }
      }
      guard !deviations.isEmpty else { return 0 }
      // The calmest fifth of 8 x 8 blocks is 7 % below the deviation (measured on flat pictures: NoiseLevelTests).
      return deviations.sorted()[deviations.count / 5] / (Float(2).squareRoot() * 0.93 * Float(1 << index))
    }
  }

  /// The standard deviation of the difference in each block that is not close to black or white.
  private static func deviations(
    _ a: UnsafeBufferPointer<UInt16>, _ b: UnsafeBufferPointer<UInt16>, _ width: Int, _ height: Int,
    log2Sums: Int
  ) -> [Float] {
    var (all, calm): ([Float], [Float]) = ([], [])
    let count = Int64(side * side)
    for top in stride(from: 0, through: height - side, by: side) {
      for left in stride(from: 0, through: width - side, by: side) {
        var (sum, squares, brightness) = (Int64(0), Int64(0), Int64(0))
        for y in top..<top + side {
          for at in y * width + left..<y * width + left + side {
            let difference = Int64(a[at]) &- Int64(b[at])
            sum &+= difference
            squares &+= difference &* difference
            brightness &+= Int64(a[at])
          }
        }
        let deviation = (Float(squares &* count &- sum &* sum)).squareRoot() / Float(count)
        all.append(deviation)
        if (24...232).contains((brightness / count) >> Int64(log2Sums)) { calm.append(deviation) }
      }
    }
    return calm.count * 10 >= all.count ? calm : all
  }

  private static func halved(_ scale: Scale) -> Scale {
    let (width, height) = (scale.width / 2, scale.height / 2)
    let sums = [UInt16](unsafeUninitializedCapacity: width * height) { buffer, count in
      count = width * height
      for y in 0..<height {
        for x in 0..<width {
          let at = 2 * y * scale.width + 2 * x
          let below = at + scale.width
          buffer[y * width + x] =
            scale.sums[at] &+ scale.sums[at + 1] &+ scale.sums[below] &+ scale.sums[below + 1]
        }
      }
    }
    return Scale(width: width, height: height, sums: sums)
  }
}
