// SPDX-License-Identifier: Apache-2.0

/// A 3x3 convolution with zero padding, as a layer of a network: its tensors are named `<name>.weight` (OIHW, the
/// inputs of all slots side by side) and `<name>.bias`.
package struct ConvolutionLayer: Hashable, Codable, Sendable {
  /// Unique name.
  package var name: String
  /// Number of concatenated input tensors: one per frame slot of the window if the layer fuses frames, otherwise 1.
  package var slots: Int
  /// Channels of each input tensor.
  package var inputChannels: Int
  /// Output channels.
  package var outputChannels: Int
  /// Whether the layer stays at 8 bits, as do those through which the picture enters and leaves the stream; the body, which
  /// only adds to the stream, uses the model's bits (docs/reference/quantization.md).
  package var isEdge: Bool
  /// Side of the kernel.
  package static let kernel = 3

  /// Creates a layer.
  package init(name: String, slots: Int = 1, inputChannels: Int, outputChannels: Int, isEdge: Bool) {
    self.name = name
    self.slots = slots
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.isEdge = isEdge
  }

  /// Input channels over all slots.
  package var totalInputChannels: Int { slots * inputChannels }
  /// Number of weights.
  package var weightCount: Int { outputChannels * totalInputChannels * Self.kernel * Self.kernel }
  /// Multiply-accumulates for each point of the grid.
  package var operationsPerPoint: Int { weightCount }
}

/// A network's computation as a list of operations on tensors of one grid. Executors and the trainer share this single
/// definition of each network.
package struct NetworkGraph: Hashable, Sendable {
  /// Value `index` is the result of operation `index`.
  package enum Operation: Hashable, Sendable {
    /// The packed input of a window slot (`Architecture.channels(ofSlot:)` channels), (code - 128) / 255.
    case frame(slot: Int)
    /// Layer `layer` applied to the concatenated values `inputs`, each rectified (ReLU) first if `rectified`.
    case convolution(layer: Int, inputs: [Int], rectified: Bool)
    /// The sum of two values of equal shape: the residual stream.
    case add(Int, Int)
  }

  /// Layers in the order of first use.
  package private(set) var layers: [ConvolutionLayer] = []
  /// Operations; the last one's value is the network's output.
  package private(set) var operations: [Operation] = []

  /// Creates an empty graph.
  package init() {}

  /// Appends a frame input; returns its value.
  package mutating func frame(slot: Int) -> Int { append(.frame(slot: slot)) }

  /// Appends a layer without using it; returns its index.
  package mutating func layer(_ layer: ConvolutionLayer) -> Int {
    layers.append(layer)
    return layers.count - 1
  }

  /// Appends a convolution by layer `layer`; returns its value.
  package mutating func convolve(_ layer: Int, _ inputs: [Int], rectified: Bool) -> Int {
    append(.convolution(layer: layer, inputs: inputs, rectified: rectified))
  }

  /// Appends a sum; returns its value.
  package mutating func add(_ a: Int, _ b: Int) -> Int { append(.add(a, b)) }

  private mutating func append(_ operation: Operation) -> Int {
    operations.append(operation)
    return operations.count - 1
  }

  /// Multiply-accumulates for each point of the grid; a layer that runs for several slots counts for each.
  package var operationsPerPoint: Int {
    operations.reduce(0) { sum, operation in
      if case .convolution(let layer, _, _) = operation {
        sum + layers[layer].operationsPerPoint
      } else {
        sum
      }
    }
  }
}
