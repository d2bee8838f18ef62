// SPDX-License-Identifier: Apache-2.0

/// Clipping ranges that depend on the noise level.
///
/// Activations of a denoising network grow with the noise: with ranges for 50 levels, a film with 10 uses only a fifth of
/// the codes. So the activation steps of a model are multiplied by a factor per convolution and band of levels. Weights do
/// not change, since a layer that fuses slots has one factor for all of them.
package struct NoiseBands: Sendable, Equatable {
  /// The greatest `NoiseLevel.code` of each band, ascending.
  package let bounds: [UInt8]
  /// By band and operation: steps of the operation's inputs in this band over those of `QuantizedModel.quantizers`.
  package var factors: [[Float]]

  /// Bounds of the bands used by calibration: from the highest level down, each 1.75 times the next.
  package static let standardBounds: [UInt8] = [6.7, 11.8, 20.6, 36].map { NoiseLevel.code($0) } + [.max]

  /// Creates bands from their bounds and factors.
  package init(bounds: [UInt8], factors: [[Float]]) {
    self.bounds = bounds
    self.factors = factors
  }

  /// The band that contains a level's code.
  package static func index(of code: UInt8, in bounds: [UInt8]) -> Int {
    bounds.firstIndex { code <= $0 } ?? bounds.count - 1
  }

  // MARK: - File

  private static let boundsName = "noise.bounds"
  private static let factorsName = "noise.factors"
  /// The most bands that a file may have.
  private static let most = 16

  /// Reads the bands of a model file; nil if there are none.
  init?(file: Safetensors, operations: Int) throws(ModelError) {
    guard let entry = file.tensors[Self.boundsName] else { return nil }
    guard entry.shape.count == 1, (1...Self.most).contains(entry.shape[0]) else {
      throw .missingTensor(name: Self.boundsName)
    }
    let count = entry.shape[0]
    let values = try file.integers(Self.boundsName, count: count)
    guard values.allSatisfy({ (0...255).contains($0) }), zip(values, values.dropFirst()).allSatisfy(<) else {
      throw .missingTensor(name: Self.boundsName)
    }
    let numbers = try file.finiteFloats(Self.factorsName, count: count * operations)
    guard numbers.allSatisfy({ $0 > 0 }) else { throw .missingTensor(name: Self.factorsName) }
    bounds = values.map { UInt8($0) }
    factors = (0..<count).map { Array(numbers[$0 * operations..<($0 + 1) * operations]) }
  }

  /// Adds the bands to a model file.
  func write(to file: inout Safetensors) {
    let all = factors.flatMap { $0 }
    file.set(Self.boundsName, shape: [bounds.count], integers: bounds.map { Int32($0) })
    file.set(Self.factorsName, shape: [bounds.count, all.count / bounds.count], floats: all)
  }
}

extension QuantizedModel {
  /// The band for a window with the given `NoiseLevel.code`; 0 if the model's ranges do not depend on the level.
  package func noiseBand(of code: UInt8?) -> Int {
    guard let noiseBands, let code else { return 0 }
    return NoiseBands.index(of: code, in: noiseBands.bounds)
  }

  /// The model with the ranges of one band only.
  package func inNoiseBand(_ band: Int) -> QuantizedModel {
    guard let noiseBands else { return self }
    var result = self
    result.noiseBands = nil
    for (operation, factor) in noiseBands.factors[band].enumerated() {
      for slot in quantizers[operation].indices where quantizers[operation][slot] != .frame {
        result.quantizers[operation][slot].step *= factor
      }
    }
    return result
  }

  /// The model with the ranges for noise of `level` 8-bit levels.
  package func atNoiseLevel(_ level: Float) -> QuantizedModel {
    inNoiseBand(noiseBand(of: NoiseLevel.code(level)))
  }
}
