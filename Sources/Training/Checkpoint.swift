// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation

/// The state of a training run in a safetensors file: parameters, moments, average, counters.
struct Checkpoint {
  struct State: Codable, Hashable {
    var step: Int
    var seconds: Double
    var architecture: Architecture
    /// Of the optimizer; nil, as before there was a choice, is Adam.
    var optimizer: OptimizerKind?
  }

  static let key = "videnhance.training"

  static func write(
    _ path: String, state: State, parameters: ParameterSet, optimizer: Optimizer, graph: NetworkGraph
  ) throws {
    var file = Safetensors()
    file.metadata[key] = String(decoding: try JSONEncoder().encode(state), as: UTF8.self)
    for (kind, set) in kinds(parameters, optimizer) {
      for (layer, numbers) in zip(graph.layers, set.layers) {
        file.set("\(layer.name).\(kind)", shape: [numbers.all.count], floats: Array(numbers.all))
      }
    }
    try file.write(path: path)
  }

  /// Restores parameters and optimiser; nil if there is no file yet.
  static func read(
    _ path: String, architecture: Architecture, parameters: ParameterSet, optimizer: inout Optimizer,
    graph: NetworkGraph
  ) throws -> State? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let file = try Safetensors(path: path)
    guard let text = file.metadata[key],
      let state = try? JSONDecoder().decode(State.self, from: Data(text.utf8)),
      state.architecture == architecture
    else { throw TrainingError.otherNetwork(path: path) }
    let kind = state.optimizer ?? .adam
    guard kind == optimizer.kind else { throw TrainingError.otherOptimizer(path: path, kind) }
    for (kind, set) in kinds(parameters, optimizer) {
      for (layer, numbers) in zip(graph.layers, set.layers) {
        let values = try file.floats("\(layer.name).\(kind)", count: numbers.all.count)
        _ = numbers.all.update(fromContentsOf: values)
      }
    }
    optimizer.step = state.step
    return state
  }

  private static func kinds(_ parameters: ParameterSet, _ optimizer: Optimizer) -> [(
    String, ParameterSet
  )] {
    [
      ("value", parameters), ("first", optimizer.first), ("second", optimizer.second),
      ("average", optimizer.average),
    ]
  }
}
