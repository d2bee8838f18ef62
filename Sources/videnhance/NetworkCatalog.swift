// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
import VideoIO

/// Bits of a network's weights and activations.
enum WeightBits: Int, CaseIterable, ExpressibleByArgument {
  case two = 2
  case three = 3
  case four = 4
  case six = 6
  case eight = 8
  case float = 32
}

/// The networks that can be had: those shipped beside the program, and those in files of the user.
enum NetworkCatalog {
  /// A network ready to run on frames of `width` x `height`.
  /// - Parameter bits: nil takes what the file holds, and 4 bits without a file.
  /// - Parameter modelFile: weights to take; nil for those shipped.
  /// - Throws: `ModelError`, or what oneDNN refuses.
  static func network(
    task: EnhancementTask, scale: Int? = nil, bits: WeightBits?, modelFile: String?, width: Int, height: Int,
    threads: Int
  ) throws -> any WindowNetwork {
    let path = try modelFile ?? shipped(task, scale: scale, bits: bits ?? .four)
    let file = try Safetensors(path: path)
    guard QuantizedModel.isQuantized(file) else {
      if let bits, bits != .float {
        throw ModelError.badArchitecture(
          "\(path) holds full-precision weights, not \(bits.rawValue) bits; make an integer model with 'calibrate'")
      }
      let weights = try checked(NetworkWeights(file: file), task)
      try check(weights.architecture, scale, path)
      return try FloatNetwork(weights, width: width, height: height, threads: threads)
    }
    let model = try QuantizedModel(file: file)
    guard model.architecture.task == task else { throw wrongTask(model.architecture, task) }
    try check(model.architecture, scale, path)
    if let bits, bits.rawValue != model.bits {
      throw ModelError.badArchitecture("\(path) holds a model of \(model.bits) bits, not \(bits.rawValue)")
    }
    return try IntegerNetwork(model, width: width, height: height, threads: threads)
  }

  /// What tells the network of a task from any other: its task and the model file's size and hash.
  static func identity(task: EnhancementTask, scale: Int?, bits: WeightBits?, modelFile: String?) -> String {
    // A model that is missing is told of when it is loaded.
    let path = try? modelFile ?? shipped(task, scale: scale, bits: bits ?? .four)
    let print = path.flatMap { try? SourceFingerprint(path: $0) }
    return "\(task.rawValue) \(print.map { "\($0.size) bytes \($0.digest)" } ?? "without model")"
  }

  /// Full-precision weights, shipped or from a file.
  static func weights(task: EnhancementTask, scale: Int? = nil, modelFile: String?) throws -> NetworkWeights {
    let file = try Safetensors(path: modelFile ?? shipped(task, scale: scale, bits: .float))
    if QuantizedModel.isQuantized(file) {
      throw ModelError.badArchitecture("an integer model cannot be calibrated again; pass full-precision weights")
    }
    return try checked(NetworkWeights(file: file), task)
  }

  private static func checked(_ weights: NetworkWeights, _ task: EnhancementTask) throws -> NetworkWeights {
    guard weights.architecture.task == task else { throw wrongTask(weights.architecture, task) }
    return weights
  }

  private static func check(_ architecture: Architecture, _ scale: Int?, _ path: String) throws(ModelError) {
    guard let scale, scale != architecture.scale else { return }
    throw .badArchitecture("\(path) enlarges \(architecture.scale) times, not \(scale)")
  }

  private static func wrongTask(_ architecture: Architecture, _ task: EnhancementTask) -> ModelError {
    .badArchitecture("it is for \(architecture.task.rawValue), not \(task.rawValue)")
  }

  /// Path of the model shipped for a task.
  private static func shipped(_ task: EnhancementTask, scale: Int?, bits: WeightBits) throws(ModelError) -> String {
    let name =
      switch task {
      case .superResolution: "sr-x\(scale ?? 2)-balanced"
      case .denoising: "denoise-balanced"
      case .interpolation: "interp-balanced"
      }
    let file = bits == .float ? name : "\(name)-\(bits.rawValue)bit"
    guard let path = ResourceFolder.path(of: file + ".safetensors") else { throw .notShipped(name: file) }
    return path
  }
}
