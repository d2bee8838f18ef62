// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Training

/// The state of a distillation in a safetensors file.
enum DistillationCheckpoint {
  struct State: Codable, Hashable {
    var step: Int
    var seconds: Double
    var settings: DistillationSettings
  }

  private static let key = "videnhance.distillation"

  static func write(_ path: String, state: State, sets: [(String, ParameterSet)]) throws {
    var file = Safetensors()
    file.metadata[key] = String(decoding: try JSONEncoder().encode(state), as: UTF8.self)
    for (name, set) in sets {
      for (index, numbers) in set.layers.enumerated() {
        file.set("\(name).\(index)", shape: [numbers.all.count], floats: Array(numbers.all))
      }
    }
    try file.write(path: path)
  }

  /// Restores the sets; nil if there is no file yet.
  static func read(_ path: String, settings: DistillationSettings, sets: [(String, ParameterSet)]) throws
    -> State?
  {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let file = try Safetensors(path: path)
    guard let text = file.metadata[key],
      let state = try? JSONDecoder().decode(State.self, from: Data(text.utf8)),
      state.settings.training.architecture == settings.training.architecture,
      state.settings.bits == settings.bits
    else { throw TrainingError.otherNetwork(path: path) }
    let kind = state.settings.training.optimizer ?? .adam
    guard kind == settings.training.optimizer ?? .adam else {
      throw TrainingError.otherOptimizer(path: path, kind)
    }
    for (name, set) in sets {
      for (index, numbers) in set.layers.enumerated() {
        let values = try file.floats("\(name).\(index)", count: numbers.all.count)
        _ = numbers.all.update(fromContentsOf: values)
      }
    }
    return state
  }
}
