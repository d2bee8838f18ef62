// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Foundation
internal import SwiftProtobuf

/// Exports networks as ONNX files for other runtimes, without packing and alignment of frames: see
/// docs/reference/model-format.md.
///
/// Inputs `frame0` ... are float32 tensors `[1, channels, height, width]` on the half-resolution grid, (code - 128) / 255, where a
/// code is an output of `WindowPacker`. The output `residual` has `[1, channels, height, width]` floats; multiplied by 255 * 64
/// and rounded, they are a `Residual`.
package enum ONNXExport {
  /// Opset of the operators: the first with QuantizeLinear and DequantizeLinear per axis.
  package static let opset: Int64 = 13
  /// The corresponding version of the file format.
  static let irVersion: Int64 = 7

  /// Floating point: Relu, Concat, Conv and Add.
  package static func file(_ weights: NetworkWeights) throws -> Data {
    var builder = GraphBuilder(weights.architecture)
    for (index, operation) in weights.architecture.graph.operations.enumerated() {
      guard case .convolution(let layer, let inputs, let rectified) = operation else {
        builder.appendOther(operation, index)
        continue
      }
      let description = weights.architecture.graph.layers[layer]
      var operands = inputs.map { GraphBuilder.value($0) }
      if rectified {
        operands = operands.map { builder.rectified($0) }
      }
      var operand = operands[0]
      if operands.count > 1 {
        operand = "operand\(index)"
        builder.append("Concat", operands, operand, [.int("axis", 1)])
      }
      let (weight, bias) = ("\(description.name).weight", "\(description.name).bias")
      builder.addOnce(weight) {
        .floats(
          weight, [description.outputChannels, description.totalInputChannels, 3, 3], weights.weights[layer])
      }
      builder.addOnce(bias) { .floats(bias, [description.outputChannels], weights.biases[layer]) }
      builder.append("Conv", [operand, weight, bias], GraphBuilder.value(index), GraphBuilder.padding)
    }
    return try builder.file(bits: 32, recipe: weights.recipe)
  }

  /// Integer models: QuantizeLinear and DequantizeLinear around float convolutions (QDQ), with the model's own ranges.
  ///
  /// Weights are int8 codes with a scale per output channel; if a layer fuses frame slots, each slot has its own convolution,
  /// since the slot's range is part of its scale. Activations are uint8 codes; below 8 bits, a Clip limits their range. The
  /// file does not include the rounding of the 16-bit stream between layers.
  package static func file(_ model: QuantizedModel) throws -> Data {
    var builder = GraphBuilder(model.architecture)
    let graph = model.architecture.graph
    for (index, operation) in graph.operations.enumerated() {
      guard case .convolution(let layer, let inputs, _) = operation else {
        builder.appendOther(operation, index)
        continue
      }
      let description = graph.layers[layer]
      let quantized = model.layers[layer]
      let quantizers = model.quantizers[index]
      var parts: [String] = []
      for (slot, (input, quantizer)) in zip(inputs, quantizers).enumerated() {
        let operand = builder.quantized(GraphBuilder.value(input), quantizer, name: "input\(index).\(slot)")
        // Codes of all slots are in units of the first slot's step.
        let ratio = quantizers[0].step / quantizer.step
        let name = "\(description.name).\(slot)" + (slot == 0 ? "" : ".x\(ratio)")
        let weight = builder.weights(name, quantized, description, slot: slot, ratio: ratio)
        var operands = [operand, weight]
        if slot == 0 {
          let bias = "\(description.name).bias"
          // Rounded to whole units of the sums, as in the integer network.
          let biases = zip(quantized.biases, quantized.steps).map { bias, step in
            let unit = quantizers[0].step * step
            return (bias / unit).rounded(.toNearestOrEven) * unit
          }
          builder.addOnce(bias) { .floats(bias, [description.outputChannels], biases) }
          operands.append(bias)
        }
        let output = inputs.count == 1 ? GraphBuilder.value(index) : "part\(index).\(slot)"
        builder.append("Conv", operands, output, GraphBuilder.padding)
        parts.append(output)
      }
      var sum = parts[0]
      for (slot, part) in parts.enumerated().dropFirst() {
        let output = slot == parts.count - 1 ? GraphBuilder.value(index) : "sum\(index).\(slot)"
        builder.append("Add", [sum, part], output, [])
        sum = output
      }
    }
    return try builder.file(bits: model.bits, recipe: model.recipe)
  }
}

