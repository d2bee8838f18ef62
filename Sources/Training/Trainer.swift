// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Foundation
import Tensors

/// Trains a network: batches from the pool, shards in parallel, Muon or Adam with a cosine schedule, checkpoints, validation.
package final class Trainer {
  /// The settings of the run.
  package let settings: TrainingSettings
  /// Path of the checkpoint.
  package let checkpointPath: String
  /// Steps done.
  package var step: Int { optimizer.step }

  private let graph: NetworkGraph
  private let parameters: ParameterSet
  private var optimizer: Optimizer
  private let passes: [GradientPass]
  private let source: BatchSource
  private let validation: ValidationSet
  private var loss: CharbonnierLoss
  private var secondsBefore = 0.0
  /// The recipe of the weights that this run started from.
  private let startRecipe: RecipeValue

  /// Prepares a run that continues from the checkpoint if there is one, otherwise from `start` or random weights.
  package init(
    settings: TrainingSettings, data: URL, checkpointPath: String, start: NetworkWeights?,
    log: (String) -> Void
  ) throws {
    self.settings = settings
    self.checkpointPath = checkpointPath
    startRecipe = RecipeValue(recipe: start?.recipe ?? "")
    let architecture = settings.architecture
    let graph = architecture.graph
    self.graph = graph
    parameters = ParameterSet(graph: graph)
    parameters.initialize(graph: graph, seed: settings.seed)
    if architecture.task == .interpolation { parameters.quieten(graph: graph) }
    if let start {
      let names = WarmStart(architecture).copy(start, into: parameters)
      if !names.isEmpty {
        log("random at first, as the start has none of the shape: \(names.joined(separator: ", "))")
      }
    }
    optimizer = Optimizer(like: parameters, kind: settings.optimizer ?? .adam) { ParameterSet(graph: graph) }
    if let state = try Checkpoint.read(
      checkpointPath, architecture: architecture, parameters: parameters, optimizer: &optimizer, graph: graph)
    {
      secondsBefore = state.seconds
      log("continuing at step \(state.step), \(Int(state.seconds / 60)) minutes trained")
    }
    source = try BatchSource(settings: settings, data: data, log: log)
    validation = try ValidationSet(folder: data, architecture: architecture)
    let side = settings.gridSide
    setConvolutionThreads(1)
    passes = try (0..<settings.shards).map { _ in
      try GradientPass(
        graph: graph, batch: settings.batch / settings.shards, height: side, width: side,
        precision: settings.precision)
    }
    loss = CharbonnierLoss(architecture)
    if let width = settings.relativeEpsilon { loss.relativeEpsilon = width }
    loss.isRelative = settings.hasRelativeLoss ?? false
  }

  /// The averaged parameters as a network.
  package var network: NetworkWeights {
    optimizer.average.network(
      settings.architecture,
      recipe: TrainingRecipe(settings: settings, start: startRecipe, steps: optimizer.step).json)
  }

  /// Trains until the end of the run or until `isCancelled` returns true.
  package func run(isCancelled: @escaping () -> Bool, report: @escaping (TrainingReport) throws -> Void)
    throws
  {
    let loop = TrainingLoop(
      minutes: settings.minutes, steps: settings.steps, secondsBefore: secondsBefore,
      operationsPerStep: settings.operationsPerStep)
    let schedule = CosineSchedule(peak: settings.learningRate)
    try loop.run(
      TrainingLoop.Actions(
        advance: { [self] progress in
          let rate = schedule.rate(step: step, progress: progress)
          return (try advance(rate: rate), rate)
        },
        stepCount: { [self] in step },
        validate: { [self] in validation.isEmpty ? nil : try validate() },
        save: { [self] in try save(seconds: $0) },
        isCancelled: isCancelled, report: report))
  }

  private func validate() throws -> ValidationResult {
    let executor = try validation.makeExecutor(graph: graph, precision: settings.precision)
    try executor.setWeights(optimizer.average)
    return try validation.evaluate(lumaChannels: loss.lumaChannels) { try executor.run(frames: $0) }
  }

  private func save(seconds: Double) throws {
    let state = Checkpoint.State(
      step: step, seconds: seconds, architecture: settings.architecture, optimizer: optimizer.kind)
    try Checkpoint.write(
      checkpointPath, state: state, parameters: parameters, optimizer: optimizer, graph: graph)
  }

  /// Runs one step.
  private func advance(rate: Float) throws -> Float {
    let share = 1 / Float(settings.shards)
    let losses = try source.withBatch(step: step) { [self] shard, windows -> Float in
      let pass = passes[shard]
      try pass.setParameters(parameters)
      let (frames, target) = WindowPool.batch(windows)
      let (output, trace) = try pass.executor.runTraced(frames: frames)
      var (value, gradient) = loss(output, target: target, share: share)
      value += addContrast(output, target: target, windows: windows, share: share, to: gradient)
      try pass.backward(trace, outputGradient: gradient)
      return value
    }
    let norm = optimizer.update(parameters, gradients: ParameterSet.sum(passes.map(\.gradients)), rate: rate)
    let value = losses.reduce(0, +)
    guard norm.isFinite, value.isFinite else { throw TrainingError.diverged(step: step) }
    return value
  }

  /// Adds `ContrastLoss` in units of the loss, where errors far below its width count squared, divided by twice the width.
  private func addContrast(
    _ output: FloatTensor, target: FloatTensor, windows: [TrainingWindow], share: Float,
    to gradient: FloatTensor
  ) -> Float {
    guard let contrastWeight = settings.contrastWeight, contrastWeight > 0 else { return 0 }
    let contrast = ContrastLoss(lumaChannels: loss.lumaChannels)
    var total: Float = 0
    for (image, window) in windows.enumerated() {
      let (epsilon, weight) = loss.scale(of: target, image: image)
      let samples = Float(output.pixels * loss.lumaChannels)
      total += contrast.add(
        output, target: target, base: window.base, image: image,
        factor: contrastWeight * weight * share / (samples * epsilon), to: gradient)
    }
    return total
  }
}

/// How weights were trained.
private struct TrainingRecipe: Recipe {
  let settings: TrainingSettings
  let start: RecipeValue
  let steps: Int
  let tool = "videnhance train"
}
