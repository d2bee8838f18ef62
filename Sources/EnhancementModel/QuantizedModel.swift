// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A layer's weights as integers.
package struct QuantizedLayer: Sendable, Equatable {
  /// Bits of a weight.
  package var bits: Int
  /// The set of values that codes may have.
  package var grid: WeightGrid
  /// OIHW codes.
  package var codes: [Int8]
  /// Real value of one code, by output channel; in a layer that fuses slots, weights are multiplied by
  /// slot step / first slot's step, so that one integer sum combines slots of different ranges exactly.
  package var steps: [Float]
  /// Real biases.
  package var biases: [Float]

  /// Creates a layer.
  package init(bits: Int, grid: WeightGrid = .midTread, codes: [Int8], steps: [Float], biases: [Float]) {
    self.bits = bits
    self.grid = grid
    self.codes = codes
    self.steps = steps
    self.biases = biases
  }
}

/// A quantized network: weight codes, steps and clipping ranges.
package struct QuantizedModel: Sendable, Equatable {
  /// The network's architecture.
  package var architecture: Architecture
  /// Bits of the body's operands.
  package var bits: Int
  /// By layer, in the graph's order.
  package var layers: [QuantizedLayer]
  /// By operation: a quantizer for each input of a convolution; empty for other operations. Frames use
  /// `ActivationQuantizer.frame`; a zero point of 0 rectifies inputs.
  package var quantizers: [[ActivationQuantizer]]
  /// How the steps of `quantizers` depend on the noise level, for networks that take it; nil if they do not.
  package var noiseBands: NoiseBands?
  /// Real value of one unit of the 16-bit residual stream.
  package var streamStep: Float
  /// How it was made.
  package var recipe: String

  /// Creates a model.
  package init(
    architecture: Architecture, bits: Int, layers: [QuantizedLayer], quantizers: [[ActivationQuantizer]],
    noiseBands: NoiseBands? = nil, streamStep: Float, recipe: String
  ) {
    self.architecture = architecture
    self.bits = bits
    self.layers = layers
    self.quantizers = quantizers
    self.noiseBands = noiseBands
    self.streamStep = streamStep
    self.recipe = recipe
  }

  /// The real weights represented by the codes.
  package var realWeights: NetworkWeights {
    let graph = architecture.graph
    var weights: [[Float]] = []
    for (index, (layer, quantized)) in zip(graph.layers, layers).enumerated() {
      // In a layer that fuses slots, codes include the ratio of each slot's step to the first one's.
      var ratios = [Float](repeating: 1, count: layer.slots)
      for (operation, inputs) in zip(graph.operations, quantizers) where layer.slots > 1 {
        if case .convolution(index, _, _) = operation { ratios = inputs.map { $0.step / inputs[0].step } }
      }
      let span = layer.inputChannels * 9
      weights.append(
        quantized.codes.indices.map { i in
          Float(quantized.codes[i]) * quantized.steps[i / (layer.slots * span)]
            / ratios[i / span % layer.slots]
        })
    }
    return NetworkWeights(
      architecture: architecture, weights: weights, biases: layers.map(\.biases), recipe: recipe)
  }

  /// Raises the activation codes of the body to 0...levels where there are fewer; keeps ranges and refines steps.
  package mutating func refineActivations(levels: Int32) {
    let graph = architecture.graph
    for (index, operation) in graph.operations.enumerated() {
      guard case .convolution(let layer, _, _) = operation, !graph.layers[layer].isEdge else { continue }
      for slot in quantizers[index].indices where quantizers[index][slot].levels < levels {
        let old = quantizers[index][slot]
        let ratio = Float(levels) / Float(old.levels)
        quantizers[index][slot] = ActivationQuantizer(
          step: old.step / ratio, zeroPoint: Int32((Float(old.zeroPoint) * ratio).rounded()), levels: levels)
      }
    }
  }

  // MARK: - File

  static let bitsKey = "videnhance.bits"

  /// Whether a file holds a quantized model (rather than full-precision weights).
  package static func isQuantized(_ file: Safetensors) -> Bool { file.metadata[bitsKey] != nil }

  /// Reads a model file.
  package init(path: String) throws(ModelError) { try self.init(file: Safetensors(path: path)) }

  /// Reads the model from a file in memory, validating all values.
  package init(file: Safetensors) throws(ModelError) {
    architecture = try NetworkWeights.architecture(of: file)
    guard let bits = file.metadata[Self.bitsKey].flatMap({ Int($0) }), (2...8).contains(bits) else {
      throw .badArchitecture("bits are missing or not 2 to 8")
    }
    self.bits = bits
    recipe = file.metadata[NetworkWeights.recipeKey] ?? ""
    let graph = architecture.graph
    layers = []
    for layer in graph.layers {
      let widths = try file.integers(layer.name + ".bits", count: 1)
      guard (2...8).contains(widths[0]) else { throw .missingTensor(name: layer.name + ".bits") }
      let width = Int(widths[0])
      let grid = try Self.grid(file, layer.name + ".grid", bits: width)
      let packed = try file.bytes(
        layer.name + ".codes", type: .uint8, count: BitPacking.byteCount(layer.weightCount, bits: width))
      layers.append(
        QuantizedLayer(
          bits: width, grid: grid,
          codes: grid.unpacked([UInt8](packed), count: layer.weightCount, bits: width),
          steps: try Self.positive(file, layer.name + ".steps", count: layer.outputChannels),
          biases: try file.finiteFloats(layer.name + ".bias", count: layer.outputChannels)))
    }
    let counts = graph.operations.map { operation in
      if case .convolution(_, let inputs, _) = operation { inputs.count } else { 0 }
    }
    let total = counts.reduce(0, +)
    let steps = try Self.positive(file, "quantizers.steps", count: total)
    let zeroPoints = try file.integers("quantizers.zeroPoints", count: total)
    let levels = try file.integers("quantizers.levels", count: total)
    guard zip(zeroPoints, levels).allSatisfy({ (1...255).contains($1) && (0...$1).contains($0) }) else {
      throw .missingTensor(name: "quantizers.zeroPoints")
    }
    quantizers = []
    var next = 0
    for count in counts {
      quantizers.append(
        (next..<next + count).map {
          ActivationQuantizer(step: steps[$0], zeroPoint: zeroPoints[$0], levels: levels[$0])
        })
      next += count
    }
    noiseBands =
      architecture.hasNoiseBands ? try NoiseBands(file: file, operations: graph.operations.count) : nil
    streamStep = try Self.positive(file, "stream.step", count: 1)[0]
    // A frame's codes are its samples, whatever the file contains.
    for (index, operation) in graph.operations.enumerated() {
      guard case .convolution(_, let inputs, _) = operation else { continue }
      for (input, quantizer) in zip(inputs, quantizers[index]) {
        guard case .frame = graph.operations[input], quantizer != .frame else { continue }
        throw .missingTensor(name: "quantizers.steps")
      }
    }
  }

  /// The weight grid of a layer; mid-tread if unspecified.
  private static func grid(_ file: Safetensors, _ name: String, bits: Int) throws(ModelError) -> WeightGrid {
    guard file.tensors[name] != nil else { return .midTread }
    let place = Int(try file.integers(name, count: 1)[0])
    guard place > 0, place < WeightGrid.allCases.count, WeightGrid.allCases[place].bits.contains(bits) else {
      throw .missingTensor(name: name)
    }
    return WeightGrid.allCases[place]
  }

  private static func positive(_ file: Safetensors, _ name: String, count: Int) throws(ModelError) -> [Float]
  {
    let values = try file.finiteFloats(name, count: count)
    guard values.allSatisfy({ $0 > 0 }) else { throw .missingTensor(name: name) }
    return values
  }

  /// The model as a file in memory.
  package var file: Safetensors {
    var file = Safetensors()
    file.metadata = [
      NetworkWeights.architectureKey: NetworkWeights.text(of: architecture), NetworkWeights.recipeKey: recipe,
      Self.bitsKey: String(bits),
    ]
    for (layer, quantized) in zip(architecture.graph.layers, layers) {
      let packed = quantized.grid.packed(quantized.codes, bits: quantized.bits)
      file.set(layer.name + ".bits", shape: [1], integers: [Int32(quantized.bits)])
      if let place = WeightGrid.allCases.firstIndex(of: quantized.grid), place > 0 {
        file.set(layer.name + ".grid", shape: [1], integers: [Int32(place)])
      }
      file.set(layer.name + ".codes", shape: [packed.count], type: .uint8, bytes: packed)
      file.set(layer.name + ".steps", shape: [quantized.steps.count], floats: quantized.steps)
      file.set(layer.name + ".bias", shape: [quantized.biases.count], floats: quantized.biases)
    }
    let all = quantizers.flatMap { $0 }
    file.set("quantizers.steps", shape: [all.count], floats: all.map(\.step))
    file.set("quantizers.zeroPoints", shape: [all.count], integers: all.map(\.zeroPoint))
    file.set("quantizers.levels", shape: [all.count], integers: all.map(\.levels))
    noiseBands?.write(to: &file)
    file.set("stream.step", shape: [1], floats: [streamStep])
    return file
  }
}

