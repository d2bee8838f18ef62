// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A full-precision network: its architecture, the weights and biases of its layers, and how they were trained.
package struct NetworkWeights: Sendable {
  /// The network's architecture.
  package var architecture: Architecture
  /// OIHW weights by layer, in the graph's order.
  package var weights: [[Float]]
  /// Biases by layer.
  package var biases: [[Float]]
  /// How the weights were trained: settings, data, hours; stored in the file's metadata.
  package var recipe: String

  /// Key of the metadata entry that holds the architecture as JSON.
  static let architectureKey = "videnhance.architecture"
  static let recipeKey = "videnhance.recipe"

  /// Creates a network from its parameters.
  package init(architecture: Architecture, weights: [[Float]], biases: [[Float]], recipe: String) {
    self.architecture = architecture
    self.weights = weights
    self.biases = biases
    self.recipe = recipe
  }

  /// Reads a model file.
  package init(path: String) throws(ModelError) { try self.init(file: Safetensors(path: path)) }

  /// Reads the parameters from a file in memory.
  package init(file: Safetensors) throws(ModelError) {
    architecture = try Self.architecture(of: file)
    recipe = file.metadata[Self.recipeKey] ?? ""
    weights = []
    biases = []
    for layer in architecture.graph.layers {
      weights.append(try file.finiteFloats(layer.name + ".weight", count: layer.weightCount))
      biases.append(try file.finiteFloats(layer.name + ".bias", count: layer.outputChannels))
    }
  }

  /// The architecture in a file's metadata.
  static func architecture(of file: Safetensors) throws(ModelError) -> Architecture {
    guard let json = file.metadata[architectureKey],
      let architecture = try? JSONDecoder().decode(Architecture.self, from: Data(json.utf8))
    else { throw .badArchitecture("no architecture in the metadata") }
    try architecture.validate()
    return architecture
  }

  /// The architecture as metadata text.
  static func text(of architecture: Architecture) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return (try? encoder.encode(architecture)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  /// The model as a file in memory.
  package var file: Safetensors {
    var file = Safetensors()
    file.metadata = [Self.architectureKey: Self.text(of: architecture), Self.recipeKey: recipe]
    for (index, layer) in architecture.graph.layers.enumerated() {
      file.set(
        layer.name + ".weight",
        shape: [
          layer.outputChannels, layer.totalInputChannels, ConvolutionLayer.kernel, ConvolutionLayer.kernel,
        ], floats: weights[index])
      file.set(layer.name + ".bias", shape: [layer.outputChannels], floats: biases[index])
    }
    return file
  }
}
