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

/// How weights follow their gradients.
package enum OptimizerKind: String, Codable, CaseIterable, Sendable {
  /// Adam (Kingma and Ba, 2015).
  case adam
  /// Orthogonalized momentum (Muon; Jordan et al., 2024) for the weights of hidden layers, Adam for all else.
  case muon
}

/// Adam or Muon with gradient norm clipping, and an exponential average of the parameters, which is used for evaluation and
/// shipping.
package struct Optimizer: Sendable {
  /// Which layers' weights get orthogonalized steps.
  package let kind: OptimizerKind
  /// Decay of the first and second moments of Adam.
  package var beta1: Float = 0.9
  /// See `beta1`.
  package var beta2: Float = 0.99
  /// Prevents division by zero.
  package var epsilon: Float = 1e-8
  /// Decay of the momentum of Muon.
  package var momentum: Float = 0.95
  /// Root mean square of a step of Muon at rate 1: Adam's steps have about 0.2 (Liu et al., 2025), but these small networks
  /// learn faster with more (docs/lab/training-log.md).
  package var muonStep: Float = 0.8
  /// Maximum norm of the whole gradient.
  package var clipNorm: Float = 0.5
  /// Decay of the average of the parameters.
  package var averageDecay: Float = 0.999

  /// Steps done.
  package var step = 0
  /// Moments and the average.
  package let first, second, average: ParameterSet
  private let orthogonalizer = Orthogonalizer()

  /// Creates an optimizer; the average starts at `parameters`.
  package init(like parameters: ParameterSet, kind: OptimizerKind = .adam, zero: () -> ParameterSet) {
    self.kind = kind
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
    // Follow closely at first, or the average would include the random start for thousands of steps.
    let decay = min(averageDecay, Float(1 + step) / Float(10 + step))
    for index in parameters.layers.indices {
      let layer = parameters.layers[index]
      let gradient = UnsafeBufferPointer(gradients.layers[index].all)
      // The first and last layers are no maps between hidden features.
      let isHidden = index > 0 && index < parameters.layers.count - 1
      let orthogonal = kind == .muon && isHidden ? layer.weightCount : 0
      if orthogonal > 0 { followOrthogonally(layer, index, gradient, scale: scale, rate: rate) }
      followByAdam(layer, index, gradient, from: orthogonal, scale: scale, rate: rate)
      let mean = average.layers[index].all
      for i in mean.indices { mean[i] = decay * mean[i] + (1 - decay) * layer.all[i] }
    }
    return norm
  }

  /// Updates the numbers of a layer from number `start` on.
  private func followByAdam(
    _ layer: LayerNumbers, _ index: Int, _ gradient: UnsafeBufferPointer<Float>, from start: Int,
    scale: Float,
    rate: Float
  ) {
    let correction1 = 1 - pow(beta1, Float(step))
    let correction2 = 1 - pow(beta2, Float(step))
    let value = layer.all.baseAddress!
    let m = first.layers[index].all.baseAddress!
    let v = second.layers[index].all.baseAddress!
    for i in start..<layer.all.count {
      let g = gradient[i] * scale
      m[i] = beta1 * m[i] + (1 - beta1) * g
      v[i] = beta2 * v[i] + (1 - beta2) * g * g
      value[i] -= rate * (m[i] / correction1) / ((v[i] / correction2).squareRoot() + epsilon)
    }
  }

  /// Updates the weights of a layer. The second moments, which Muon does not need, hold the step.
  private func followOrthogonally(
    _ layer: LayerNumbers, _ index: Int, _ gradient: UnsafeBufferPointer<Float>, scale: Float, rate: Float
  ) {
    let (rows, columns) = (layer.biasCount, layer.weightCount / layer.biasCount)
    let m = first.layers[index].weights
    let advance = UnsafeMutableBufferPointer(rebasing: second.layers[index].all[..<layer.weightCount])
    for i in 0..<layer.weightCount {
      let g = gradient[i] * scale
      m[i] = momentum * m[i] + (1 - momentum) * g
      // Nesterov's momentum.
      advance[i] = momentum * m[i] + (1 - momentum) * g
    }
    orthogonalizer.apply(advance, rows: rows, columns: columns)
    // An orthogonal matrix has a root mean square of 1 / sqrt(longer side).
    let size = rate * muonStep * Float(max(rows, columns)).squareRoot()
    for i in 0..<layer.weightCount { layer.weights[i] -= size * advance[i] }
  }
}
