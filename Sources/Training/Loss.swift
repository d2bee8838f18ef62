// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Tensors

/// Charbonnier loss sqrt(d² + epsilon²), a smooth absolute error, averaged over the luma channels plus a quarter of the
/// average over the chroma channels. Units: 1 = full range of a sample.
package struct CharbonnierLoss: Sendable {
  /// Width of the smooth minimum.
  package var epsilon: Float = 1e-3
  /// Width of a window's smooth minimum relative to the window's own error before enhancement, the root mean square of its
  /// target; the larger of the two widths applies.
  package var relativeEpsilon: Float = 0
  /// Whether each window's loss is divided by the window's own error before enhancement. PSNR is the logarithm of the
  /// error, so a mean of PSNRs counts relative errors; without this, the few badly degraded windows dominate.
  package var isRelative = false
  /// Weight of chroma relative to luma.
  package var chromaWeight: Float = 0.25
  /// Channels 0 ..< lumaChannels are luma.
  package var lumaChannels: Int
  /// Whether the second half of the channels is a mask in outputs, and the difference it multiplies in targets (`BlendMask`).
  package var hasMask = false

  /// The training loss for an architecture. Interpolation has few but large errors, which count squared up to some levels:
  /// with absolute errors, the many correct places would dominate, and the network would learn to output nothing
  /// (docs/lab/training-log.md).
  package init(_ architecture: Architecture) {
    lumaChannels = architecture.lumaChannels
    hasMask = architecture.isMasked
    if architecture.task == .interpolation { epsilon = 0.04 }
    if architecture.task == .denoising { epsilon = 0.02 }
    // Detail lost to compression can only be guessed, and the mean of the guesses is wanted rather than their median, so
    // nearly all errors count squared. A constant width would achieve that too, but give almost no weight to clean windows,
    // whose errors are small.
    if architecture.takesQuantizers { relativeEpsilon = Self.conditionedWidth }
  }

  /// `relativeEpsilon` of conditioned networks (docs/lab/training-log.md). Recipes that name none and are older than the
  /// fourteenth day of the log mean 0.5.
  package static let conditionedWidth: Float = 4
  /// Added to a window's error before it divides the loss: windows that need nothing would have infinite weight.
  private static let leastError: Float = 0.005
  /// The error of windows whose weight is 1, near the mean of degraded clips.
  private static let usualError: Float = 0.02

  /// Creates a loss for outputs whose first `lumaChannels` channels are luma.
  package init(lumaChannels: Int) { self.lumaChannels = lumaChannels }

  /// Loss of `output` relative to `target`, and its gradient by `output`, both scaled by `share` (a shard's part of the
  /// batch).
  package func callAsFunction(
    _ output: FloatTensor, target: FloatTensor, share: Float
  ) -> (loss: Float, gradient: FloatTensor) {
    precondition(output.hasShape(of: target), "output and target differ in shape")
    let gradient = FloatTensor(like: output)
    let channels = hasMask ? output.channels / 2 : output.channels
    let lumaShare = share / Float(output.pixels * lumaChannels)
    let chromaShare = share * chromaWeight / Float(max(1, output.pixels * (channels - lumaChannels)))
    let windowPixels = output.height * output.width
    var (epsilon, weight) = (epsilon, Float(1))
    var total: Double = 0
    for pixel in 0..<output.pixels {
      if pixel % windowPixels == 0 { (epsilon, weight) = scale(of: target, image: pixel / windowPixels) }
      let at = pixel * output.channels
      var luma: Float = 0
      var chroma: Float = 0
      for c in 0..<channels {
        var difference = output.pointer[at + c] - target.pointer[at + c]
        var moved: Float = 0
        if hasMask {
          moved = target.pointer[at + channels + c] * BlendMask.floatFactor
          difference += output.pointer[at + channels + c] * moved
        }
        let length = (difference * difference + epsilon * epsilon).squareRoot()
        let isLuma = c < lumaChannels
        gradient.pointer[at + c] = difference / length * (isLuma ? lumaShare : chromaShare) * weight
        if hasMask { gradient.pointer[at + channels + c] = gradient.pointer[at + c] * moved }
        if isLuma { luma += length } else { chroma += length }
      }
      total += Double((luma * lumaShare + chroma * chromaShare) * weight)
    }
    return (Float(total), gradient)
  }

  /// The width of the smooth minimum and the weight of one image of a batch.
  package func scale(of target: FloatTensor, image: Int) -> (epsilon: Float, weight: Float) {
    guard relativeEpsilon > 0 || isRelative else { return (epsilon, 1) }
    let pixels = target.height * target.width
    let error = Self.deviation(target, firstPixel: image * pixels, count: pixels, channels: lumaChannels)
    let weight = isRelative ? (Self.usualError + Self.leastError) / (error + Self.leastError) : 1
    return (max(epsilon, relativeEpsilon * error), weight)
  }

  /// Root mean square of the luma of the target's window that starts at a pixel.
  private static func deviation(
    _ target: FloatTensor, firstPixel: Int, count: Int, channels: Int
  ) -> Float {
    var sum: Float = 0
    for pixel in firstPixel..<firstPixel + count {
      for c in 0..<channels {
        let value = target.pointer[pixel * target.channels + c]
        sum += value * value
      }
    }
    return (sum / Float(count * channels)).squareRoot()
  }
}
