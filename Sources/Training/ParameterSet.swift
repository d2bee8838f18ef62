// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Tensors

/// One layer's values, gradients or moments: weights (OIHW) and biases in fixed memory.
package final class LayerNumbers: @unchecked Sendable {
  // Unchecked: trainers write each object from one thread at a time, between joins.

  /// Number of weights.
  package let weightCount: Int
  /// Number of biases.
  package let biasCount: Int
  /// Weights, then biases.
  package let all: UnsafeMutableBufferPointer<Float>

  /// Zeros for a layer.
  package convenience init(_ layer: ConvolutionLayer) {
    self.init(weightCount: layer.weightCount, biasCount: layer.outputChannels)
  }

  /// Zeros.
  package init(weightCount: Int, biasCount: Int) {
    self.weightCount = weightCount
    self.biasCount = biasCount
    all = .allocate(capacity: weightCount + biasCount)
    all.initialize(repeating: 0)
  }

  deinit { all.deallocate() }

  /// Start of the weights.
  package var weights: UnsafeMutablePointer<Float> { all.baseAddress! }
  /// Start of the biases.
  package var biases: UnsafeMutablePointer<Float> { all.baseAddress! + weightCount }
}

/// Values, gradients or moments of every layer of a graph.
package struct ParameterSet: Sendable {
  /// By layer.
  package let layers: [LayerNumbers]

  /// Creates a set from its layers.
  package init(layers: [LayerNumbers]) { self.layers = layers }

  /// Zeros for every layer of `graph`.
  package init(graph: NetworkGraph) { layers = graph.layers.map(LayerNumbers.init) }

  /// Copies of a network's weights.
  package init(_ weights: NetworkWeights) {
    self.init(graph: weights.architecture.graph)
    load(weights)
  }

  /// Overwrites all values with a network's weights.
  package func load(_ network: NetworkWeights) {
    for (index, layer) in layers.enumerated() {
      for (i, value) in network.weights[index].enumerated() { layer.weights[i] = value }
      for (i, value) in network.biases[index].enumerated() { layer.biases[i] = value }
    }
  }

  /// The values as a network.
  package func network(_ architecture: Architecture, recipe: String) -> NetworkWeights {
    NetworkWeights(
      architecture: architecture,
      weights: layers.map { Array(UnsafeBufferPointer(start: $0.weights, count: $0.weightCount)) },
      biases: layers.map { Array(UnsafeBufferPointer(start: $0.biases, count: $0.biasCount)) }, recipe: recipe
    )
  }

  /// Random initialisation: weights and biases uniform in ±1/sqrt(fan-in). He's wider initialisation kills most ReLUs of
  /// these networks within the first hundred steps (tested: no gain over bicubic after 1,300). The last layer of each
  /// residual branch and of the network starts at a tenth, so that the network starts near the resampled source.
  package func initialize(graph: NetworkGraph, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    for (layer, numbers) in zip(graph.layers, layers) {
      let fanIn = Float(layer.totalInputChannels * ConvolutionLayer.kernel * ConvolutionLayer.kernel)
      let bound = 1 / fanIn.squareRoot()
      let isTail = layer.name == "tail"
      let quiet: Float = layer.name.hasSuffix(".b") || isTail ? 0.1 : 1
      for i in 0..<numbers.weightCount { numbers.weights[i] = random.uniform(-bound...bound) * quiet }
      for i in 0..<numbers.biasCount { numbers.biases[i] = isTail ? 0 : random.uniform(-bound...bound) }
    }
  }

  /// Zeroes the output and raises the stream, for interpolation: most of a blend is correct, and a network that starts with
  /// noise first learns to output nothing, by pushing the stream below zero permanently (docs/lab/training-log.md). From zero
  /// output it can only improve, and the raised stream keeps its ReLUs alive.
  package func quieten(graph: NetworkGraph) {
    for (layer, numbers) in zip(graph.layers, layers) {
      if layer.name == "tail" { numbers.all.update(repeating: 0) }
      if layer.name == "fusion" { for i in 0..<numbers.biasCount { numbers.biases[i] += 0.25 } }
    }
  }

  /// Adds sets of equal shape to the first one, in order, and returns it.
  package static func sum(_ sets: [ParameterSet]) -> ParameterSet {
    for set in sets.dropFirst() {
      for (sum, part) in zip(sets[0].layers, set.layers) {
        for i in 0..<sum.all.count { sum.all[i] += part.all[i] }
      }
    }
    return sets[0]
  }

  /// Sum of squares of all numbers.
  package var squaredNorm: Float {
    layers.reduce(0) { sum, layer in sum + layer.all.reduce(0) { $0 + $1 * $1 } }
  }
}

extension FloatExecutor {
  /// Sets the weights and biases of every layer; the executor keeps the set's memory alive.
  package func setWeights(_ parameters: ParameterSet) throws(ConvolutionError) {
    for (index, layer) in parameters.layers.enumerated() {
      try setWeights(layer: index, layer.weights, bias: layer.biases, owner: layer)
    }
  }
}
