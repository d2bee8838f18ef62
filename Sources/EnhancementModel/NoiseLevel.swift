// SPDX-License-Identifier: Apache-2.0

/// The standard deviation of noise in a frame, in 8-bit levels.
package enum NoiseLevel {
  /// The highest level distinguished.
  package static let most: Float = 63

  /// The code of a level as a network input: half a level per step, 128 = no noise.
  package static func code(_ level: Float) -> UInt8 {
    UInt8(128 + (max(0, min(most, level)) * 2).rounded())
  }

  /// The level of a code.
  package static func level(ofCode code: UInt8) -> Float { min(most, Float(Int(code) - 128) / 2) }

  /// Estimates the level from the luma of `frame`.
  ///
  /// The second difference in both directions, which is near zero in smooth pictures, is averaged over blocks of 8 x 8
  /// pixels (J. Immerkær, Fast Noise Variance Estimation, 1996). Of all blocks that are not close to black or white, where
  /// noise is clipped, the calmest fifth determines the level: texture makes a block look noisier, never calmer.
  package static func estimate(_ frame: PlanarFrame) -> Float {
    min(most, estimate(frame.luma, width: frame.width, height: frame.height, log2Sums: 0))
  }

  /// Estimates the level from frames that follow each other, of one size, as denoising does where the level is not given.
  /// - Precondition: there is at least one.
  package static func estimate(window frames: [PlanarFrame]) -> Float {
    let surveys = frames.map { NoiseSurvey($0) }
    let changes = zip(surveys, surveys.dropFirst()).map { $1.difference(from: $0) }
    return NoiseSurvey.level(of: surveys, changes: changes)
  }

  /// Like `estimate`, for a plane whose samples are sums of 2^`log2Sums` 8-bit samples each, in units of the sums.
  static func estimate<Sample: FixedWidthInteger>(
    _ luma: UnsafePointer<Sample>, width: Int, height: Int, log2Sums: Int
  ) -> Float {
    var sums: [Int32] = []
    var calm: [Int32] = []
    guard width >= side + 2, height >= side + 2 else { return 0 }
    for top in stride(from: 1, through: height - side - 1, by: side) {
      for left in stride(from: 1, through: width - side - 1, by: side) {
        let (roughness, brightness) = block(luma + top * width + left, width)
        sums.append(roughness)
        if (24...232).contains(brightness / Int32(side * side) >> Int32(log2Sums)) { calm.append(roughness) }
      }
    }
    if calm.count * 10 >= sums.count { sums = calm }
    sums.sort()
    let typical = Float(sums[sums.count / 5]) / Float(side * side)
    // The mean of |second difference| of Gaussian noise is 6 sqrt(2 / pi) times its level; the calmest fifth of blocks is
    // below the mean (both measured on flat pictures: NoiseLevelTests).
    return typical / (6 * 0.797_885 * 0.859)
  }

  private static let side = 8

  /// Sums of |second difference| and of samples over a block.
  private static func block<Sample: FixedWidthInteger>(
    _ luma: UnsafePointer<Sample>, _ width: Int
  ) -> (Int32, Int32) {
    var (roughness, brightness) = (Int32(0), Int32(0))
    func number(_ sample: Sample) -> Int32 { Int32(truncatingIfNeeded: sample) }
    for y in 0..<side {
      let row = luma + y * width
      let (above, below) = (row - width, row + width)
      for x in 0..<side {
        let corners =
          number(above[x - 1]) &+ number(above[x + 1]) &+ number(below[x - 1]) &+ number(below[x + 1])
        let edges = number(above[x]) &+ number(below[x]) &+ number(row[x - 1]) &+ number(row[x + 1])
        roughness &+= abs(corners &- 2 &* edges &+ 4 &* number(row[x]))
        brightness &+= number(row[x])
      }
    }
    return (roughness, brightness)
  }
}
