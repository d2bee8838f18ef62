// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel

/// Determines which layers of a network lose most at few bits, and raises the bits of single layers until the model's loss is
/// acceptable, in order of quality gained per multiplication.
package struct BitAllocation {
  /// The gain and cost of more bits in a layer of the body.
  package struct Sensitivity: Sendable {
    /// Its name.
    package var layer: String
    /// The raised number of bits; all other layers are unchanged.
    package var bits: Int
    /// Gain in dB.
    package var gain: Double
    /// Additional cost, in reference layers of 8-bit work (`BitAllocation.cost`).
    package var cost: Double
  }

  /// A model with raised bits in some layers.
  package struct Choice {
    /// The bits of all layers.
    package var widths: Calibrator.Widths
    /// The model.
    package var model: QuantizedModel
    /// Its loss in dB.
    package var loss: Double
    /// Its cost.
    package var cost: Double
  }

  /// Creates a model.
  package var makeModel: (Calibrator.Widths) -> QuantizedModel
  /// Measures the loss of a model relative to full precision, in dB.
  package var loss: (QuantizedModel) throws -> Double

  /// Creates an allocation from functions that create and measure models.
  package init(
    makeModel: @escaping (Calibrator.Widths) -> QuantizedModel,
    loss: @escaping (QuantizedModel) throws -> Double
  ) {
    self.makeModel = makeModel
    self.loss = loss
  }

  /// Bits supported by the integer kernels, in ascending order.
  static let ladder = [2, 3, 4, 6, 8]

  /// Multiplications of a layer's kernel relative to direct convolution, for weight bits and the greatest activation code:
  /// F(2x4, 3x3) if exact, otherwise F(2x2, 3x3), otherwise F(2, 3).
  static func multiplications(weights: Int, levels: Int32) -> Double {
    switch (weights, levels) {
    case (...3, ...12): 1 / 3
    case (...4, ...63): 1 / 2.25
    case (...6, ...127): 1 / 1.5
    default: 1
    }
  }

  /// The cost of a network per grid point, in reference layers (64 -> 64) of 8-bit direct convolution.
  package static func cost(_ architecture: Architecture, _ widths: Calibrator.Widths) -> Double {
    architecture.graph.operations.reduce(0) { sum, operation in
      guard case .convolution(let index, _, _) = operation else { return sum }
      let layer = architecture.graph.layers[index]
      let width = widths.of(layer)
      let work = Double(layer.operationsPerPoint) / Double(Architecture.referenceLayerCost)
      return sum + work * multiplications(weights: width.weights, levels: width.levels)
    }
  }

  /// The gain and cost of raising each layer of the body to the next number of bits, with all others unchanged.
  package func sensitivities(_ start: Choice) throws -> [Sensitivity] {
    let architecture = start.model.architecture
    return try architecture.graph.layers.filter { !$0.isEdge }.compactMap { layer in
      let now = start.widths.of(layer)
      guard let bits = Self.ladder.first(where: { $0 > now.weights }) else {
        return nil
      }
      var widths = start.widths
      widths.layers[layer.name] = bits
      return Sensitivity(
        layer: layer.name, bits: bits, gain: start.loss - (try loss(makeModel(widths))),
        cost: Self.cost(architecture, widths) - start.cost)
    }
  }

  /// The model with all layers at the given widths.
  package func choice(_ widths: Calibrator.Widths) throws -> Choice {
    let model = makeModel(widths)
    return Choice(
      widths: widths, model: model, loss: try loss(model), cost: Self.cost(model.architecture, widths))
  }

  /// Raises single layers until the loss is at most `most` dB or all layers have 8 bits.
  /// - Parameter report: called with each choice, starting with the first, and the measurements that led to it.
  package func raised(
    from widths: Calibrator.Widths, most: Double, report: (Choice, [Sensitivity]) -> Void
  ) throws -> Choice {
    var best = try choice(widths)
    report(best, [])
    while best.loss > most {
      let found = try sensitivities(best)
      // If raising is free (2 to 3 bits), only the gain counts.
      guard let next = found.max(by: { Self.worth($0) < Self.worth($1) }) else { break }
      var raised = best.widths
      raised.layers[next.layer] = next.bits
      best = try choice(raised)
      report(best, found)
    }
    return best
  }

  private static func worth(_ sensitivity: Sensitivity) -> Double {
    sensitivity.gain / (sensitivity.cost + 0.02)
  }
}
