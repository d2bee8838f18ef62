// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
import Foundation
package import Tensors

/// A plane that can be sampled anywhere: waves, seeded.
package struct Texture {
  private let waves: [(fx: Double, fy: Double, phase: Double, size: Double)]

  /// Waves of up to a frequency (radians a sample).
  package init(seed: UInt64, waves count: Int = 16, greatestFrequency: Float = 0.9) {
    var random = SplitMix64(seed: seed)
    waves = (0..<count).map { _ in
      (
        fx: Double(random.uniform(-greatestFrequency...greatestFrequency)),
        fy: Double(random.uniform(-greatestFrequency...greatestFrequency)),
        phase: Double(random.uniform(0...6.28)), size: Double(random.uniform(3...9))
      )
    }
  }

  /// The sample at a place.
  package func sample(_ x: Double, _ y: Double) -> UInt8 {
    let sum = waves.reduce(0.0) { $0 + $1.size * sin($1.fx * x + $1.fy * y + $1.phase) }
    return UInt8(max(0, min(255, (128 + sum).rounded())))
  }
}

/// A picture of textures, its origin at (x, y) of the luma texture; U and V are textures of their own.
package func texturedFrame(width: Int, height: Int, seed: UInt64, x: Double = 0, y: Double = 0) -> PlanarFrame
{
  let frame = PlanarFrame(width: width, height: height)
  let textures = (0..<3).map { Texture(seed: seed &* 3 &+ UInt64($0)) }
  for row in 0..<height {
    for column in 0..<width {
      frame.luma[row * width + column] = textures[0].sample(Double(column) + x, Double(row) + y)
    }
  }
  for plane in 0..<2 {
    for row in 0..<height / 2 {
      for column in 0..<width / 2 {
        frame.chroma[plane][row * width / 2 + column] = textures[plane + 1].sample(
          Double(column) + x / 2, Double(row) + y / 2)
      }
    }
  }
  return frame
}

/// A picture of independent random samples, extremes included.
package func noiseFrame(width: Int, height: Int, _ random: inout SplitMix64) -> PlanarFrame {
  let frame = PlanarFrame(width: width, height: height)
  for i in 0..<width * height * 3 / 2 { frame.luma[i] = UInt8(truncatingIfNeeded: random.next()) }
  return frame
}

/// The values of a residual.
package func values(_ residual: Residual) -> [Int16] {
  Array(
    UnsafeBufferPointer(
      start: residual.values, count: residual.gridWidth * residual.gridHeight * residual.channels))
}
