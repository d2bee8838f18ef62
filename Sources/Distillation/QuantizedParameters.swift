// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
import Foundation
package import Training

/// The trainable parameters of distillation: real weights and biases, the logarithms of weight steps by output channel, and
/// of activation steps by operation and slot. Zero points and the stream's step are those of calibration.
package final class QuantizedParameters {
  /// The calibrated model.
  package let base: QuantizedModel
  /// Weights and biases by layer; weights as in the full-precision network, without slot ratios.
  package let values: ParameterSet
  /// By layer: logarithms of weight steps.
  package let weightSteps: ParameterSet
  /// A single entry: logarithms of activation steps in the order of `stepIndex`, then those of the factors of noise bands, by
  /// band and operation.
  package let activationSteps: ParameterSet
  /// Index of each operation's inputs in `activationSteps`; nil for packed frames, whose step is fixed.
  package let stepIndex: [[Int?]]

  private let graph: NetworkGraph
  private let stepCount: Int

  /// Starts from a calibrated model and its full-precision weights.
  package init(_ base: QuantizedModel, weights: NetworkWeights) {
    self.base = base
    graph = base.architecture.graph
    values = ParameterSet(weights)
    weightSteps = ParameterSet(
      layers: graph.layers.map { LayerNumbers(weightCount: $0.outputChannels, biasCount: 0) })
    for (layer, quantized) in zip(weightSteps.layers, base.layers) {
      for (i, step) in quantized.steps.enumerated() { layer.all[i] = log(step) }
    }
    var index: [[Int?]] = []
    var steps: [Float] = []
    for (operation, quantizers) in zip(graph.operations, base.quantizers) {
      guard case .convolution(_, let inputs, _) = operation else {
        index.append([])
        continue
      }
      index.append(
        zip(inputs, quantizers).map { input, quantizer -> Int? in
          if case .frame = base.architecture.graph.operations[input] { return nil }
          steps.append(log(quantizer.step))
          return steps.count - 1
        })
    }
    stepIndex = index
    stepCount = steps.count
    for factors in base.noiseBands?.factors ?? [] { steps += factors.map { log($0) } }
    activationSteps = ParameterSet(layers: [LayerNumbers(weightCount: steps.count, biasCount: 0)])
    for (i, step) in steps.enumerated() { activationSteps.layers[0].all[i] = step }
  }

  /// Index in `activationSteps` of an operation's factor in a noise band; nil without bands.
  package func factorIndex(band: Int, operation: Int) -> Int? {
    base.noiseBands == nil ? nil : stepCount + band * graph.operations.count + operation
  }

  /// The integer model of these parameters, or of other sets of the same shapes in `averages` (the optimisers' averages).
  package func model(
    values: ParameterSet? = nil, weightSteps: ParameterSet? = nil, activationSteps: ParameterSet? = nil,
    recipe: String = ""
  ) -> QuantizedModel {
    let values = values ?? self.values
    let weightSteps = weightSteps ?? self.weightSteps
    let activations = (activationSteps ?? self.activationSteps).layers[0].all
    var model = base
    model.recipe = recipe
    for (operation, places) in stepIndex.enumerated() {
      for (slot, place) in places.enumerated() {
        if let place { model.quantizers[operation][slot].step = exp(activations[place]) }
      }
    }
    for band in (base.noiseBands?.factors ?? []).indices {
      for operation in graph.operations.indices {
        model.noiseBands!.factors[band][operation] = exp(
          activations[factorIndex(band: band, operation: operation)!])
      }
    }
    for (index, layer) in graph.layers.enumerated() {
      let ratios = slotRatios(model, layer: index)
      let numbers = values.layers[index]
      let steps = weightSteps.layers[index].all.map { exp($0) }
      let rounded = WeightRounding(base.layers[index].grid, bits: base.layers[index].bits)
      let span = layer.inputChannels * 9
      var codes = [Int8](repeating: 0, count: numbers.weightCount)
      codes.withUnsafeMutableBufferPointer { codes in
        for output in 0..<layer.outputChannels {
          for slot in 0..<layer.slots {
            let factor = ratios[slot] / steps[output]
            let at = (output * layer.slots + slot) * span
            for i in at..<at + span {
              codes[i] = Int8(rounded(numbers.weights[i] * factor))
            }
          }
        }
      }
      model.layers[index].codes = codes
      model.layers[index].steps = steps
      model.layers[index].biases = Array(UnsafeBufferPointer(start: numbers.biases, count: numbers.biasCount))
    }
    return model
  }

  /// Ratio of each slot's step to the first slot's, for the operations of a layer; 1 for layers of one slot.
  package func slotRatios(_ model: QuantizedModel, layer index: Int) -> [Float] {
    let slots = graph.layers[index].slots
    guard slots > 1 else { return [1] }
    for (operation, quantizers) in zip(graph.operations, model.quantizers) {
      if case .convolution(index, _, _) = operation { return quantizers.map { $0.step / quantizers[0].step } }
    }
    return Array(repeating: 1, count: slots)
  }
}
