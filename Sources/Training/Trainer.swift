// SPDX-License-Identifier: Apache-2.0
public import EnhancementModel
public import Foundation
public import Tensors

/// Everything that defines a training run. Written into the weights' recipe.
public struct TrainingSettings: Codable, Hashable, Sendable {
  /// The network.
  public var architecture: Architecture
  /// Length of the whole run, resumed parts included.
  public var minutes: Double
  /// Highest learning rate.
  public var learningRate: Float = 1e-3
  /// Windows in a step.
  public var batch = 8
  /// Parts of a batch that run side by side, one thread each. Part of the run's definition: sums are taken in this order.
  public var shards = 2
  /// Side of the ground truth in pixels.
  public var cropSize = 192
  /// Arithmetic.
  public var precision = FloatPrecision.fastest
  /// Seed of everything random.
  public var seed: UInt64 = 1
  /// How inputs are spoiled.
  public var degradation = Degradation()
  /// Windows held in the pool, and made anew at each step.
  public var poolCapacity = 1500
  /// See `poolCapacity`.
  public var freshPerStep = 2
  /// Weights that the run started from, by name; empty for a random start.
  public var startedFrom = ""

  /// A run of `minutes` for a network.
  public init(architecture: Architecture, minutes: Double) {
    self.architecture = architecture
    self.minutes = minutes
  }

  /// The settings as one line of JSON.
  public var recipe: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}

/// How a run stands.
public struct TrainingReport: Sendable {
  /// Steps done and minutes trained, over all sessions of the run.
  public var step: Int
  /// See `step`.
  public var minutes: Double
  /// Running mean of the loss, in levels of 255.
  public var loss: Double
  /// Current learning rate.
  public var rate: Float
  /// Steps per second and billions of multiply-accumulates per second since the last report.
  public var stepsPerSecond: Double
  /// See `stepsPerSecond`.
  public var gigaOperationsPerSecond: Double
  /// Validation, when this report has one.
  public var validation: ValidationResult?
}

/// Trains a network: batches from the pool, shards in parallel, Adam with a cosine schedule, checkpoints, validation.
public final class Trainer {
  /// The run.
  public let settings: TrainingSettings
  /// Where the state is kept.
  public let checkpointPath: String
  /// Steps done.
  public var step: Int { optimizer.step }

  private let graph: NetworkGraph
  private let parameters: ParameterSet
  private var optimizer: AdamOptimizer
  private let passes: [GradientPass]
  private let maker: WindowMaker
  private let pool: WindowPool
  private let validation: ValidationSet
  private let loss: CharbonnierLoss
  private var secondsBefore = 0.0
  private var runningLoss: Double?

  /// Prepares a run, continuing from the checkpoint if there is one, else from `start`, else from random weights.
  public init(
    settings: TrainingSettings, data: URL, checkpointPath: String, start: NetworkWeights?, log: (String) -> Void
  ) throws {
    self.settings = settings
    self.checkpointPath = checkpointPath
    let architecture = settings.architecture
    graph = architecture.graph
    parameters = ParameterSet(graph: graph)
    parameters.initialize(graph: graph, seed: settings.seed)
    if let start { WarmStart(architecture).copy(start, into: parameters) }
    let graph = graph
    optimizer = AdamOptimizer(like: parameters) { ParameterSet(graph: graph) }
    if let state = try Checkpoint.read(
      checkpointPath, architecture: architecture, parameters: parameters, optimizer: &optimizer, graph: graph)
    {
      secondsBefore = state.seconds
      log("continuing at step \(state.step), \(Int(state.seconds / 60)) minutes trained")
    }
    maker = try WindowMaker(
      folder: data, architecture: architecture, size: settings.cropSize, degradation: settings.degradation, log: log)
    validation = try ValidationSet(folder: data, architecture: architecture)
    pool = WindowPool(capacity: settings.poolCapacity)
    let side = settings.cropSize / architecture.scale / 2
    setConvolutionThreads(1)
    passes = try (0..<settings.shards).map { _ in
      try GradientPass(
        graph: graph, batch: settings.batch / settings.shards, height: side, width: side,
        precision: settings.precision)
    }
    loss = CharbonnierLoss(lumaChannels: 4 * architecture.scale * architecture.scale)
  }

