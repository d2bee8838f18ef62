// SPDX-License-Identifier: Apache-2.0
package import Kernels

/// An integer convolution with the operations fused into it.
package struct IntegerStep {
  /// The layer's name and its index in the graph.
  package let name: String
  /// See `name`.
  package let layer: Int
  /// The graph's convolution operation.
  package let operation: Int
  /// The graph's operation whose value the step outputs: the convolution, or the sum fused into it.
  package let value: Int
  /// Input values, by slot.
  package let inputs: [Int]
  /// The stream value added, if any.
  package let addend: Int?
  /// Whether the value is kept as a 16-bit stream.
  package let keepsStream: Bool
  /// Whether it is the network's output.
  package let isOutput: Bool
  /// Output channels.
  package let outputChannels: Int
  /// Codes computed from the value, each for one operation and input, with a quantizer and multiplier.
  package let outputs: [Output]
  /// Integer weights, bias and multipliers.
  package let parameters: IntegerConvolutionParameters
  /// The bias without the zero points' share, to be added to sums of w (q - zero point).
  package let centredBias: [Int32]

  /// Codes for one use of a value.
  package struct Output {
    /// The convolution that reads them, and the index of its input.
    package let operation: Int
    /// See `operation`.
    package let input: Int
    /// Maps values to codes.
    package let quantizer: ActivationQuantizer
    /// Converts stream units to code units; 1 if accumulators are already scaled.
    package let multiplier: Float
  }
}

/// A quantized model compiled to integer steps: scales folded, sums fused.
///
/// The integer executor packs these numbers for its kernels; distillation evaluates them in exact floating point, so that
/// training matches the kernels bit for bit.
package struct IntegerPlan {
  /// The network's architecture.
  package let architecture: Architecture
  /// Its steps in order.
  package let steps: [IntegerStep]

  /// Compiles a model.
  /// - Throws: `ModelError` if a number does not fit.
  package init(_ model: QuantizedModel) throws(ModelError) {
    let graph = model.architecture.graph
    architecture = model.architecture
    let uses = Uses(graph)
    var steps: [IntegerStep] = []
    for (index, operation) in graph.operations.enumerated() {
      guard case .convolution(let layer, let inputs, _) = operation else { continue }
      // Fuse a subsequent sum into the convolution's epilogue.
      let sum = uses.onlySum(of: index)
      let value = sum?.operation ?? index
      let isOutput = value == graph.operations.count - 1
      let quantizers = model.quantizers[index]
      let readers = uses.convolutions[value]
      let keepsStream = isOutput || sum != nil || uses.isSummed[value] || readers.count > 1
      let (parameters, centredBias) = try Self.parameters(
        model, layer: layer, inputs: quantizers,
        outputStep: isOutput
          ? 1 / ResidualScale.unitsPerRange
          : keepsStream ? model.streamStep : model.quantizers[readers[0].operation][readers[0].input].step)
      let outputs = readers.map { reader in
        let quantizer = model.quantizers[reader.operation][reader.input]
        return IntegerStep.Output(
          operation: reader.operation, input: reader.input, quantizer: quantizer,
          multiplier: keepsStream ? model.streamStep / quantizer.step : 1)
      }
      // Kernels require finite numbers.
      guard parameters.multiplier.allSatisfy(\.isFinite), outputs.allSatisfy(\.multiplier.isFinite) else {
        throw .badArchitecture("steps of layer \(graph.layers[layer].name) and its readers are too far apart")
      }
      steps.append(
        IntegerStep(
          name: graph.layers[layer].name, layer: layer, operation: index, value: value, inputs: inputs,
          addend: sum?.other, keepsStream: keepsStream, isOutput: isOutput,
          outputChannels: graph.layers[layer].outputChannels, outputs: outputs, parameters: parameters,
          centredBias: centredBias))
    }
    self.steps = steps
  }

  /// Computes the integer weights, bias and multipliers of a layer for the given input quantizers.
  ///
  /// real = sum over slots of slotStep * sum(w (q - zero)) + bias. The layer's steps are those of w * slotStep / firstStep,
  /// so all slots share one accumulator; the zero points' share is folded into the integer bias.
  private static func parameters(
    _ model: QuantizedModel, layer index: Int, inputs: [ActivationQuantizer], outputStep: Float
  ) throws(ModelError) -> (IntegerConvolutionParameters, centredBias: [Int32]) {
    let layer = model.architecture.graph.layers[index]
    let quantized = model.layers[index]
    let padded = (layer.inputChannels + 3) / 4 * 4
    var weights = [Int8](repeating: 0, count: layer.outputChannels * layer.slots * padded * 9)
    var bias = [Int32](repeating: 0, count: layer.outputChannels)
    var centredBias = bias
    var multiplier = [Float](repeating: 0, count: layer.outputChannels)
    for output in 0..<layer.outputChannels {
      let unit = inputs[0].step * quantized.steps[output]
      let scaled = (quantized.biases[output] / unit).rounded(.toNearestOrEven)
      guard abs(scaled) < 0x1p30 else {
        throw .badArchitecture("bias of layer \(layer.name) does not fit")
      }
      centredBias[output] = Int32(scaled)
      var sum = Int32(scaled)
      for slot in 0..<layer.slots {
        for channel in 0..<layer.inputChannels {
          let from = ((output * layer.slots + slot) * layer.inputChannels + channel) * 9
          let to = ((output * layer.slots + slot) * padded + channel) * 9
          for tap in 0..<9 {
            weights[to + tap] = quantized.codes[from + tap]
            sum -= inputs[slot].zeroPoint * Int32(quantized.codes[from + tap])
          }
        }
      }
      bias[output] = sum
      multiplier[output] = unit / outputStep
    }
    let parameters = IntegerConvolutionParameters(
      slots: layer.slots, inputChannels: padded, outputChannels: layer.outputChannels,
      activationLevels: inputs.map(\.levels).max()!,
      weightLevels: Int32(quantized.grid.greatest(bits: quantized.bits)), weights: weights, bias: bias,
      multiplier: multiplier)
    return (parameters, centredBias)
  }
}

/// The readers of each value of a graph.
private struct Uses {
  /// Convolutions that read a value, and the index of the input.
  var convolutions: [[(operation: Int, input: Int)]]
  /// Whether a value is an operand of a sum.
  var isSummed: [Bool]
  private var sums: [[(operation: Int, other: Int)]]

  init(_ graph: NetworkGraph) {
    let count = graph.operations.count
    convolutions = Array(repeating: [], count: count)
    isSummed = Array(repeating: false, count: count)
    sums = Array(repeating: [], count: count)
    for (index, operation) in graph.operations.enumerated() {
      switch operation {
      case .frame: break
      case .convolution(_, let inputs, _):
        for (slot, input) in inputs.enumerated() { convolutions[input].append((index, slot)) }
      case .add(let a, let b):
        sums[a].append((index, b))
        sums[b].append((index, a))
        isSummed[a] = true
        isSummed[b] = true
      }
    }
  }

  /// The sum that is the only reader of a value and can be fused into its computation: its other term is computed earlier.
  func onlySum(of value: Int) -> (operation: Int, other: Int)? {
    guard convolutions[value].isEmpty, sums[value].count == 1, sums[value][0].other < value else {
      return nil
    }
    return sums[value][0]
  }
}
