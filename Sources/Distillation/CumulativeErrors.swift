// SPDX-License-Identifier: Apache-2.0
public import EnhancementModel
public import Tensors
import Training

/// How far the activations of a whole integer network have drifted from those of the full-precision one when they reach each
/// layer: the errors of all quantizers before it together, where a calibration report tells those of its own alone.
public final class CumulativeErrors {
  private let full: FloatExecutor
  private let pass: FakeQuantizedPass
  private var sums: [[Int]: (error: Double, power: Double)] = [:]

  /// Prepares for windows of one size.
  /// - Parameter network: the full-precision network that the model was made of.
  public init(_ model: QuantizedModel, network: NetworkWeights, height: Int, width: Int) throws {
    let graph = network.architecture.graph
    full = try FloatExecutor(
      graph: graph, batch: 1, height: height, width: width, precision: .float32, training: false)
    try full.setWeights(ParameterSet(network))
    pass = try FakeQuantizedPass(
      QuantizedParameters(model, weights: network), batch: 1, height: height, width: width,
      precision: .float32)
    pass.setModel(model)
  }

  /// Runs both networks on a window (one tensor a slot, (code - 128) / 255).
  public func observe(_ frames: [FloatTensor]) throws {
    let trace = try pass.forward(frames: Distiller.codes(frames)).trace
    let quantizers = pass.modelInUse!.quantizers
    _ = try full.run(frames: frames) { [self] operation, inputs in
      guard case .convolution(_, _, let rectified) = full.graph.operations[operation] else { return }
      for (slot, input) in inputs.enumerated() {
        guard let unrounded = trace.unrounded[[operation, slot]] else { continue }
        add(input, unrounded, quantizers[operation][slot], rectified: rectified, at: [operation, slot])
      }
    }
  }

  private func add(
    _ real: FloatTensor, _ unrounded: FloatTensor, _ quantizer: ActivationQuantizer, rectified: Bool,
    at key: [Int]
  ) {
    let (low, high) = (Float(-quantizer.zeroPoint), Float(quantizer.levels - quantizer.zeroPoint))
    var (error, power) = sums[key] ?? (0, 0)
    for i in 0..<real.count {
      let wanted = rectified ? max(0, real.pointer[i]) : real.pointer[i]
      let code = max(low, min(high, roundToNearestEven(unrounded.pointer[i])))
      let difference = code * quantizer.step - wanted
      error += Double(difference * difference)
      power += Double(wanted * wanted)
    }
    sums[key] = (error, power)
  }

  /// Power of the full-precision activations over that of the drift, by operation and slot; nil for inputs not observed, such
  /// as frames.
  public func signalToNoise(operation: Int, slot: Int) -> Double? {
    sums[[operation, slot]].flatMap { $0.error > 0 ? $0.power / $0.error : nil }
  }
}
