// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Foundation
package import Tensors
package import Training

/// Everything that defines a distillation. Written into the model's recipe.
package struct DistillationSettings: Codable, Hashable, Sendable {
  /// Batches, data, minutes, seed; with the student's architecture and the learning rate of weights and biases.
  package var training: TrainingSettings
  /// Bits of the student.
  package var bits: Int
  /// Number of codes of the body's activations, if more than in the initial model; nil keeps the initial model's.
  package var activationCodes: Int?
  /// Learning rate of the logarithms of all steps.
  package var stepRate: Float = 1e-3
  /// Share of the ground truth in the loss; the rest is the teachers'.
  package var truthShare: Float = 0.5
  /// Weight of the relative squared distance of the final streams, relative to the output loss; 0 disables it, which yields
  /// better students (docs/lab/quantization.md).
  package var featureWeight: Float = 0
  /// Whether weights are trained, or only clipping ranges and weight steps.
  package var movesWeights = true
  /// Whether the full-precision network is a teacher in addition to the intermediate ones.
  package var usesFullPrecision = true
  /// Fraction of the run over which the full-precision teacher's weight a(t) grows to 1 (PMQ-VE, eq. 6).
  package var teacherWarmUp: Double = 0.2
  /// Bits of the intermediate teachers, which identify them in the recipe.
  package var intermediateBits: [Int] = []

  /// Creates settings for a distillation to `bits` bits.
  package init(training: TrainingSettings, bits: Int) {
    self.training = training
    self.bits = bits
  }
}

