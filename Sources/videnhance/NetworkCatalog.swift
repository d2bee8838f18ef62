// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation

/// Bits of a network's weights and activations.
enum WeightBits: Int, CaseIterable, ExpressibleByArgument {
  case four = 4
  case six = 6
  case eight = 8
  case float = 32
}

/// The networks that can be had: those shipped beside the program, and those in files of the user.
enum NetworkCatalog {
  /// A network ready to run on frames of `width` x `height`.
  /// - Parameter modelFile: weights to take; nil for those shipped.
  /// - Throws: `ModelError`, or what oneDNN refuses.
  static func network(
    task: EnhancementTask, bits: WeightBits, modelFile: String?, width: Int, height: Int, threads: Int
  ) throws -> any WindowNetwork {
    guard bits == .float else { throw ModelError.notShipped(name: "\(task.rawValue) at \(bits.rawValue) bits") }
    let weights = try NetworkWeights(path: path(task: task, modelFile: modelFile))
    guard weights.architecture.task == task else {
      throw ModelError.badArchitecture("it is for \(weights.architecture.task.rawValue), not \(task.rawValue)")
    }
    return try FloatNetwork(weights, width: width, height: height, threads: threads)
  }

  /// Name of the weights shipped for a task.
  private static func shippedName(_ task: EnhancementTask) -> String {
    switch task {
    case .superResolution: "sr-x2-balanced"
    }
  }

  private static func path(task: EnhancementTask, modelFile: String?) throws(ModelError) -> String {
    if let modelFile { return modelFile }
    let name = shippedName(task)
    guard let path = ResourceFolder.path(of: name + ".safetensors") else { throw .notShipped(name: name) }
    return path
  }
}
