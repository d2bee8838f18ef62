// SPDX-License-Identifier: Apache-2.0
package import Tensors

/// A network in floating point (`--bits 32`).
package final class FloatNetwork: WindowNetwork {
  /// The network's architecture.
  package let architecture: Architecture
  /// See `WindowNetwork`.
  package private(set) var noiseCode: UInt8?

  private let weights: NetworkWeights
  private let executor: FloatExecutor
  private let packer: WindowPacker
  private let threads: Int

  /// Prepares a network for frames of `width` x `height` (even) on `threads` threads.
  package init(
    _ weights: NetworkWeights, width: Int, height: Int, threads: Int, precision: FloatPrecision = .float32
  ) throws {
    architecture = weights.architecture
    self.weights = weights
    self.threads = threads
    packer = WindowPacker(weights.architecture, threads: threads)
    setConvolutionThreads(threads)
    executor = try FloatExecutor(
      graph: architecture.graph, batch: 1, height: height / 2, width: width / 2, precision: precision,
      training: false)
    for index in architecture.graph.layers.indices {
      try weights.weights[index].withUnsafeBufferPointer { values in
        try weights.biases[index].withUnsafeBufferPointer { biases in
          // The arrays are held by `self.weights`, so the pointers stay valid as long as the executor.
          try executor.setWeights(layer: index, values.baseAddress!, bias: biases.baseAddress!)
        }
      }
    }
  }

  /// See `WindowNetwork`.
  package func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) throws -> Prediction {
    // The thread count is a property of the calling thread, and tasks may switch threads.
    setConvolutionThreads(threads)
    let (prepared, codes) = profile.measure("motion, packing") {
      let prepared = packer.prepare(window, at: instant, given: conditions)
      return (prepared, prepared.codes())
    }
    noiseCode = prepared.noiseCode
    let output = try profile.measure("network") {
      try executor.run { slot in
        WindowPacker.floats(codes[slot], architecture.channels(ofSlot: slot), like: window[0])
      }
    }
    let result = Residual(gridWidth: output.width, gridHeight: output.height, channels: output.channels)
    for i in 0..<output.count {
      let units = (output.pointer[i] * ResidualScale.unitsPerRange).rounded(.toNearestOrEven)
      // Clamping would turn these into white spots.
      guard units.isFinite else { throw ModelError.notFinite }
      result.values[i] = Int16(max(-32768, min(32767, units)))
    }
    guard architecture.isMasked, let alignment = prepared.alignment else {
      return Prediction(residual: result, alignment: prepared.alignment)
    }
    return Prediction(
      residual: BlendMask.apply(result, warped: alignment.warped, threads: threads), alignment: alignment)
  }
}
