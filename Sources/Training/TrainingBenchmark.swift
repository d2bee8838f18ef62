// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Kernels
import Tensors

/// Times training steps on random numbers without data loading, to measure the arithmetic alone.
package struct TrainingBenchmark {
  private let settings: TrainingSettings

  /// Creates a benchmark of a run's step.
  package init(settings: TrainingSettings) { self.settings = settings }

  /// Seconds of each of `rounds` steps (forward, backward, optimizer), after three warm-up steps.
  package func seconds(rounds: Int) throws -> [Double] {
    let graph = settings.architecture.graph
    let side = settings.gridSide
    let share = settings.batch / settings.shards
    let parameters = ParameterSet(graph: graph)
    parameters.initialize(graph: graph, seed: 1)
    var optimizer = Optimizer(like: parameters, kind: settings.optimizer ?? .adam) {
      ParameterSet(graph: graph)
    }
    let loss = CharbonnierLoss(settings.architecture)
    var random = SplitMix64(seed: 1)
    func tensor(_ channels: Int, _ size: Float) -> FloatTensor {
      let tensor = FloatTensor(batch: share, height: side, width: side, channels: channels)
      for i in 0..<tensor.count { tensor.pointer[i] = random.uniform(-size...size) }
      return tensor
    }
    setConvolutionThreads(1)
    let shards = try (0..<settings.shards).map { _ in
      (
        pass: try GradientPass(
          graph: graph, batch: share, height: side, width: side, precision: settings.precision),
        frames: (0..<settings.architecture.window).map {
          tensor(settings.architecture.channels(ofSlot: $0), 0.5)
        },
        target: tensor(settings.architecture.outputChannels, 0.1)
      )
    }
    var seconds: [Double] = []
    for _ in 0..<rounds + 3 {
      let began = ContinuousClock.now
      _ = try Parallel.map(settings.shards) { index -> Float in
        setConvolutionThreads(1)
        let shard = shards[index]
        try shard.pass.setParameters(parameters)
        let (output, trace) = try shard.pass.executor.runTraced(frames: shard.frames)
        let (value, gradient) = loss(output, target: shard.target, share: 1 / Float(settings.shards))
        try shard.pass.backward(trace, outputGradient: gradient)
        return value
      }
      let total = ParameterSet.sum(shards.map(\.pass.gradients))
      optimizer.update(parameters, gradients: total, rate: 1e-4)
      let took = ContinuousClock.now - began
      seconds.append(Double(took.components.attoseconds) * 1e-18 + Double(took.components.seconds))
    }
    return Array(seconds.dropFirst(3))
  }
}
