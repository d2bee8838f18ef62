// SPDX-License-Identifier: Apache-2.0
package import Tensors

/// Runs a network's graph in floating point through oneDNN, for one shape. Can also record operands for a backward pass.
///
/// Not thread-safe: use by one thread at a time.
package final class FloatExecutor {
  /// The graph to run.
  package let graph: NetworkGraph
  /// Batch size and the grid's extents.
  package let batch, height, width: Int
  /// Precision of the operands.
  package let precision: FloatPrecision
  /// The convolution of each layer; also used by backward passes.
  package let convolutions: [FloatConvolution]

  private let lastUse: [Int]
  /// The owner of each layer's weight memory.
  private var owners: [AnyObject?]

  /// Data recorded by a forward pass for the backward pass: the operand of each convolution.
  package struct Trace {
    /// By operation index; nil for operations other than convolutions.
    package var operands: [ConvolutionOperand?]
    /// Channels of each operation's value, for gradients, by operation index.
    package var channels: [Int]
  }

  /// Prepares a graph for tensors of `batch` x `height` x `width`.
  /// - Throws: `ConvolutionError` if oneDNN fails.
  package init(
    graph: NetworkGraph, batch: Int, height: Int, width: Int, precision: FloatPrecision, training: Bool
  ) throws {
    self.graph = graph
    self.batch = batch
    self.height = height
    self.width = width
    self.precision = precision
    owners = graph.layers.map { _ in nil }
    convolutions = try graph.layers.map { layer in
      try FloatConvolution(
        batch: batch, height: height, width: width, inputChannels: layer.totalInputChannels,
        outputChannels: layer.outputChannels, precision: precision, training: training)
    }
    var lastUse = [Int](repeating: 0, count: graph.operations.count)
    for (index, operation) in graph.operations.enumerated() {
      switch operation {
      case .frame: break
      case .convolution(_, let inputs, _): for input in inputs { lastUse[input] = index }
      case .add(let a, let b):
        lastUse[a] = index
        lastUse[b] = index
      }
    }
    self.lastUse = lastUse
  }

  /// Sets the weights and biases of layer `index`; the memory must not change while passes run.
  /// - Parameter owner: the owner of the memory, retained from now on; nil if the caller keeps it alive.
  package func setWeights(
    layer index: Int, _ weights: UnsafePointer<Float>, bias: UnsafePointer<Float>, owner: AnyObject? = nil
  ) throws(ConvolutionError) {
    owners[index] = owner
    try convolutions[index].setWeights(weights, bias: bias)
  }

  /// Runs a forward pass.
  /// - Parameter frames: for each window slot, `[batch, height, width, frame channels]`, (code - 128) / 255.
  /// - Parameter observe: called with every convolution's inputs before rectification, and the operation's index.
  /// - Returns: the value of the last operation.
  package func run(
    frames: [FloatTensor], observe: ((Int, [FloatTensor]) -> Void)? = nil
  ) throws(ConvolutionError) -> FloatTensor {
    try forward(frame: { frames[$0] }, keepsOperands: false, observe: observe).output
  }

  /// Runs a forward pass whose inputs are created on demand, one slot at a time.
  /// - Parameter observe: called with every convolution's inputs before rectification, and the operation's index.
  package func run(
    observe: ((Int, [FloatTensor]) -> Void)? = nil, frame: (_ slot: Int) -> FloatTensor
  ) throws(ConvolutionError) -> FloatTensor {
    try forward(frame: frame, keepsOperands: false, observe: observe).output
  }

  /// Runs a forward pass that records its operands.
  package func runTraced(frames: [FloatTensor]) throws(ConvolutionError) -> (output: FloatTensor, trace: Trace)
  {
    try forward(frame: { frames[$0] }, keepsOperands: true, observe: nil)
  }

  private func forward(
    frame: (Int) -> FloatTensor, keepsOperands: Bool, observe: ((Int, [FloatTensor]) -> Void)?
  ) throws(ConvolutionError) -> (output: FloatTensor, trace: Trace) {
    var values: [FloatTensor?] = Array(repeating: nil, count: graph.operations.count)
    var trace = Trace(
      operands: Array(repeating: nil, count: values.count), channels: Array(repeating: 0, count: values.count)
    )
    for (index, operation) in graph.operations.enumerated() {
      let value: FloatTensor
      switch operation {
      case .frame(let slot):
        value = frame(slot)
        precondition(
          value.batch == batch && value.height == height && value.width == width,
          "frame tensor differs from the executor's shape")
      case .convolution(let layer, let inputs, let rectified):
        let sources = inputs.map { values[$0]! }
        observe?(index, sources)
        let operand = gatherOperand(sources, rectified: rectified, precision: precision)
        value = FloatTensor(
          batch: batch, height: height, width: width, channels: graph.layers[layer].outputChannels)
        try convolutions[layer].forward(operand.raw, into: value.pointer)
        if keepsOperands { trace.operands[index] = operand }
      case .add(let a, let b):
        value = add(values[a]!, values[b]!)
      }
      values[index] = value
      trace.channels[index] = value.channels
      for used in 0..<index where lastUse[used] == index { values[used] = nil }
    }
    return (values[values.count - 1]!, trace)
  }
}