/// Packs signed integers of 2 to 8 bits without gaps, lowest bits first.
package enum BitPacking {
  /// The number of bytes for `count` integers.
  package static func byteCount(_ count: Int, bits: Int) -> Int { (count * bits + 7) / 8 }

  /// Packs two's-complement integers.
  package static func pack(_ values: [Int8], bits: Int) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: byteCount(values.count, bits: bits))
    let mask = UInt16(1 << bits) - 1
    for (index, value) in values.enumerated() {
      let position = index * bits
      let shifted = (UInt16(UInt8(bitPattern: value)) & mask) << UInt16(position % 8)
      result[position / 8] |= UInt8(truncatingIfNeeded: shifted)
      if shifted > 255 { result[position / 8 + 1] |= UInt8(shifted >> 8) }
    }
    return result
  }

  /// Unpacks `count` integers.
  package static func unpack(_ bytes: [UInt8], count: Int, bits: Int) -> [Int8] {
    (0..<count).map { index in
      let position = index * bits
      let low = UInt16(bytes[position / 8])
      let high = position / 8 + 1 < bytes.count ? UInt16(bytes[position / 8 + 1]) : 0
      let code = (low | high << 8) >> UInt16(position % 8)
      // Sign-extend.
      return Int8(bitPattern: UInt8(truncatingIfNeeded: code << UInt16(8 - bits))) >> Int8(8 - bits)
    }
  }
}
