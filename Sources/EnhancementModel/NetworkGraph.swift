// SPDX-License-Identifier: Apache-2.0

/// A 3x3 convolution with zero padding, as a layer of a network: its tensors are named `<name>.weight` (OIHW, the
/// inputs of all slots side by side) and `<name>.bias`.
public struct ConvolutionLayer: Hashable, Codable, Sendable {
  /// Unique name.
  public var name: String
  /// Tensors that enter side by side, one per frame slot of the window where the layer fuses frames; else 1.
  public var slots: Int
  /// Channels of each of them.
  public var inputChannels: Int
  /// Channels out.
  public var outputChannels: Int
  /// The layers through which the picture itself enters and leaves the stream stay at 8 bits; the body, which only adds to
  /// the stream, takes the model's bits (docs/reference/quantization.md).
  public var isEdge: Bool
  /// Side of the kernel.
  public static let kernel = 3

  /// A layer.
  public init(name: String, slots: Int = 1, inputChannels: Int, outputChannels: Int, isEdge: Bool) {
    self.name = name
    self.slots = slots
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.isEdge = isEdge
  }

  /// Input channels over all slots.
  public var totalInputChannels: Int { slots * inputChannels }
  /// Number of weights.
  public var weightCount: Int { outputChannels * totalInputChannels * Self.kernel * Self.kernel }
  /// Multiply-accumulates for each point of the grid.
  public var operationsPerPoint: Int { weightCount }
}

/// What a network computes, as a list of steps on tensors of one grid. Executors and the trainer read the same list:
/// there is one definition of each network.
public struct NetworkGraph: Hashable, Sendable {
  /// Value `index` is the result of operation `index`.
  public enum Operation: Hashable, Sendable {
    /// The packed input of a window slot (`Architecture.channels(ofSlot:)` channels), (code - 128) / 255.
    case frame(slot: Int)
    /// Layer `layer` applied to the values `inputs` side by side, each rectified (ReLU) first if `rectified`.
    case convolution(layer: Int, inputs: [Int], rectified: Bool)
    /// The sum of two values of equal shape: the residual stream.
    case add(Int, Int)
  }

  /// Layers in the order of first use.
  public private(set) var layers: [ConvolutionLayer] = []
  /// Steps; the last one's value is the network's output.
  public private(set) var operations: [Operation] = []

  /// An empty graph.
  public init() {}

  /// Appends a frame input; returns its value.
  public mutating func frame(slot: Int) -> Int { append(.frame(slot: slot)) }

  /// Appends a layer without using it; returns its index.
  public mutating func layer(_ layer: ConvolutionLayer) -> Int {
    layers.append(layer)
    return layers.count - 1
  }

  /// Appends a convolution by layer `layer`; returns its value.
  public mutating func convolve(_ layer: Int, _ inputs: [Int], rectified: Bool) -> Int {
    append(.convolution(layer: layer, inputs: inputs, rectified: rectified))
  }

  /// Appends a sum; returns its value.
  public mutating func add(_ a: Int, _ b: Int) -> Int { append(.add(a, b)) }

  private mutating func append(_ operation: Operation) -> Int {
    operations.append(operation)
    return operations.count - 1
  }

  /// Multiply-accumulates for each point of the grid; a layer that runs for several slots counts for each.
  public var operationsPerPoint: Int {
    operations.reduce(0) { sum, operation in
      if case .convolution(let layer, _, _) = operation {
        sum + layers[layer].operationsPerPoint
      } else {
        sum
      }
    }
  }
}