  /// The averaged parameters as a network.
  public var network: NetworkWeights {
    optimizer.average.network(
      settings.architecture,
      recipe: #"{"settings":\#(settings.recipe),"steps":\#(optimizer.step),"tool":"videnhance train"}"#)
  }

  /// Trains until the run's minutes are over or `isCancelled`.
  /// - Parameter report: called about every `reportSeconds`, with a validation every `validationSeconds`.
  public func run(
    reportSeconds: Double = 15, validationSeconds: Double = 150, checkpointSeconds: Double = 240,
    isCancelled: () -> Bool, report: (TrainingReport) throws -> Void
  ) throws {
    let began = Date()
    var (lastReport, lastValidation, lastCheckpoint) = (began, began, began)
    var stepsAtReport = step
    let total = settings.minutes * 60
    var elapsed = secondsBefore
    while elapsed < total && !isCancelled() {
      let rate = CosineSchedule(peak: settings.learningRate).rate(step: step, progress: elapsed / total)
      let value = try advance(rate: rate)
      runningLoss = runningLoss.map { 0.99 * $0 + 0.01 * Double(value) } ?? Double(value)
      let now = Date()
      elapsed = secondsBefore + now.timeIntervalSince(began)
      if now.timeIntervalSince(lastReport) >= reportSeconds {
        let wantsValidation = now.timeIntervalSince(lastValidation) >= validationSeconds
        try report(
          summary(elapsed: elapsed, rate: rate, steps: step - stepsAtReport,
            seconds: now.timeIntervalSince(lastReport), validates: wantsValidation))
        if wantsValidation { lastValidation = Date() }
        (lastReport, stepsAtReport) = (Date(), step)
      }
      if now.timeIntervalSince(lastCheckpoint) >= checkpointSeconds {
        try saveCheckpoint(seconds: elapsed)
        lastCheckpoint = now
      }
    }
    try saveCheckpoint(seconds: elapsed)
    try report(
      summary(elapsed: elapsed, rate: 0, steps: step - stepsAtReport,
        seconds: max(1e-3, Date().timeIntervalSince(lastReport)), validates: true))
  }

  private func summary(
    elapsed: Double, rate: Float, steps: Int, seconds: Double, validates: Bool
  ) throws -> TrainingReport {
    let side = settings.cropSize / settings.architecture.scale / 2
    let operations = 3.0 * Double(graph.operationsPerPoint * settings.batch * side * side)
    let perSecond = Double(steps) / seconds
    return TrainingReport(
      step: step, minutes: elapsed / 60, loss: (runningLoss ?? 0) * 255, rate: rate, stepsPerSecond: perSecond,
      gigaOperationsPerSecond: perSecond * operations / 1e9,
      validation: validates && !validation.isEmpty ? try validate() : nil)
  }

  private func validate() throws -> ValidationResult {
    try validation.evaluate(
      optimizer.average, graph: graph, lumaChannels: loss.lumaChannels, precision: settings.precision)
  }

  private func saveCheckpoint(seconds: Double) throws {
    let state = Checkpoint.State(step: step, seconds: seconds, architecture: settings.architecture)
    try Checkpoint.write(checkpointPath, state: state, parameters: parameters, optimizer: optimizer, graph: graph)
  }

  /// One step.
  private func advance(rate: Float) throws -> Float {
    var random = SplitMix64(seed: settings.seed &* 0x9e37_79b9 &+ UInt64(step) &* 0x1000_0001)
    let fresh = pool.windows.count < settings.poolCapacity ? settings.batch : settings.freshPerStep
    if pool.windows.isEmpty { pool.add(try makeWindows(4 * settings.batch, random: &random), using: &random) }
    let picked = (0..<settings.batch).map { _ in pool.windows[random.index(pool.windows.count)] }
    let seeds = (0..<fresh).map { _ in random.next() }
    let share = 1 / Float(settings.shards)
    let perShard = settings.batch / settings.shards
    let results = try parallel(settings.shards) { [self] shard -> (Float, [TrainingWindow]) in
      setConvolutionThreads(1)
      let pass = passes[shard]
      try pass.setParameters(parameters)
      let (frames, target) = WindowPool.batch(Array(picked[shard * perShard..<(shard + 1) * perShard]))
      let (output, trace) = try pass.executor.runTraced(frames: frames)
      let (value, gradient) = loss(output, target: target, share: share)
      try pass.backward(trace, outputGradient: gradient)
      var made: [TrainingWindow] = []
      for index in stride(from: shard, to: fresh, by: settings.shards) {
        var own = SplitMix64(seed: seeds[index])
        made.append(try maker.make(using: &own))
      }
      return (value, made)
    }
    let norm = optimizer.update(parameters, gradients: GradientPass.sum(passes), rate: rate)
    let value = results.reduce(0) { $0 + $1.0 }
    guard norm.isFinite, value.isFinite else { throw TrainingError.diverged(step: step) }
    for (_, made) in results { pool.add(made, using: &random) }
    return value
  }

  private func makeWindows(_ count: Int, random: inout SplitMix64) throws -> [TrainingWindow] {
    let seeds = (0..<count).map { _ in random.next() }
    let maker = maker
    return try parallel(count) { index in
      var own = SplitMix64(seed: seeds[index])
      return try maker.make(using: &own)
    }
  }
}

/// Runs `body` for 0 ..< count on all cores; results in order, or the first error.
func parallel<R>(_ count: Int, _ body: (Int) throws -> R) throws -> [R] {
  var results: [Result<R, any Error>?] = Array(repeating: nil, count: count)
  results.withUnsafeMutableBufferPointer { buffer in
    nonisolated(unsafe) let slots = buffer  // Each iteration writes its own slot.
    nonisolated(unsafe) let work = body  // Iterations share nothing mutable: each has its own shard or generator.
    DispatchQueue.concurrentPerform(iterations: count) { index in
      slots[index] = Result { try work(index) }
    }
  }
  return try results.map { try $0!.get() }
}

/// Starts a network from another's weights where layers agree: a one-frame network starts the centre slot of a fusing
/// layer, and the neighbours start near zero (02, first experiments).
struct WarmStart {
  let architecture: Architecture

