// SPDX-License-Identifier: Apache-2.0
public import EnhancementModel
public import EnhancementPipeline
internal import Foundation
internal import VideoIO

/// Which network does a task: one of those shipped, or one from a file.
public struct NetworkChoice: Sendable, Hashable {
  /// What is done.
  public var task: EnhancementTask
  /// Enlargement of width and height by super-resolution; nil is what the file holds, and 2 without a file.
  public var scale: Int?
  /// Bits of weights and activations; nil is what the file holds, and 4 without a file.
  public var bits: NetworkBits?
  /// How much is computed, where no file is given.
  public var tier: NetworkTier
  /// What the source has been through, where no file is given. `auto` is decided by `EnhancementJob`, and `real` elsewhere.
  public var source: SourceKind
  /// A file of weights or of a model; nil for those shipped.
  public var modelFile: String?

  /// A choice.
  public init(
    _ task: EnhancementTask, scale: Int? = nil, bits: NetworkBits? = nil, tier: NetworkTier = .balanced,
    source: SourceKind = .auto, modelFile: String? = nil
  ) {
    self.task = task
    self.scale = scale
    self.bits = bits
    self.tier = tier
    self.source = source
    self.modelFile = modelFile
  }

  /// The shipped model that it means where no file is given.
  public var shippedModel: ShippedModel { shipped(bits ?? .four) }

  private func shipped(_ bits: NetworkBits) -> ShippedModel {
    let name = task == .superResolution ? "sr-x\(scale ?? 2)" : task.rawValue
    let family = "\(name)-\(tier.rawValue)"
    // Where no model was trained for real footage, one does both.
    let real = ShippedModel(family: "\(family)-real", bits: bits)
    return source != .clean && real.path != nil ? real : ShippedModel(family: family, bits: bits)
  }

  /// The choice for a source of known quality, where it is still open.
  public func adapted(to survey: SourceSurvey) -> NetworkChoice {
    guard source == .auto, modelFile == nil else { return self }
    var result = self
    result.source = survey.isPristine ? .clean : .real
    return result
  }

  /// The file that is read.
  /// - Throws: `ModelError.notShipped`.
  public func path(bits: NetworkBits? = nil) throws(ModelError) -> String {
    if let modelFile { return modelFile }
    let model = shipped(bits ?? self.bits ?? .four)
    guard let path = model.path else { throw .notShipped(name: model.name) }
    return path
  }
}

extension NetworkChoice {
  /// What tells the network from any other: its task, and its file's size and hash.
  var identity: String {
    // A model that is missing is told of when it is loaded.
    let print = (try? path()).flatMap { try? SourceFingerprint(path: $0) }
    return "\(task.rawValue) \(print.map { "\($0.size) bytes \($0.digest)" } ?? "without model")"
  }
}

/// The networks that can be had: those shipped beside the program, and those in files of the user.
public enum NetworkCatalog {
  /// A network ready to run on frames of `width` x `height` (even).
  /// - Throws: `ModelError`, or what oneDNN refuses.
  public static func network(
    _ choice: NetworkChoice, width: Int, height: Int, threads: Int
  ) throws -> any WindowNetwork {
    let path = try choice.path()
    let file = try Safetensors(path: path)
    guard QuantizedModel.isQuantized(file) else {
      if let bits = choice.bits, bits != .float {
        throw ModelError.badArchitecture(
          "\(path) holds full-precision weights, not \(bits.rawValue) bits; make an integer model with 'calibrate'"
        )
      }
      let weights = try NetworkWeights(file: file)
      try check(weights.architecture, choice, path)
      return try FloatNetwork(weights, width: width, height: height, threads: threads)
    }
    let model = try QuantizedModel(file: file)
    try check(model.architecture, choice, path)
    if let bits = choice.bits, bits.rawValue != model.bits {
      throw ModelError.badArchitecture("\(path) holds a model of \(model.bits) bits, not \(bits.rawValue)")
    }
    return try IntegerNetwork(model, width: width, height: height, threads: threads)
  }

  /// Full-precision weights, shipped or from a file.
  /// - Throws: `ModelError`.
  public static func weights(_ choice: NetworkChoice) throws -> NetworkWeights {
    let path = try choice.path(bits: .float)
    let file = try Safetensors(path: path)
    if QuantizedModel.isQuantized(file) {
      throw ModelError.badArchitecture(
        "an integer model cannot be calibrated again; pass full-precision weights")
    }
    let weights = try NetworkWeights(file: file)
    try check(weights.architecture, choice, path)
    return weights
  }

  private static func check(_ architecture: Architecture, _ choice: NetworkChoice, _ path: String)
    throws(ModelError)
  {
    guard architecture.task == choice.task else {
      throw .badArchitecture("it is for \(architecture.task.rawValue), not \(choice.task.rawValue)")
    }
    guard let scale = choice.scale, scale != architecture.scale else { return }
    throw .badArchitecture("\(path) enlarges \(architecture.scale) times, not \(scale)")
  }
}
