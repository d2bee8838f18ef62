// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
internal import Foundation

/// The reason that a model cannot be described.
package struct InspectError: Error, CustomStringConvertible {
  package var path, detail: String

  package init(path: String, detail: String) {
    self.path = path
    self.detail = detail
  }

  package var description: String { "cannot inspect model \(path): \(detail)" }
}

/// A description of a model.
package struct ModelDescription {
  /// The operands of one layer.
  package struct Layer {
    /// The clipping range of an input.
    package struct Activation: Equatable {
      /// The window slots that share it; only 0 for a layer with one input.
      package var slots: [Int]
      package var bits, codes: Int
      package var lower, upper: Float
      /// Whether the input is the frame itself.
      package var isFrame: Bool
      /// The factor on both bounds in each noise band; empty if the range is the same for all.
      package var noiseFactors: [Float] = []
      /// The number of bits, or of codes if that is not a power of two.
      package var width: String { codes == 1 << bits ? "\(bits) bits" : "\(codes) codes" }
    }

    package var layer: ConvolutionLayer
    package var bits: Int
    package var grid = WeightGrid.midTread
    package var smallestWeight, greatestWeight: Float
    package var activations: [Activation] = []
  }

  package let path: String
  package let size: Int
  package let architecture: Architecture
  /// Bits of the body; 32 is full precision.
  package let bits: Int
  package let recipe: String
  package let layers: [Layer]
  /// The operands of an attention over frame slots, such as "key"; empty without one and at full precision.
  package let attention: [(kind: String, activations: [Layer.Activation])]
  /// The highest noise level of each band that has its own ranges.
  package let noiseLevels: [Float]

  /// Reads a file.
  /// - Throws: an error whose description names the file.
  package init(path: String) throws {
    self.path = path
    do {
      let file = try Safetensors(path: path)
      size = Self.size(ofFile: path)
      if QuantizedModel.isQuantized(file) {
        let model = try QuantizedModel(file: file)
        (architecture, bits, recipe) = (model.architecture, model.bits, model.recipe)
        layers = Self.layers(of: model)
        attention = Self.attention(of: model)
        noiseLevels = (model.noiseBands?.bounds ?? []).map(NoiseLevel.level(ofCode:))
      } else {
        let model = try NetworkWeights(file: file)
        (architecture, bits, recipe) = (model.architecture, 32, model.recipe)
        noiseLevels = []
        attention = []
        layers = zip(model.architecture.graph.layers, model.weights).map { layer, weights in
          Layer(
            layer: layer, bits: 32, smallestWeight: weights.min() ?? 0, greatestWeight: weights.max() ?? 0)
        }
      }
    } catch {
      // Errors about contents do not include the path.
      if "\(error)".contains(path) { throw error }
      throw InspectError(path: path, detail: "\(error)")
    }
  }

  /// Bytes of a file; 0 if it does not exist.
  package static func size(ofFile path: String) -> Int {
    let attributes = try? FileManager.default.attributesOfItem(
      atPath: URL(fileURLWithPath: path).resolvingSymlinksInPath().path)
    return (attributes?[.size] as? NSNumber)?.intValue ?? 0
  }

  private static func layers(of model: QuantizedModel) -> [Layer] {
    let graph = model.architecture.graph
    return graph.layers.indices.map { index in
      // An encoder runs once per slot, a fusion runs once with one input per slot.
      var inputs: [(slot: Int, quantizer: ActivationQuantizer, isFrame: Bool)] = []
      var factors: [Float] = []
      var uses = 0
      for (place, (operation, quantizers)) in zip(graph.operations, model.quantizers).enumerated() {
        guard case .convolution(index, let values, _) = operation else { continue }
        factors = (model.noiseBands?.factors ?? []).map { $0[place] }
        for (slot, (value, quantizer)) in zip(values, quantizers).enumerated() {
          if case .frame(let frame) = graph.operations[value] {
            inputs.append((frame, quantizer, true))
          } else {
            // Keys and values of an attention: one use for each slot.
            inputs.append((values.count > 1 ? slot : uses, quantizer, false))
          }
        }
        uses += 1
      }
      let activations = activations(inputs, factors: factors)
      let (layer, codes) = (graph.layers[index], model.layers[index])
      let range = weightRange(layer, codes, slotSteps: layer.slots > 1 ? inputs.map(\.quantizer.step) : [])
      return Layer(
        layer: layer, bits: codes.bits, grid: codes.grid, smallestWeight: range.lowerBound,
        greatestWeight: range.upperBound, activations: activations)
    }
  }

  /// Ranges with the slots that share them.
  private static func activations(
    _ inputs: [(slot: Int, quantizer: ActivationQuantizer, isFrame: Bool)], factors: [Float]
  ) -> [Layer.Activation] {
    var activations: [Layer.Activation] = []
    for input in inputs {
      let q = input.quantizer
      let activation = Layer.Activation(
        slots: [input.slot], bits: q.bits, codes: Int(q.levels) + 1, lower: 0 - Float(q.zeroPoint) * q.step,
        upper: Float(q.levels - q.zeroPoint) * q.step, isFrame: input.isFrame,
        noiseFactors: input.isFrame ? [] : factors)
      let same = activations.firstIndex {
        ($0.codes, $0.lower, $0.upper, $0.isFrame)
          == (activation.codes, activation.lower, activation.upper, activation.isFrame)
      }
      if let same { activations[same].slots.append(input.slot) } else { activations.append(activation) }
    }
    return activations
  }

  /// The operands of the attention of a model.
  private static func attention(of model: QuantizedModel) -> [(kind: String, activations: [Layer.Activation])]
  {
    for (index, operation) in model.architecture.graph.operations.enumerated() {
      guard case .attention(let attention) = operation else { continue }
      let factors = (model.noiseBands?.factors ?? []).map { $0[index] }
      let operands = Array(zip(attention.operands, model.quantizers[index]))
      return [SlotAttention.Operand.Kind.query, .key, .value, .weight].map { kind in
        let own = operands.filter { $0.0.kind == kind }
        return (
          kind.rawValue,
          activations(
            own.map { ($0.0.slot, $0.1, false) }, factors: kind == .weight ? [] : factors)
        )
      }
    }
    return []
  }

  /// Minimum and maximum real weight.
  /// - Parameter slotSteps: steps of the activations, whose ratios are folded into the stored weights of a fusion.
  private static func weightRange(
    _ layer: ConvolutionLayer, _ quantized: QuantizedLayer, slotSteps: [Float]
  ) -> ClosedRange<Float> {
    var range: ClosedRange<Float>?
    let slotCount = layer.inputChannels * 9
    for (index, code) in quantized.codes.enumerated() {
      let slot = index / slotCount % layer.slots
      let ratio = slot < slotSteps.count ? slotSteps[0] / slotSteps[slot] : 1
      let weight = Float(code) * quantized.steps[index / (slotCount * layer.slots)] * ratio
      // Ratios of extreme steps may not be finite.
      guard weight.isFinite else { continue }
      range = range.map { min($0.lowerBound, weight)...max($0.upperBound, weight) } ?? weight...weight
    }
    return range ?? 0...0
  }

  /// Multiply-accumulates per source pixel: a grid point covers 2 x 2 pixels.
  package var operationsPerPixel: Double { Double(architecture.graph.operationsPerPoint) / 4 }

  // MARK: - Text

  /// The description as text.
  package func text() -> String {
    let a = architecture
    let parameters = a.graph.layers.reduce(0) { $0 + $1.weightCount + $1.outputChannels }
    let edges = Set(layers.filter(\.layer.isEdge).map(\.bits)).sorted().map(String.init).joined(
      separator: ", ")
    var lines = [
      "file          \(path)", "size          \(size) bytes",
      "task          \(a.task.rawValue)" + (a.scale > 1 ? " x\(a.scale)" : ""),
      "architecture  window of \(a.window) frames, alignment \(a.alignment.rawValue), "
        + "encoder of \(a.encoderChannels) channels, \(a.channels) channels, \(a.blocks) blocks, \(a.isMasked ? "mask, " : "")\(fusionText)\(parameters) parameters",
      "cost          \(a.graph.operationsPerPoint) MAC per grid point, \(String(format: "%.2f", a.cost)) L64, "
        + "\(String(format: "%.0f", operationsPerPixel)) MAC per source pixel",
      "bits          "
        + (bits == 32 ? "32 (floating point)" : "\(bits) in the body, \(edges) in the layers at both ends"),
    ]
    if bits != 32 { lines.append("              \(bitsExplained)") }
    if !noiseLevels.isEmpty {
      let levels = noiseLevels.map { String(format: "%g", Double($0)) }.joined(separator: ", ")
      lines.append("noise         ranges for levels up to \(levels): those below times the factors of each")
    }
    lines.append("")
    lines += table()
    lines +=
      ["", "recipe"]
      + prettyRecipe().split(separator: "\n", omittingEmptySubsequences: false).map { "  \($0)" }
    return lines.joined(separator: "\n")
  }

  /// The attention in the line of the architecture.
  private var fusionText: String {
    architecture.attends
      ? "fusion by attention of \(architecture.headCount) heads of \(SlotAttention.headChannels) channels, "
      : ""
  }

  /// Explains the number of bits in one sentence.
  private var bitsExplained: String {
    let codes = layers.filter { !$0.layer.isEdge }.flatMap(\.activations).map(\.codes)
    let least = codes.min() ?? 0
    let most = codes.max() ?? 0
    let counts = least == most ? "\(least)" : "\(least) to \(most)"
    return "body: weights of \(bits) bits, activations of \(counts) codes, as many as the kernel is exact for"
  }

  private func table() -> [String] {
    var rows = [["layer", "channels", "bits", "weights"]]
    if bits != 32 { rows[0].append("activations: clipping range of each frame slot") }
    for layer in layers {
      let l = layer.layer
      let channels = (l.slots > 1 ? "\(l.slots) x " : "") + "\(l.inputChannels) -> \(l.outputChannels)"
      let row = [
        l.name, channels, layer.grid == .midTread ? "\(layer.bits)" : "\(layer.bits), \(layer.grid.rawValue)",
        Self.range(layer.smallestWeight, layer.greatestWeight),
      ]
      if layer.activations.isEmpty { rows.append(row) }
      for (index, activation) in layer.activations.enumerated() {
        let isOnly = layer.activations.count == 1 && activation.slots == [0] && !activation.isFrame
        rows.append((index == 0 ? row : ["", "", "", ""]) + [Self.text(activation, namesSlots: !isOnly)])
      }
    }
    for (kind, activations) in attention {
      for (index, activation) in activations.enumerated() {
        let name = index == 0 ? "attention, \(kind)" : ""
        rows.append([name, "", "", "", Self.text(activation, namesSlots: kind != "query")])
      }
    }
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { cell, width in
        cell + String(repeating: " ", count: max(0, width - cell.count))
      }
      var line = cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }
  }

  /// A range and the slots that share it.
  private static func text(_ activation: Layer.Activation, namesSlots: Bool) -> String {
    let slots =
      namesSlots
      ? "slot\(activation.slots.count > 1 ? "s" : "") \(activation.slots.map(String.init).joined(separator: ", ")): "
      : ""
    let factors = activation.noiseFactors.map { String(format: "%.2f", Double($0)) }.joined(separator: " ")
    return "\(slots)\(range(activation.lower, activation.upper)), \(activation.width)"
      + (activation.isFrame ? ", the frame itself" : "") + (factors.isEmpty ? "" : " x " + factors)
  }

  private static func range(_ lower: Float, _ upper: Float) -> String {
    String(format: "%.4g ... %.4g", Double(lower), Double(upper))
  }

  /// The recipe, formatted if it is JSON, and with control characters escaped.
  private func prettyRecipe() -> String {
    let options: JSONSerialization.WritingOptions = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    if let table = try? JSONSerialization.jsonObject(with: Data(recipe.utf8)),
      let data = try? JSONSerialization.data(withJSONObject: table, options: options)
    {
      return String(decoding: data, as: UTF8.self)
    }
    let text = String(
      String.UnicodeScalarView(
        recipe.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 || $0 == "\n" }))
    return text.isEmpty ? "none" : text
  }

  // MARK: - JSON

  /// The description as a JSON object.
  package func json() throws -> String {
    // Via text, to keep the float's short decimal form.
    func number(_ value: Float) -> Double { Double("\(value)") ?? 0 }
    let a = architecture
    func ranges(_ activations: [Layer.Activation]) -> [[String: Any]] {
      activations.flatMap { activation in
        activation.slots.map { slot -> [String: Any] in
          [
            "slot": slot, "bits": activation.bits, "codes": activation.codes,
            "lower": number(activation.lower), "upper": number(activation.upper),
            "isFrame": activation.isFrame,
            "noiseFactors": activation.noiseFactors.map(number),
          ]
        }
      }.sorted { ($0["slot"] as? Int ?? 0) < ($1["slot"] as? Int ?? 0) }
    }
    var table: [String: Any] = [
      "path": path, "bytes": size, "bits": bits, "noiseLevels": noiseLevels.map(number),
      "architecture": [
        "task": a.task.rawValue, "scale": a.scale, "window": a.window, "alignment": a.alignment.rawValue,
        "encoderChannels": a.encoderChannels, "channels": a.channels, "blocks": a.blocks,
      ],
      "cost": [
        "macPerGridPoint": a.graph.operationsPerPoint, "l64": a.cost, "macPerSourcePixel": operationsPerPixel,
      ],
      "recipe": (try? JSONSerialization.jsonObject(with: Data(recipe.utf8))) ?? recipe,
      "layers": layers.map { layer -> [String: Any] in
        [
          "name": layer.layer.name, "slots": layer.layer.slots, "inputChannels": layer.layer.inputChannels,
          "outputChannels": layer.layer.outputChannels, "bits": layer.bits,
          "grid": layer.bits == 32 ? NSNull() : layer.grid.rawValue,
          "weights": ["lower": number(layer.smallestWeight), "upper": number(layer.greatestWeight)],
          "activations": ranges(layer.activations),
        ]
      },
    ]
    if a.attends {
      let operands: [String: Any] = Dictionary(
        uniqueKeysWithValues: attention.map { ($0.kind, ranges($0.activations)) })
      table["attention"] =
        [
          "heads": a.headCount, "headChannels": SlotAttention.headChannels, "operands": operands,
        ] as [String: Any]
    }
    // A range may overflow to infinity, which JSON cannot represent.
    guard JSONSerialization.isValidJSONObject(table) else {
      throw InspectError(path: path, detail: "its ranges are too large for numbers")
    }
    let data = try JSONSerialization.data(
      withJSONObject: table, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
    return String(decoding: data, as: UTF8.self)
  }
}
