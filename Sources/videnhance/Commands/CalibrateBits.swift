// SPDX-License-Identifier: Apache-2.0
import Distillation
import EnhancementModel
import Foundation
import QuantCalibration
import Tensors
import Training

/// `calibrate --max-loss`: chooses the layers that get more bits by the loss on the validation clips of a data folder.
struct BitChooser {
  let network: NetworkWeights
  let validation: ValidationSet
  private let full: Double

  /// - Parameter threads: for the full-precision network.
  init(_ network: NetworkWeights, data: String, threads: Int) throws {
    self.network = network
    validation = try ValidationSet(
      folder: URL(fileURLWithPath: data), architecture: network.architecture, perClip: 4)
    if validation.isEmpty {
      throw ModelError.cannotOpen(
        path: data, reason: "it has no validation clips to measure losses on (hint: make data)")
    }
    full = try validation.gain(of: network, threads: threads)
  }

  /// The model that loses at most `most` dB; prints a line for each raised layer.
  func choose(
    from widths: Calibrator.Widths, most: Double, makeModel: @escaping (Calibrator.Widths) -> QuantizedModel
  ) throws -> QuantizedModel {
    let allocation = BitAllocation(makeModel: makeModel) { [full, validation, network] model in
      full - (try validation.evaluate(model, weights: network, precision: .fastest).meanGain)
    }
    let choice = try allocation.raised(from: widths, most: most) { choice, sensitivities in
      for entry in sensitivities {
        Console.line(
          String(
            format: "  %@ at %d bits: %+.3f dB, %+.2f L64 of 8-bit work",
            entry.layer.padding(toLength: 10, withPad: " ", startingAt: 0), entry.bits, entry.gain, entry.cost
          ))
      }
      let raised = choice.widths.layers.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
      Console.line(
        String(format: "loss %.3f dB, %.2f L64 of 8-bit work", choice.loss, choice.cost)
          + (raised.isEmpty ? "" : "; more bits: " + raised.joined(separator: ", ")))
    }
    if choice.loss > most {
      Console.warning(
        String(
          format: "the loss is still %.3f dB with 8 bits everywhere (hint: videnhance distill)", choice.loss))
    }
    return choice.model
  }
}

extension ValidationSet {
  /// Mean gain over the input of a full-precision network, in dB.
  func gain(of network: NetworkWeights, threads: Int) throws -> Double {
    setConvolutionThreads(threads)
    let executor = try makeExecutor(graph: network.architecture.graph, precision: .float32)
    try executor.setWeights(ParameterSet(network))
    return try evaluate(lumaChannels: network.architecture.lumaChannels) { try executor.run(frames: $0) }
      .meanGain
  }
}
