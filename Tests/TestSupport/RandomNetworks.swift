// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
import Tensors

extension Architecture {
  /// A small network for tests.
  package static func small(
    window: Int = 3, alignment: WindowAlignment = .block, encoderChannels: Int = 8, channels: Int = 16,
    blocks: Int = 1, scale: Int = 2
  ) -> Architecture {
    Architecture(
      task: .superResolution, scale: scale, window: window, alignment: alignment,
      encoderChannels: encoderChannels,
      channels: channels, blocks: blocks)
  }
}

extension NetworkWeights {
  /// Random weights, as wide as a trained network's.
  package static func random(_ architecture: Architecture, seed: UInt64, recipe: String = "") -> NetworkWeights
  {
    var random = SplitMix64(seed: seed)
    let layers = architecture.graph.layers
    return NetworkWeights(
      architecture: architecture,
      weights: layers.map { layer in
        let bound = 1.7 / Float(layer.totalInputChannels * 9).squareRoot()
        return (0..<layer.weightCount).map { _ in random.uniform(-bound...bound) }
      },
      biases: layers.map { layer in (0..<layer.outputChannels).map { _ in random.uniform(-0.1...0.1) } },
      recipe: recipe)
  }
}

/// Standard deviation of the values that random models are made for.
private let activationDeviation: Float = 0.5

extension QuantizedModel {
  /// A random model whose codes spread over their whole range, at every stage of the network.
  /// - Parameter zeroPoints: whether quantizers get zero points other than 0.
  package static func random(
    _ architecture: Architecture, bits: Int, grid: WeightGrid = .midTread, zeroPoints: Bool, seed: UInt64
  ) -> QuantizedModel {
    var random = SplitMix64(seed: seed)
    let graph = architecture.graph
    var quantizers: [[ActivationQuantizer]] = []
    for operation in graph.operations {
      guard case .convolution(let layer, let inputs, _) = operation else {
        quantizers.append([])
        continue
      }
      let width = graph.layers[layer].isEdge ? 8 : bits
      quantizers.append(
        inputs.map { input in
          if case .frame = graph.operations[input] { return .frame }
          let levels = Int32(1 << width) - 1
          let step = activationDeviation * 3 * random.uniform(0.5...1.5) / Float(levels)
          return ActivationQuantizer(
            step: step, zeroPoint: zeroPoints ? Int32(random.index(Int(levels) + 1)) : 0, levels: levels)
        })
    }
    let layers = graph.layers.map { layer -> QuantizedLayer in
      let width = layer.isEdge ? 8 : bits
      let half = 1 << (width - 1)
      let grid = layer.isEdge ? .midTread : grid
      let fanIn = Float(layer.totalInputChannels * 9)
      return QuantizedLayer(
        // The lowest code has no counterpart: few of it, or sums of few bits would all be negative.
        bits: width, grid: grid,
        codes: (0..<layer.weightCount).map { _ in
          if grid != .midTread { return grid.values(bits: width).randomElement(using: &random)! }
          return Int8(random.chance(0.02) ? -half : random.index(2 * half - 1) - half + 1)
        },
        steps: (0..<layer.outputChannels).map { _ in
          2 / fanIn.squareRoot() / Float(half) * random.uniform(0.5...1.5)
        },
        biases: (0..<layer.outputChannels).map { _ in random.uniform(-0.5...0.5) })
    }
    return QuantizedModel(
      architecture: architecture, bits: bits, layers: layers, quantizers: quantizers,
      streamStep: activationDeviation * 5 / 32767, recipe: "random \(seed)")
  }
}

extension QuantizedModel {
  /// A random model for denoising, with other ranges in every band of noise.
  package static func randomDenoiser(bits: Int, seed: UInt64) -> QuantizedModel {
    let architecture = Architecture(
      task: .denoising, scale: 1, window: 3, alignment: .block, encoderChannels: 8, channels: 16, blocks: 1)
    var model = QuantizedModel.random(architecture, bits: bits, zeroPoints: false, seed: seed)
    var random = SplitMix64(seed: seed)
    let bounds = NoiseBands.standardBounds
    model.noiseBands = NoiseBands(
      bounds: bounds,
      factors: bounds.map { _ in architecture.graph.operations.map { _ in random.uniform(0.4...2.5) } })
    return model
  }
}
