// SPDX-License-Identifier: Apache-2.0

/// Clipping ranges that follow the level of the noise.
///
/// What a denoising network computes grows with the noise: ranges that hold for 50 levels leave a film with 10 a fifth of the
/// codes. So the steps of a model's activations are multiplied by a factor for each convolution and band of levels; weights
/// stay as they are, since a layer that fuses slots has one factor for all of them.
public struct NoiseBands: Sendable, Equatable {
  /// The greatest `NoiseLevel.code` of each band, ascending.
  public let bounds: [UInt8]
  /// By band and operation: steps of the operation's inputs in this band over those of `QuantizedModel.quantizers`.
  public var factors: [[Float]]

  /// Bounds of the bands that calibration makes: from the highest level down, each 1.75 times the next.
  public static let standardBounds: [UInt8] = [6.7, 11.8, 20.6, 36].map { NoiseLevel.code($0) } + [.max]

  /// Bands as given.
  public init(bounds: [UInt8], factors: [[Float]]) {
    self.bounds = bounds
    self.factors = factors
  }

  /// The band of a level's code.
  public static func index(of code: UInt8, in bounds: [UInt8]) -> Int {
    bounds.firstIndex { code <= $0 } ?? bounds.count - 1
  }

  // MARK: - File

  private static let boundsName = "noise.bounds"
  private static let factorsName = "noise.factors"
  /// More would be a file's mistake.
  private static let most = 16

  /// The bands in a model file; nil where there are none.
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
  /// The band whose ranges serve a window with the given `NoiseLevel.code`; 0 where the model has one range for all.
  public func noiseBand(of code: UInt8?) -> Int {
    guard let noiseBands, let code else { return 0 }
    return NoiseBands.index(of: code, in: noiseBands.bounds)
  }

  /// The model with the ranges of one band, and none beside them.
  public func inNoiseBand(_ band: Int) -> QuantizedModel {
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
  public func atNoiseLevel(_ level: Float) -> QuantizedModel {
    inNoiseBand(noiseBand(of: NoiseLevel.code(level)))
  }
}