/// Collects nodes and constants of a file.
private struct GraphBuilder {
  static let padding: [Onnx_AttributeProto] = [.ints("pads", [1, 1, 1, 1]), .ints("kernel_shape", [3, 3])]

  private let architecture: Architecture
  private var graph = Onnx_GraphProto()
  private var known: Set<String> = []

  init(_ architecture: Architecture) {
    self.architecture = architecture
    graph.name = architecture.task.rawValue
  }

  /// The tensor of operation `index`.
  static func value(_ index: Int) -> String { "value\(index)" }

  mutating func append(
    _ kind: String, _ inputs: [String], _ output: String, _ attributes: [Onnx_AttributeProto]
  ) {
    var node = Onnx_NodeProto()
    node.opType = kind
    node.input = inputs
    node.output = [output]
    node.name = "\(kind) \(output)"
    node.attribute = attributes
    graph.node.append(node)
  }

  /// Appends frames and sums.
  mutating func appendOther(_ operation: NetworkGraph.Operation, _ index: Int) {
    switch operation {
    case .frame(let slot): append("Identity", ["frame\(slot)"], Self.value(index), [])
    case .add(let a, let b): append("Add", [Self.value(a), Self.value(b)], Self.value(index), [])
    case .convolution: preconditionFailure("convolutions differ with the arithmetic")
    }
  }

  /// A value's rectification, created once.
  mutating func rectified(_ value: String) -> String {
    let name = value + ".rectified"
    if known.insert(name).inserted { append("Relu", [value], name, []) }
    return name
  }

  /// Adds a constant unless there is one of this name.
  mutating func addOnce(_ name: String, _ make: () -> Onnx_TensorProto) {
    if known.insert(name).inserted { graph.initializer.append(make()) }
  }

  /// Quantizes and dequantizes a value.
  mutating func quantized(_ value: String, _ quantizer: ActivationQuantizer, name: String) -> String {
    addOnce(name + ".scale") { .floats(name + ".scale", [], [quantizer.step]) }
    addOnce(name + ".zero") { .bytes(name + ".zero", [UInt8(clamping: quantizer.zeroPoint)]) }
    var source = value
    if quantizer.levels < 255 {
      let (low, high) = (
        -Float(quantizer.zeroPoint) * quantizer.step,
        Float(quantizer.levels - quantizer.zeroPoint) * quantizer.step
      )
      addOnce(name + ".low") { .floats(name + ".low", [], [low]) }
      addOnce(name + ".high") { .floats(name + ".high", [], [high]) }
      append("Clip", [value, name + ".low", name + ".high"], name + ".clipped", [])
      source = name + ".clipped"
    }
    let parameters = [name + ".scale", name + ".zero"]
    append("QuantizeLinear", [source] + parameters, name + ".codes", [])
    append("DequantizeLinear", [name + ".codes"] + parameters, name, [])
    return name
  }

