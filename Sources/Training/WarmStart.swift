// SPDX-License-Identifier: Apache-2.0
import EnhancementModel

/// Initialises a network from another's weights where layers match: a one-frame network initialises the centre slot of a
/// fusing layer, and the neighbours start near zero. Attention takes the centre slot of a fusing convolution.
struct WarmStart {
  let architecture: Architecture

  init(_ architecture: Architecture) { self.architecture = architecture }

  /// - Returns: the names of the layers that keep their values, as the source has none of their shape.
  @discardableResult
  func copy(_ source: NetworkWeights, into parameters: ParameterSet) -> [String] {
    var kept: [String] = []
    let from = Dictionary(
      uniqueKeysWithValues: source.architecture.graph.layers.enumerated().map { ($1.name, $0) })
    let layers = architecture.graph.layers
    for (index, layer) in layers.enumerated() {
      if layer.name == "fusion.centre", from[layer.name] == nil, let fusion = from["fusion"] {
        let fits = copyCentre(source, layer: fusion, into: parameters.layers[index], of: layer)
        if !fits { kept.append(layer.name) }
        continue
      }
      guard let old = from[layer.name] else {
        kept.append(layer.name)
        continue
      }
      let oldLayer = source.architecture.graph.layers[old]
      // Add a mask to the old network's residual.
      let getsMask = layer.name == "tail" && architecture.isMasked && !source.architecture.isMasked
      let outputs = layer.outputChannels / (getsMask ? 2 : 1)
      // Properties of the source are the last inputs, sharpness the very last.
      let getsConditions = architecture.takesQuantizers && !source.architecture.takesQuantizers
      let getsInputs = getsConditions || architecture.takesSharpness && !source.architecture.takesSharpness
      let losesInputs = source.architecture.takesSharpness && !architecture.takesSharpness
      guard
        oldLayer.inputChannels == layer.inputChannels
          || getsInputs && oldLayer.inputChannels < layer.inputChannels
          || losesInputs && oldLayer.inputChannels > layer.inputChannels, oldLayer.outputChannels == outputs,
        oldLayer.slots <= layer.slots
      else {
        kept.append(layer.name)
        continue
      }
      let numbers = parameters.layers[index]
      let taps = ConvolutionLayer.kernel * ConvolutionLayer.kernel
      let first = (layer.slots - oldLayer.slots) / 2
      for output in 0..<outputs {
        for slot in 0..<layer.slots {
          let to = (output * layer.slots + slot) * layer.inputChannels * taps
          let isOld = slot >= first && slot < first + oldLayer.slots
          let at = (output * oldLayer.slots + slot - first) * oldLayer.inputChannels * taps
          let known = isOld ? min(oldLayer.inputChannels, layer.inputChannels) * taps : 0
          for i in 0..<layer.inputChannels * taps {
            numbers.weights[to + i] =
              i < known
              ? source.weights[old][at + i]
              : numbers.weights[to + i] * (!isOld ? 0.02 : getsConditions ? 0.3 : 0)
          }
        }
        numbers.biases[output] = source.biases[old][output]
      }
    }
    return kept
  }

  /// Copies the middle slot of a fusing convolution and its biases, if shapes agree; returns whether they do.
  private func copyCentre(
    _ source: NetworkWeights, layer index: Int, into numbers: LayerNumbers, of layer: ConvolutionLayer
  ) -> Bool {
    let old = source.architecture.graph.layers[index]
    guard old.inputChannels == layer.inputChannels, old.outputChannels == layer.outputChannels else {
      return false
    }
    let span = layer.inputChannels * ConvolutionLayer.kernel * ConvolutionLayer.kernel
    for output in 0..<layer.outputChannels {
      let at = (output * old.slots + old.slots / 2) * span
      for i in 0..<span { numbers.weights[output * span + i] = source.weights[index][at + i] }
      numbers.biases[output] = source.biases[index][output]
    }
    return true
  }
}
