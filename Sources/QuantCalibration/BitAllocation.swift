// SPDX-License-Identifier: Apache-2.0
public import EnhancementModel

/// Finds out which layers of a network suffer most from few bits, and gives single layers more of them until a model loses
/// no more than asked for: the most quality for each multiplication first.
public struct BitAllocation {
  /// What a layer of the body is worth.
  public struct Sensitivity: Sendable {
    /// Its name.
    public var layer: String
    /// Bits that it was given, all others keeping theirs.
    public var bits: Int
    /// What that wins, in dB.
    public var gain: Double
    /// What it costs, in reference layers of 8-bit work (`BitAllocation.cost`).
    public var cost: Double
  }

  /// A model with some layers of more bits.
  public struct Choice {
    /// The bits of all layers.
    public var widths: Calibrator.Widths
    /// The model.
    public var model: QuantizedModel
    /// Its loss in dB.
    public var loss: Double
    /// Its work.
    public var cost: Double
  }

  /// Makes the models.
  public var makeModel: (Calibrator.Widths) -> QuantizedModel
  /// Measures what a model loses against full precision, in dB.
  public var loss: (QuantizedModel) throws -> Double

  /// An allocation that makes models and measures them as told.
  public init(
    makeModel: @escaping (Calibrator.Widths) -> QuantizedModel,
    loss: @escaping (QuantizedModel) throws -> Double
  ) {
    self.makeModel = makeModel
    self.loss = loss
  }

  /// Bits that integer kernels know, in rising order.
  static let ladder = [2, 3, 4, 6, 8]

  /// Multiplications of a layer's kernel against direct convolution, for bits of weights and the greatest code of activations:
  /// F(2x4, 3x3) where it is exact, else F(2x2, 3x3), else F(2, 3).
  static func multiplications(weights: Int, levels: Int32) -> Double {
    switch (weights, levels) {
    case (...3, ...12): 1 / 3
    case (...4, ...63): 1 / 2.25
    case (...6, ...127): 1 / 1.5
    default: 1
    }
  }

  /// The work of a network for a point of the grid, in reference layers (64 -> 64) of 8-bit direct convolution.
  public static func cost(_ architecture: Architecture, _ widths: Calibrator.Widths) -> Double {
    architecture.graph.operations.reduce(0) { sum, operation in
      guard case .convolution(let index, _, _) = operation else { return sum }
      let layer = architecture.graph.layers[index]
      let width = widths.of(layer)
      let work = Double(layer.operationsPerPoint) / Double(Architecture.referenceLayerCost)
      return sum + work * multiplications(weights: width.weights, levels: width.levels)
    }
  }

  /// What each layer of the body wins by the next more bits, all others as in `widths`.
  public func sensitivities(_ start: Choice) throws -> [Sensitivity] {
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
  public func choice(_ widths: Calibrator.Widths) throws -> Choice {
    let model = makeModel(widths)
    return Choice(
      widths: widths, model: model, loss: try loss(model), cost: Self.cost(model.architecture, widths))
  }

  /// Raises single layers until the loss is at most `most` dB or all layers have 8 bits.
  /// - Parameter report: hears of each choice, beginning with the first, and of what was measured to come to it.
  public func raised(
    from widths: Calibrator.Widths, most: Double, report: (Choice, [Sensitivity]) -> Void
  ) throws -> Choice {
    var best = try choice(widths)
    report(best, [])
    while best.loss > most {
      let found = try sensitivities(best)
      // Where nothing costs anything (2 to 3 bits), the gain alone decides.
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