/// Progressive multi-teacher distillation (PMTD, PMQ-VE section 3.3): a student of few bits learns from the full-precision
/// network, from models of more bits, and from the ground truth.
///
/// The loss is (L_INT + a(t) L_FP) / (1 + a(t)) over the teachers (eq. 4-6; without intermediate teachers L_FP alone), mixed
/// with the loss relative to the ground truth. Outputs are compared by a Charbonnier loss, as in training, and the input
/// streams of the last layer by their relative squared distance. Teachers run once per window of the pool; their outputs
/// are stored.
package final class Distiller {
  /// The settings of the run.
  package let settings: DistillationSettings
  /// Steps done.
  package var step: Int { valueOptimizer.step }

  private let parameters: QuantizedParameters
  private var valueOptimizer, weightStepOptimizer, activationStepOptimizer: Optimizer
  private let shards: [Shard]
  private let source: BatchSource
  private let validation: ValidationSet
  private let loss: CharbonnierLoss
  private let checkpointPath: String
  private let baseRecipe: RecipeValue
  private var secondsBefore = 0.0

  private struct Shard {
    let student: FakeQuantizedPass
    let teachers: Teachers
  }

  /// Prepares a run that continues from the checkpoint if there is one.
  /// - Parameter calibrated: the initial student.
  /// - Parameter start: the student's real weights; nil for the teacher's.
  /// - Parameter teacher: the full-precision network.
  /// - Parameter intermediates: additional teachers of more bits.
  package init(
    settings: DistillationSettings, calibrated: QuantizedModel, start: NetworkWeights? = nil,
    teacher: NetworkWeights, intermediates: [QuantizedModel], data: URL, checkpointPath: String,
    log: (String) -> Void
  ) throws {
    self.settings = settings
    self.checkpointPath = checkpointPath
    baseRecipe = RecipeValue(recipe: calibrated.recipe)
    let parameters = QuantizedParameters(calibrated, weights: start ?? teacher)
    self.parameters = parameters
    valueOptimizer = Self.optimizer(parameters.values, kind: settings.training.optimizer ?? .adam)
    weightStepOptimizer = Self.optimizer(parameters.weightSteps)
    activationStepOptimizer = Self.optimizer(parameters.activationSteps)
    let training = settings.training
    let architecture = training.architecture
    validation = try ValidationSet(folder: data, architecture: architecture)
    loss = CharbonnierLoss(architecture)
    setConvolutionThreads(1)
    let side = training.gridSide
    let full = ParameterSet(teacher)
    teacherParameters = full
    let shards = try (0..<training.shards).map { _ in
      Shard(
        student: try FakeQuantizedPass(
          parameters, batch: training.batch / training.shards, height: side, width: side,
          precision: training.precision),
        teachers: try Teachers(
          weights: full, network: teacher, intermediates: intermediates, side: side,
          precision: training.precision, streamStep: settings.featureWeight > 0 ? calibrated.streamStep : nil)
      )
    }
    self.shards = shards
    teacherCount = 1 + intermediates.count
    let isTaught = settings.truthShare < 1
    source = try BatchSource(
      settings: training, data: data, log: log, kind: { calibrated.noiseBand(of: $0.noiseCode) }
    ) { shard, window in
      if isTaught { window.teachings = try shards[shard].teachers.teach(window) }
    }
    if let state = try DistillationCheckpoint.read(checkpointPath, settings: settings, sets: sets) {
      secondsBefore = state.seconds
      valueOptimizer.step = state.step
      weightStepOptimizer.step = state.step
      activationStepOptimizer.step = state.step
      log("continuing at step \(state.step), \(Int(state.seconds / 60)) minutes distilled")
    }
  }

  /// Keeps the teacher's weights alive, which executors may read in place.
  private let teacherParameters: ParameterSet
  private let teacherCount: Int

  private static func optimizer(_ set: ParameterSet, kind: OptimizerKind = .adam) -> Optimizer {
    Optimizer(like: set, kind: kind) {
      ParameterSet(
        layers: set.layers.map { LayerNumbers(weightCount: $0.weightCount, biasCount: $0.biasCount) })
    }
  }

  /// The averaged student.
  package var model: QuantizedModel {
    parameters.model(
      values: valueOptimizer.average, weightSteps: weightStepOptimizer.average,
      activationSteps: activationStepOptimizer.average,
      recipe: DistillationRecipe(settings: settings, start: baseRecipe, steps: step).json)
  }

  /// The averaged real weights of the student, from which a student of fewer bits can start.
  package var realWeights: NetworkWeights {
    valueOptimizer.average.network(settings.training.architecture, recipe: model.recipe)
  }

  /// Distills until the end of the run or until `isCancelled` returns true.
  package func run(isCancelled: @escaping () -> Bool, report: @escaping (TrainingReport) throws -> Void)
    throws
  {
    let training = settings.training
    let loop = TrainingLoop(
      minutes: training.minutes, steps: training.steps, secondsBefore: secondsBefore,
      operationsPerStep: training.operationsPerStep)
    let schedule = CosineSchedule(peak: training.learningRate)
    try loop.run(
      TrainingLoop.Actions(
        advance: { [self] progress in
          let rate = schedule.rate(step: step, progress: progress)
          return (try advance(rate: rate, progress: progress), rate)
        },
        stepCount: { [self] in step },
        validate: { [self] in validation.isEmpty ? nil : try validate() },
        save: { [self] in
          try DistillationCheckpoint.write(
            checkpointPath, state: .init(step: step, seconds: $0, settings: settings), sets: sets)
        },
        isCancelled: isCancelled, report: report))
  }

  private var sets: [(String, ParameterSet)] {
    [
      ("values", parameters.values, valueOptimizer),
      ("weightSteps", parameters.weightSteps, weightStepOptimizer),
      ("activationSteps", parameters.activationSteps, activationStepOptimizer),
    ].flatMap { name, set, optimizer in
      [
        (name, set), (name + ".first", optimizer.first), (name + ".second", optimizer.second),
        (name + ".average", optimizer.average),
      ]
    }
  }

  /// Luma PSNR of the averaged student on the validation windows, in the exact arithmetic of the integer kernels.
  private func validate() throws -> ValidationResult {
    try validation.evaluate(model, parameters: parameters, precision: settings.training.precision)
  }

  /// Inputs in units of codes: those of `WindowPool.batch` times 255, rounded.
  static func codes(_ frames: [FloatTensor]) -> [FloatTensor] {
    frames.map { frame in
      let result = FloatTensor(like: frame)
      for i in 0..<frame.count { result.pointer[i] = roundToNearestEven(frame.pointer[i] * 255) }
      return result
    }
  }

  static func scale(_ tensor: FloatTensor, by factor: Float) {
    for i in 0..<tensor.count { tensor.pointer[i] *= factor }
  }

  /// Runs one step.
  private func advance(rate: Float, progress: Double) throws -> Float {
    let model = parameters.model()
    let weights = teacherWeights(progress: progress)
    let losses = try source.withBatch(step: step) { [self] index, windows -> Float in
      let student = shards[index].student
      student.setModel(model)
      return try learn(student, from: windows, weights: weights)
    }
    let value = losses.reduce(0, +)
    let students = shards.map(\.student)
    let norm = valueOptimizer.update(
      parameters.values, gradients: ParameterSet.sum(students.map(\.gradients)),
      rate: settings.movesWeights ? rate : 0)
    // Quantizer steps follow the same schedule with their own peak rate.
    let stepRate = rate * settings.stepRate / settings.training.learningRate
    weightStepOptimizer.update(
      parameters.weightSteps, gradients: ParameterSet.sum(students.map(\.weightStepGradients)), rate: stepRate
    )
    activationStepOptimizer.update(
      parameters.activationSteps, gradients: ParameterSet.sum(students.map(\.activationStepGradients)),
      rate: stepRate)
    guard norm.isFinite, value.isFinite else { throw TrainingError.diverged(step: step) }
    return value
  }

  /// Each teacher's share of the loss: (L_INT + a L_FP) / (1 + a) of the part that is not the ground truth's.
  private func teacherWeights(progress: Double) -> [Float] {
    let rest = 1 - settings.truthShare
    guard teacherCount > 1 else { return [rest] }
    let warmth = Float(min(1, progress / max(1e-6, settings.teacherWarmUp)))
    let a = settings.usesFullPrecision ? warmth : 0
    let each = rest / (1 + a) / Float(teacherCount - 1)
    return [rest * a / (1 + a)] + Array(repeating: each, count: teacherCount - 1)
  }

  /// Runs forward and backward through a shard's student; returns the loss.
  private func learn(
    _ student: FakeQuantizedPass, from windows: [TrainingWindow], weights: [Float]
  ) throws -> Float {
    let (frames, truth) = WindowPool.batch(windows)
    let (output, trace) = try student.forward(frames: Self.codes(frames))
    Self.scale(output, by: 1 / ResidualScale.unitsPerRange)
    let gradient = FloatTensor(like: output)
    gradient.fill(0)
    var value: Float = 0
    let shards = Float(settings.training.shards)
    func compare(with target: FloatTensor, share: Float) {
      let part = loss(output, target: target, share: share / shards)
      accumulate(part.gradient, into: gradient)
      value += part.loss
    }
    if settings.truthShare > 0 { compare(with: truth, share: settings.truthShare) }
    var streamGradient: FloatTensor?
    for (place, share) in weights.enumerated() where share > 0 {
      let target = FloatTensor(like: output)
      Self.fill(target, windows.map { $0.teachings[place].output }, scale: 1 / ResidualScale.unitsPerRange)
      compare(with: target, share: share)
      guard settings.featureWeight > 0, let stream = trace.stream else { continue }
      let total = streamGradient ?? FloatTensor(like: stream)
      if streamGradient == nil { total.fill(0) }
      value += StreamLoss(weight: settings.featureWeight)(
        stream, teachings: windows.map { $0.teachings[place].stream }, share: share / shards, addTo: total)
      streamGradient = total
    }
    Self.scale(gradient, by: 1 / ResidualScale.unitsPerRange)
    try student.backward(trace, outputGradient: gradient, streamGradient: streamGradient)
    return value
  }

  private static func fill(_ tensor: FloatTensor, _ parts: [[Int16]], scale: Float) {
    var to = tensor.pointer
    for part in parts {
      for i in 0..<part.count { to[i] = Float(part[i]) * scale }
      to += part.count
    }
  }
}

extension ValidationSet {
  /// Luma PSNR of a quantized model, in the exact arithmetic of the integer kernels.
  /// - Parameter weights: the full-precision network from which it was quantized.
  package func evaluate(
    _ model: QuantizedModel, weights: NetworkWeights, precision: FloatPrecision
  ) throws -> ValidationResult {
    try evaluate(model, parameters: QuantizedParameters(model, weights: weights), precision: precision)
  }

  func evaluate(
    _ model: QuantizedModel, parameters: QuantizedParameters, precision: FloatPrecision
  ) throws -> ValidationResult {
    let (height, width) = gridExtents
    let pass = try FakeQuantizedPass(parameters, batch: 1, height: height, width: width, precision: precision)
    pass.setModel(model)
    let scale = model.architecture.scale
    return try evaluate(lumaChannels: 4 * scale * scale) { frames in
      let output = try pass.forward(frames: Distiller.codes(frames)).output
      Distiller.scale(output, by: 1 / ResidualScale.unitsPerRange)
      return output
    }
  }
}

/// How an integer model was distilled.
private struct DistillationRecipe: Recipe {
  let method = "pmtd"
  let settings: DistillationSettings
  let start: RecipeValue
  let steps: Int
}
