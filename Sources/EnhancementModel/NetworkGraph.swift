// SPDX-License-Identifier: Apache-2.0
internal import Kernels

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

/// Attention over the frame slots of a window, at each point and in each head by itself: the softmax over the slots of the
/// products of the query with the slots' keys weights the slots' values. It has no parameters of its own.
///
/// `weights[s]` = softmax over s of (query . keys[s]) / sqrt(head channels); value = sum of weights[s] * values[s].
package struct SlotAttention: Hashable, Sendable {
  /// Value with the queries.
  package var query: Int
  /// Values with the keys and the values to be weighted, by slot.
  package var keys, values: [Int]
  /// Number of heads.
  package var heads: Int
  /// Channels of a head, which are adjacent.
  package static let headChannels = AttentionParameters.headChannels

  /// Creates an attention.
  package init(query: Int, keys: [Int], values: [Int], heads: Int) {
    self.query = query
    self.keys = keys
    self.values = values
    self.heads = heads
  }

  /// Number of slots.
  package var slots: Int { keys.count }
  /// Channels of queries, keys, values and of the result.
  package var channels: Int { heads * Self.headChannels }
  /// The values it reads: query, keys, values.
  package var inputs: [Int] { [query] + keys + values }
  /// Multiply-accumulates for each point of the grid: scores and weighted sums.
  package var operationsPerPoint: Int { 2 * slots * channels }

  /// Its operands that are quantized, in the order of a model's quantizers: query, keys, values, then the weights of each
  /// slot.
  package var operands: [Operand] {
    [Operand(kind: .query, slot: 0)]
      + [.key, .value, .weight].flatMap { kind in (0..<slots).map { Operand(kind: kind, slot: $0) } }
  }

  /// An operand of an attention.
  package struct Operand: Hashable, Sendable {
    /// What it is.
    package enum Kind: String, Sendable {
      case query, key, value
      /// A result of the softmax: never negative.
      case weight
    }
    /// See `Kind`.
    package var kind: Kind
    /// The window slot; 0 for the query.
    package var slot: Int
  }
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
    /// Attention over frame slots.
    case attention(SlotAttention)

    /// Number of quantizers of an integer model's operation: one for each input of a convolution and each operand of an
    /// attention.
    package var quantizerCount: Int {
      switch self {
      case .frame, .add: 0
      case .convolution(_, let inputs, _): inputs.count
      case .attention(let attention): attention.operands.count
      }
    }

    /// Whether operand `index` is the weights of an attention, which are shares of one: their range does not follow the
    /// signal's.
    package func isWeight(_ index: Int) -> Bool {
      if case .attention(let attention) = self { index >= attention.inputs.count } else { false }
    }
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

  /// Appends an attention; returns its value.
  package mutating func attend(_ attention: SlotAttention) -> Int { append(.attention(attention)) }

  private mutating func append(_ operation: Operation) -> Int {
    operations.append(operation)
    return operations.count - 1
  }

  /// Multiply-accumulates for each point of the grid; a layer that runs for several slots counts for each.
  package var operationsPerPoint: Int {
    operations.reduce(0) { sum, operation in
      switch operation {
      case .frame, .add: sum
      case .convolution(let layer, _, _): sum + layers[layer].operationsPerPoint
      case .attention(let attention): sum + attention.operationsPerPoint
      }
    }
  }
}
