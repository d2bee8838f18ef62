// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Learning rate over the course of a run: linear warm-up, then half a cosine down to a hundredth.
package struct CosineSchedule: Sendable, Codable, Hashable {
  /// The peak rate.
  package var peak: Float
  /// Steps of warm-up.
  package var warmUpSteps: Int

  /// Creates a schedule.
  package init(peak: Float, warmUpSteps: Int = 200) {
    self.peak = peak
    self.warmUpSteps = warmUpSteps
  }

  /// The rate at step `step` and `progress` (0...1) of the run.
  package func rate(step: Int, progress: Double) -> Float {
    let cosine = 0.5 + 0.5 * Float(cos(Double.pi * min(1, progress)))
    return peak * (0.01 + 0.99 * cosine) * min(1, Float(step + 1) / Float(max(1, warmUpSteps)))
  }
}

/// Adam (Kingma and Ba, 2015) with gradient norm clipping, and an exponential average of the parameters, which is used for
/// evaluation and shipping.
package struct AdamOptimizer: Sendable {
  /// Decay of the first and second moments.
  package var beta1: Float = 0.9
  /// See `beta1`.
  package var beta2: Float = 0.99
  /// Prevents division by zero.
  package var epsilon: Float = 1e-8
  /// Maximum norm of the whole gradient.
  package var clipNorm: Float = 0.5
  /// Decay of the average of the parameters.
  package var averageDecay: Float = 0.999

  /// Steps done.
  package var step = 0
  /// Moments and the average.
  package let first, second, average: ParameterSet

  /// Creates an optimiser; the average starts at `parameters`.
  package init(like parameters: ParameterSet, zero: () -> ParameterSet) {
    first = zero()
    second = zero()
    average = zero()
    for (source, target) in zip(parameters.layers, average.layers) {
      _ = target.all.update(fromContentsOf: source.all)
    }
  }

  /// Updates `parameters` from `gradients`, which are scaled if they exceed the clip norm.
  /// - Returns: the norm of the gradient before clipping.
  @discardableResult
  package mutating func update(_ parameters: ParameterSet, gradients: ParameterSet, rate: Float) -> Float {
    let norm = gradients.squaredNorm.squareRoot()
    guard norm.isFinite else { return norm }
    let scale = norm > clipNorm ? clipNorm / norm : 1
    step += 1
    let correction1 = 1 - pow(beta1, Float(step))
    let correction2 = 1 - pow(beta2, Float(step))
    // Follow closely at first, or the average would include the random start for thousands of steps.
    let decay = min(averageDecay, Float(1 + step) / Float(10 + step))
    for index in parameters.layers.indices {
      let value = parameters.layers[index].all.baseAddress!
      let gradient = gradients.layers[index].all.baseAddress!
      let m = first.layers[index].all.baseAddress!
      let v = second.layers[index].all.baseAddress!
      let mean = average.layers[index].all.baseAddress!
      for i in 0..<parameters.layers[index].all.count {
        let g = gradient[i] * scale
        m[i] = beta1 * m[i] + (1 - beta1) * g
        v[i] = beta2 * v[i] + (1 - beta2) * g * g
        value[i] -= rate * (m[i] / correction1) / ((v[i] / correction2).squareRoot() + epsilon)
        mean[i] = decay * mean[i] + (1 - decay) * value[i]
      }
    }
    return norm
  }
}