  init(_ architecture: Architecture) { self.architecture = architecture }

  func copy(_ source: NetworkWeights, into parameters: ParameterSet) {
    let from = Dictionary(uniqueKeysWithValues: source.architecture.graph.layers.enumerated().map { ($1.name, $0) })
    let layers = architecture.graph.layers
    for (index, layer) in layers.enumerated() {
      guard let old = from[layer.name] else { continue }
      let oldLayer = source.architecture.graph.layers[old]
      guard oldLayer.inputChannels == layer.inputChannels, oldLayer.outputChannels == layer.outputChannels,
        oldLayer.slots <= layer.slots
      else { continue }
      let numbers = parameters.layers[index]
      let taps = ConvolutionLayer.kernel * ConvolutionLayer.kernel
      let first = (layer.slots - oldLayer.slots) / 2
      for output in 0..<layer.outputChannels {
        for slot in 0..<layer.slots {
          let to = (output * layer.slots + slot) * layer.inputChannels * taps
          let isOld = slot >= first && slot < first + oldLayer.slots
          let at = (output * oldLayer.slots + slot - first) * layer.inputChannels * taps
          for i in 0..<layer.inputChannels * taps {
            numbers.weights[to + i] = isOld ? source.weights[old][at + i] : numbers.weights[to + i] * 0.02
          }
        }
        numbers.biases[output] = source.biases[old][output]
      }
    }
  }
}
