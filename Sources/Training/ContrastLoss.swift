// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
package import Tensors

/// Loss for local contrast that is lower or higher than that of the ground truth.
///
/// The mean of all pictures that an input may come from has the least squared error, but less contrast than any of them.
/// This loss compares the standard deviations of luma in overlapping squares of 2x2 grid points (8x8 samples at twice the
/// size), as SSIM does (Wang et al., 2004). Unlike sharpening afterwards, it strengthens detail only where some was lost.
package struct ContrastLoss: Sendable {
  /// Channels 0 ..< lumaChannels are compared.
  package let lumaChannels: Int

  /// A fifth of a level of 8 bits, which no network could reproduce.
  private static let floor: Float = 0.2 / 255

  /// Creates a loss for outputs whose first channels are luma.
  package init(lumaChannels: Int) { self.lumaChannels = lumaChannels }

  /// Half the squared difference of the standard deviations of both pictures, summed over all squares of one image of a
  /// batch and scaled by `factor`; its gradient by `output` is added to `gradient`. A picture is `base` plus residuals.
  /// - Parameter base: luma of the enlarged source, packed like the first channels of the output, in 1/64 levels.
  package func add(
    _ output: FloatTensor, target: FloatTensor, base: [Int16], image: Int, factor: Float,
    to gradient: FloatTensor
  ) -> Float {
    let shape = Shape(height: output.height, width: output.width, samples: lumaChannels)
    let first = image * shape.height * shape.width
    func picture(_ tensor: FloatTensor) -> [Float] {
      (0..<shape.count).map { index in
        let (point, channel) = (first + index / shape.samples, index % shape.samples)
        return Float(base[index]) / ResidualScale.unitsPerRange
          + tensor.pointer[point * tensor.channels + channel]
      }
    }
    let made = picture(output)
    let (have, want) = (moments(made, shape), moments(picture(target), shape))
    var loss: Float = 0
    var slopes = [Float](repeating: 0, count: shape.count)
    shape.forSquares { square, samples in
      let difference = have[square].deviation - want[square].deviation
      loss += difference * difference
      let slope = difference / have[square].deviation / shape.squareCount
      samples { slopes[$0] += slope * (made[$0] - have[square].mean) }
    }
    // One square for each grid point counts as much as the squared errors of the point's samples.
    let scale = factor * Float(shape.samples)
    for (index, slope) in slopes.enumerated() {
      let (point, channel) = (first + index / shape.samples, index % shape.samples)
      gradient.pointer[point * gradient.channels + channel] += scale * slope
    }
    return loss * scale / 2
  }

  /// Mean and standard deviation of the square whose top left point is each grid point.
  private func moments(_ picture: [Float], _ shape: Shape) -> [(mean: Float, deviation: Float)] {
    var result = [(mean: Float, deviation: Float)](repeating: (0, 0), count: shape.height * shape.width)
    shape.forSquares { square, samples in
      // Relative to one of the samples, for the sake of precision.
      let origin = picture[square * shape.samples]
      var (sum, squares): (Float, Float) = (0, 0)
      samples {
        let value = picture[$0] - origin
        sum += value
        squares += value * value
      }
      let mean = sum / shape.squareCount
      let variance = max(0, squares / shape.squareCount - mean * mean)
      result[square] = (mean + origin, (variance + Self.floor * Self.floor).squareRoot())
    }
    return result
  }
}

/// A packed picture and its squares of 2x2 grid points.
private struct Shape {
  /// Extents of the grid, and samples per point.
  let height, width, samples: Int
  /// Samples of the picture.
  var count: Int { height * width * samples }
  /// Samples of a square.
  var squareCount: Float { Float(4 * samples) }

  /// Calls `body` with the top left point of each square and a loop over the indices of its samples.
  @inline(__always)
  func forSquares(_ body: (_ square: Int, _ samples: ((Int) -> Void) -> Void) -> Void) {
    for y in 0..<height - 1 {
      for x in 0..<width - 1 {
        let square = y * width + x
        body(square) { visit in
          // The two points of a row are adjacent.
          for row in [square * samples, (square + width) * samples] {
            for index in row..<row + 2 * samples { visit(index) }
          }
        }
      }
    }
  }
}
