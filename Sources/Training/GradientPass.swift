// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Tensors

/// Forward and backward through a graph for one shard of a batch.
///
/// A training step runs several shards concurrently, each on one thread with its own primitives, and sums their
/// gradients in fixed order, so the result does not depend on the number of threads.
package final class GradientPass {
  /// Runs the forward pass.
  package let executor: FloatExecutor
  /// Gradients of this shard's loss by every weight and bias, overwritten by each `backward`.
  package let gradients: ParameterSet

  private let scratch: ParameterSet

  /// Prepares a shard of `batch` samples on a `height` x `width` grid.
  package init(graph: NetworkGraph, batch: Int, height: Int, width: Int, precision: FloatPrecision) throws {
    executor = try FloatExecutor(
      graph: graph, batch: batch, height: height, width: width, precision: precision, training: true)
    gradients = ParameterSet(graph: graph)
    scratch = ParameterSet(graph: graph)
  }

  /// Sets the current parameters.
  package func setParameters(_ parameters: ParameterSet) throws {
    try executor.setWeights(parameters)
  }

  /// Propagates the gradient of the output backward and fills `gradients`.
  package func backward(_ trace: FloatExecutor.Trace, outputGradient: FloatTensor) throws {
    let graph = executor.graph
    var values: [FloatTensor?] = Array(repeating: nil, count: graph.operations.count)
    var isFirstUse = [Bool](repeating: true, count: graph.layers.count)
    values[values.count - 1] = outputGradient
    for index in graph.operations.indices.reversed() {
      guard let gradient = values[index] else { continue }
      values[index] = nil
      switch graph.operations[index] {
      case .frame: break
      case .add(let a, let b):
        // Both terms receive the same gradient; copy it if something will be added to it.
        for term in [a, b] { values[term] = values[term].map { add($0, gradient) } ?? copy(gradient) }
      case .convolution(let layer, let inputs, let rectified):
        let operand = trace.operands[index]!
        let difference = gatherOperand([gradient], rectified: false, precision: executor.precision)
        let convolution = executor.convolutions[layer]
        let target = isFirstUse[layer] ? gradients.layers[layer] : scratch.layers[layer]
        try convolution.backwardWeights(
          operand.raw, difference.raw, into: target.weights, bias: target.biases)
        if !isFirstUse[layer] { accumulate(scratch.layers[layer], into: gradients.layers[layer]) }
        isFirstUse[layer] = false
        try spread(
          difference, through: convolution, to: inputs, operand: rectified ? operand : nil, trace: trace,
          values: &values)
      }
    }
  }

  /// Propagates the gradient of a convolution's result to its inputs, except frames, which do not need it.
  private func spread(
    _ difference: ConvolutionOperand, through convolution: FloatConvolution, to inputs: [Int],
    operand: ConvolutionOperand?, trace: FloatExecutor.Trace, values: inout [FloatTensor?]
  ) throws {
    let wanted = inputs.filter { if case .frame = executor.graph.operations[$0] { false } else { true } }
    if wanted.isEmpty { return }
    let joined = FloatTensor(
      batch: executor.batch, height: executor.height, width: executor.width,
      channels: convolution.inputChannels)
    try convolution.backwardData(difference.raw, into: joined.pointer)
    var offset = 0
    for input in inputs {
      let channels = trace.channels[input]
      if values[input] == nil {
        let fresh = FloatTensor(
          batch: executor.batch, height: executor.height, width: executor.width, channels: channels)
        fresh.fill(0)
        values[input] = fresh
      }
      scatterGradient(joined, offset: offset, rectifiedOperand: operand, addTo: values[input]!)
      offset += channels
    }
  }

  private func copy(_ tensor: FloatTensor) -> FloatTensor {
    let result = FloatTensor(like: tensor)
    result.pointer.update(from: tensor.pointer, count: tensor.count)
    return result
  }

  private func accumulate(_ source: LayerNumbers, into target: LayerNumbers) {
    for i in 0..<source.all.count { target.all[i] += source.all[i] }
  }
}