  /// Weights of one slot of a layer, dequantized by output channel; created once.
  mutating func weights(
    _ name: String, _ quantized: QuantizedLayer, _ description: ConvolutionLayer, slot: Int, ratio: Float
  ) -> String {
    let weight = name + ".weight"
    guard known.insert(weight).inserted else { return weight }
    let count = description.inputChannels * 9
    let codes = (0..<description.outputChannels).flatMap { output -> ArraySlice<Int8> in
      let start = (output * description.slots + slot) * count
      return quantized.codes[start..<start + count]
    }
    let shape = [description.outputChannels, description.inputChannels, 3, 3]
    graph.initializer.append(.codes(weight + ".codes", shape, codes))
    graph.initializer.append(
      .floats(weight + ".scale", [description.outputChannels], quantized.steps.map { $0 * ratio }))
    graph.initializer.append(
      .codes(
        weight + ".zero", [description.outputChannels],
        [Int8](repeating: 0, count: description.outputChannels)))
    append(
      "DequantizeLinear", [weight + ".codes", weight + ".scale", weight + ".zero"], weight, [.int("axis", 0)])
    return weight
  }

  /// The finished file.
  mutating func file(bits: Int, recipe: String) throws -> Data {
    append("Identity", [Self.value(architecture.graph.operations.count - 1)], "residual", [])
    graph.input = architecture.graph.operations.compactMap { operation in
      guard case .frame(let slot) = operation else { return nil }
      return .picture("frame\(slot)", channels: architecture.channels(ofSlot: slot))
    }
    graph.output = [.picture("residual", channels: architecture.outputChannels)]
    var model = Onnx_ModelProto()
    model.irVersion = ONNXExport.irVersion
    model.producerName = "videnhance"
    var opset = Onnx_OperatorSetIdProto()
    opset.version = ONNXExport.opset
    model.opsetImport = [opset]
    model.graph = graph
    for (key, value) in [("videnhance.bits", "\(bits)"), ("videnhance.recipe", recipe)] {
      var entry = Onnx_StringStringEntryProto()
      entry.key = key
      entry.value = value
      model.metadataProps.append(entry)
    }
    return try model.serializedData()
  }
}

// MARK: - Pieces

extension Onnx_AttributeProto {
  fileprivate static func int(_ name: String, _ value: Int64) -> Self {
    var result = Self()
    result.name = name
    result.i = value
    result.type = .int
    return result
  }

  fileprivate static func ints(_ name: String, _ values: [Int64]) -> Self {
    var result = Self()
    result.name = name
    result.ints = values
    result.type = .ints
    return result
  }
}

extension Onnx_TensorProto {
  /// ONNX's codes of element types.
  static let float: Int32 = 1
  static let unsigned8: Int32 = 2
  static let signed8: Int32 = 3

  private static func make(_ name: String, _ shape: [Int], _ type: Int32, _ bytes: Data) -> Self {
    var result = Self()
    result.name = name
    result.dims = shape.map(Int64.init)
    result.dataType = type
    result.rawData = bytes
    return result
  }

  fileprivate static func floats(_ name: String, _ shape: [Int], _ values: [Float]) -> Self {
    // Little-endian, as the format requires.
    let bytes = values.flatMap { value in
      (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * $0)) }
    }
    return make(name, shape, float, Data(bytes))
  }

  fileprivate static func codes(_ name: String, _ shape: [Int], _ values: [Int8]) -> Self {
    make(name, shape, signed8, Data(values.map { UInt8(bitPattern: $0) }))
  }

  fileprivate static func bytes(_ name: String, _ values: [UInt8]) -> Self {
    make(name, [], unsigned8, Data(values))
  }
}

extension Onnx_ValueInfoProto {
  /// A picture of arbitrary extents on the grid.
  fileprivate static func picture(_ name: String, channels: Int) -> Self {
    var result = Self()
    result.name = name
    result.type.tensorType.elemType = Onnx_TensorProto.float
    func number(_ value: Int64) -> Onnx_TensorShapeProto.Dimension {
      var dimension = Onnx_TensorShapeProto.Dimension()
      dimension.dimValue = value
      return dimension
    }
    func free(_ name: String) -> Onnx_TensorShapeProto.Dimension {
      var dimension = Onnx_TensorShapeProto.Dimension()
      dimension.dimParam = name
      return dimension
    }
    result.type.tensorType.shape.dim = [number(1), number(Int64(channels)), free("height"), free("width")]
    return result
  }
}
