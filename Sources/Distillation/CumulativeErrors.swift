// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Tensors
import Training

/// Measures how far the inputs of each layer of an integer network deviate from the full-precision network's: the combined
/// errors of all preceding quantizers, in contrast to a calibration report, which lists each quantizer's own error.
package final class CumulativeErrors {
  private let full: FloatExecutor
  private let pass: FakeQuantizedPass
  private var sums: [[Int]: (error: Double, power: Double)] = [:]

  /// Prepares for windows of one size.
  /// - Parameter network: the full-precision network from which the model was quantized.
  package init(_ model: QuantizedModel, network: NetworkWeights, height: Int, width: Int) throws {
    let graph = network.architecture.graph
    full = try FloatExecutor(
      graph: graph, batch: 1, height: height, width: width, precision: .float32, training: false)
    try full.setWeights(ParameterSet(network))
    pass = try FakeQuantizedPass(
      QuantizedParameters(model, weights: network), batch: 1, height: height, width: width,
      precision: .float32)
    pass.setModel(model)
  }

  /// Runs both networks on a window (one tensor per slot, (code - 128) / 255).
  package func observe(_ frames: [FloatTensor]) throws {
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

  /// Ratio of the power of full-precision activations to that of the deviation, by operation and slot; nil for inputs that are
  /// not observed, such as frames.
  package func signalToNoise(operation: Int, slot: Int) -> Double? {
    sums[[operation, slot]].flatMap { $0.error > 0 ? $0.power / $0.error : nil }
  }
}
