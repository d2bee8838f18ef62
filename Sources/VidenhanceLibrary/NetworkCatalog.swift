// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import EnhancementPipeline
internal import Foundation
internal import VideoIO

/// Selects the network for a task: a shipped one, or one from a file.
package struct NetworkChoice: Sendable, Hashable {
  /// The task.
  package var task: EnhancementTask
  /// Upscaling factor of super-resolution; nil means that of the file, or 2 without a file.
  package var scale: Int?
  /// Bits of weights and activations; nil means those of the file, or 4 without a file.
  package var bits: NetworkBits?
  /// Tier of the shipped network; ignored if a file is given. `EnhancementTask.usualTier` is what users get by default.
  package var tier: NetworkTier
  /// The kind of source; ignored if a file is given. `EnhancementJob` resolves `auto`; elsewhere it means `real`.
  package var source: SourceKind
  /// A file of weights or a quantized model; nil for a shipped network.
  package var modelFile: String?
  /// Mirror images of each window whose results are averaged.
  package var ensemble: Ensemble
  /// The folder of the shipped models; nil searches relative to the program.
  package var modelFolder: String?

  /// Creates a choice.
  package init(
    _ task: EnhancementTask, scale: Int? = nil, bits: NetworkBits? = nil, tier: NetworkTier = .balanced,
    source: SourceKind = .auto, modelFile: String? = nil, ensemble: Ensemble = .one
  ) {
    self.task = task
    self.scale = scale
    self.bits = bits
    self.tier = tier
    self.source = source
    self.modelFile = modelFile
    self.ensemble = ensemble
  }

  /// The shipped model that is used if no file is given.
  package var shippedModel: ShippedModel { shipped(bits ?? .four, scale: scale) }

  /// Whether there is no network: frames are blended along their motion (`BlendNetwork`).
  package var isMotionAlone: Bool { task == .interpolation && tier == .fast && modelFile == nil }

  /// The name of what runs if no file is given, such as `sr-x2-balanced-4bit`.
  package var name: String { isMotionAlone ? "motion compensation" : shippedModel.name }

  /// If there is no separate model for real footage, one model serves both kinds; the kind matters more than the tier.
  private func shipped(_ bits: NetworkBits, scale: Int?) -> ShippedModel {
    let kinds = source == .clean ? [""] : ["-real", ""]
    let models = kinds.flatMap { kind in
      tier.candidates.map { ShippedModel(family: family($0, scale: scale) + kind, bits: bits) }
    }
    return models.first { $0.path(in: modelFolder) != nil } ?? models[models.count - 1]
  }

  private func family(_ tier: NetworkTier, scale: Int?) -> String {
    switch task {
    case .superResolution: "sr-x\(scale ?? 2)-\(tier.rawValue)"
    // See `enlargingForRestoration`.
    case .restoration: "sr-x2-\(tier.rawValue)"
    case .denoising, .interpolation: "\(task.rawValue)-\(tier.rawValue)"
    }
  }

  /// The upscaling factors of the available networks; other sizes are reached by resampling. A network from a file counts as
  /// having the requested scale.
  ///
  /// For real footage, x2 and a resampler give better results than a network for x4 that is trained on clean sources, and are
  /// used where there is no other (docs/lab/real-footage.md).
  var scales: [Int] {
    if let scale, modelFile != nil { return [scale] }
    if tier.scales == [2] { return [2] }
    func hasReal(_ scale: Int) -> Bool { shipped(bits ?? .four, scale: scale).family.hasSuffix("-real") }
    return source != .clean && hasReal(2) && !hasReal(4) ? [2] : [2, 4]
  }

  /// The network for twice the size whose frames, resampled to the size of the source, are its restoration; nil for other
  /// tasks and a network from a file.
  ///
  /// This gives better results than the networks trained for restoration, at the same cost (docs/lab/real-footage.md).
  package var enlargingForRestoration: NetworkChoice? {
    guard task == .restoration, modelFile == nil else { return nil }
    var result = self
    (result.task, result.scale) = (.superResolution, 2)
    return result
  }

  /// Returns the choice for a source of known quality, if it depends on that.
  package func adapted(to survey: SourceSurvey) -> NetworkChoice {
    guard source == .auto, modelFile == nil else { return self }
    var result = self
    result.source = survey.isPristine ? .clean : .real
    return result
  }

  /// The path of the model file.
  /// - Throws: `ModelError.notShipped`; `cannotOpen` if a folder is given and lacks the model.
  package func path(bits: NetworkBits? = nil) throws(ModelError) -> String {
    if let modelFile { return modelFile }
    let model = shipped(bits ?? self.bits ?? .four, scale: scale)
    if let path = model.path(in: modelFolder) { return path }
    if let modelFolder {
      throw .cannotOpen(path: "\(modelFolder)/\(model.name).safetensors", reason: "no such file")
    }
    throw .notShipped(name: model.name)
  }
}

extension NetworkChoice {
  /// Identifies the network: its task, and its file's size and hash.
  var identity: String {
    let images = ensemble != .one ? ", ensemble of \(ensemble.rawValue)" : ""
    if isMotionAlone { return "\(task.rawValue) without network\(images)" }
    // A missing model is reported when it is loaded.
    let print = (try? path()).flatMap { try? SourceFingerprint(path: $0) }
    return "\(task.rawValue) \(print.map { "\($0.size) bytes \($0.digest)" } ?? "without model")\(images)"
  }
}

/// The available networks: those shipped with the program, and those in the user's files.
package enum NetworkCatalog {
  /// Creates a network for frames of `width` x `height` (even).
  /// - Throws: `ModelError` or `ConvolutionError`.
  package static func network(
    _ choice: NetworkChoice, width: Int, height: Int, threads: Int
  ) throws -> any WindowNetwork {
    func single() throws -> any WindowNetwork {
      try self.single(choice, width: width, height: height, threads: threads)
    }
    guard choice.ensemble != .one else { return try single() }
    return MirroredNetwork(try (0..<choice.ensemble.rawValue).map { _ in try single() }, threads: threads)
  }

  private static func single(
    _ choice: NetworkChoice, width: Int, height: Int, threads: Int
  ) throws -> any WindowNetwork {
    if choice.isMotionAlone { return BlendNetwork(width: width, height: height, threads: threads) }
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
      throw ModelError.otherNetwork(path: path, detail: "of \(model.bits) bits, not \(bits.rawValue)")
    }
    return try IntegerNetwork(model, width: width, height: height, threads: threads)
  }

  /// The network in a file of weights or a quantized model.
  /// - Throws: `ModelError`.
  static func architecture(path: String) throws -> Architecture {
    let file = try Safetensors(path: path)
    return QuantizedModel.isQuantized(file)
      ? try QuantizedModel(file: file).architecture : try NetworkWeights(file: file).architecture
  }

  /// Full-precision weights, shipped or from a file.
  /// - Throws: `ModelError`.
  package static func weights(_ choice: NetworkChoice) throws -> NetworkWeights {
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
      throw .otherNetwork(
        path: path, detail: "for \(architecture.task.rawValue), not \(choice.task.rawValue)")
    }
    guard let scale = choice.scale, scale != architecture.scale else { return }
    throw .otherNetwork(path: path, detail: "that enlarges \(architecture.scale) times, not \(scale)")
  }
}
