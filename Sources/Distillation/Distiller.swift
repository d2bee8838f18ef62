// SPDX-License-Identifier: Apache-2.0
public import EnhancementModel
public import Foundation
public import Tensors
public import Training

/// Everything that defines a distillation. Written into the model's recipe.
public struct DistillationSettings: Codable, Hashable, Sendable {
  /// Batches, data, minutes, seed; its architecture is the student's. Its learning rate is that of weights and biases.
  public var training: TrainingSettings
  /// Bits of the student.
  public var bits: Int
  /// Learning rate of the logarithms of all steps.
  public var stepRate: Float = 1e-3
  /// Share of the ground truth in the loss; the rest is the teachers'.
  public var truthShare: Float = 0.5
  /// Part of the run over which the full-precision teacher's weight a(t) grows to 1 (PMQ-VE, eq. 6).
  public var teacherWarmUp: Double = 0.2
  /// Bits of the intermediate teachers, by which their models are named in the recipe.
  public var intermediateBits: [Int] = []

  /// Settings of a distillation to `bits` bits.
  public init(training: TrainingSettings, bits: Int) {
    self.training = training
    self.bits = bits
  }
}

/// Progressive multi-teacher distillation (PMTD, PMQ-VE section 3.3): a student of few bits learns from the full-precision
/// network and from students of more bits, and from the ground truth.
///
/// The loss is (L_INT + a(t) L_FP) / (1 + a(t)) over the teachers' outputs (eq. 4-6; without intermediate teachers L_FP
/// alone), mixed with the loss against the truth. Each part is a Charbonnier loss, as in training.
public final class Distiller {
  /// The run.
  public let settings: DistillationSettings
  /// Steps done.
  public var step: Int { valueOptimizer.step }

  private let parameters: QuantizedParameters
  private var valueOptimizer, weightStepOptimizer, activationStepOptimizer: AdamOptimizer
  private let shards: [Shard]
  private let source: BatchSource
  private let validation: ValidationSet
  private let loss: CharbonnierLoss
  private let checkpointPath: String
  private let baseRecipe: String
  private var secondsBefore = 0.0

  private struct Shard {
    let student: FakeQuantizedPass
    let teacher: FloatExecutor
    let intermediates: [FakeQuantizedPass]
  }

  /// Prepares a run, continuing from the checkpoint if there is one.
  /// - Parameter calibrated: the model that the student starts from.
  /// - Parameter teacher: the full-precision network that it was made of.
  /// - Parameter intermediates: models of more bits that teach as well.
  public init(
    settings: DistillationSettings, calibrated: QuantizedModel, teacher: NetworkWeights,
    intermediates: [QuantizedModel], data: URL, checkpointPath: String, log: (String) -> Void
  ) throws {
    self.settings = settings
    self.checkpointPath = checkpointPath
    baseRecipe = calibrated.recipe
    let parameters = QuantizedParameters(calibrated, weights: teacher)
    self.parameters = parameters
    valueOptimizer = Self.optimizer(parameters.values)
    weightStepOptimizer = Self.optimizer(parameters.weightSteps)
    activationStepOptimizer = Self.optimizer(parameters.activationSteps)
    let training = settings.training
    let architecture = training.architecture
    source = try BatchSource(settings: training, data: data, log: log)
    validation = try ValidationSet(folder: data, architecture: architecture)
    loss = CharbonnierLoss(architecture)
    setConvolutionThreads(1)
    let (side, share) = (training.gridSide, training.batch / training.shards)
    let full = ParameterSet(teacher)
    teacherParameters = full
    shards = try (0..<training.shards).map { _ in
      let executor = try FloatExecutor(
        graph: architecture.graph, batch: share, height: side, width: side, precision: training.precision,
        training: false)
      for (index, layer) in full.layers.enumerated() {
        try executor.setWeights(layer: index, layer.weights, bias: layer.biases)
      }
      func pass(_ parameters: QuantizedParameters) throws -> FakeQuantizedPass {
        try FakeQuantizedPass(
          parameters, batch: share, height: side, width: side, precision: training.precision)
      }
      return Shard(
        student: try pass(parameters), teacher: executor,
        intermediates: try intermediates.map { model in
          let fixed = try pass(QuantizedParameters(model, weights: teacher))
          try fixed.setModel(model, plan: IntegerPlan(model))
          return fixed
        })
    }
    if let state = try DistillationCheckpoint.read(checkpointPath, settings: settings, sets: sets) {
      secondsBefore = state.seconds
      valueOptimizer.step = state.step
      weightStepOptimizer.step = state.step
      activationStepOptimizer.step = state.step
      log("continuing at step \(state.step), \(Int(state.seconds / 60)) minutes distilled")
    }
  }

  /// Holds the teacher's weights, which executors may read in place.
  private let teacherParameters: ParameterSet

  private static func optimizer(_ set: ParameterSet) -> AdamOptimizer {
    AdamOptimizer(like: set) {
      ParameterSet(
        layers: set.layers.map { LayerNumbers(weightCount: $0.weightCount, biasCount: $0.biasCount) })
    }
  }

  /// The averaged student.
  public var model: QuantizedModel {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text = (try? encoder.encode(settings)).map { String(decoding: $0, as: UTF8.self) } ?? "null"
    return parameters.model(
      values: valueOptimizer.average, weightSteps: weightStepOptimizer.average,
      activationSteps: activationStepOptimizer.average,
      recipe: #"{"method":"pmtd","settings":\#(text),"start":\#(baseRecipe),"steps":\#(step)}"#)
  }

  /// Distills until the run's minutes are over or `isCancelled`.
  public func run(isCancelled: @escaping () -> Bool, report: @escaping (TrainingReport) throws -> Void) throws
  {
    let training = settings.training
    let loop = TrainingLoop(
      minutes: training.minutes, secondsBefore: secondsBefore, operationsPerStep: training.operationsPerStep)
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

  /// Inputs in units of codes: what `WindowPool.batch` gives, times 255, whole again.
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

  /// One step.
  private func advance(rate: Float, progress: Double) throws -> Float {
    let model = parameters.model()
    let plan = try IntegerPlan(model)
    let a = Float(min(1, progress / max(1e-6, settings.teacherWarmUp)))
    let losses = try source.withBatch(step: step) { [self] index, windows -> Float in
      let shard = shards[index]
      try shard.student.setModel(model, plan: plan)
      let (frames, truth) = WindowPool.batch(windows)
      let codes = Self.codes(frames)
      let (output, trace) = try shard.student.forward(frames: codes)
      Self.scale(output, by: 1 / ResidualScale.unitsPerRange)
      var targets = [(truth, settings.truthShare)]
      let rest = 1 - settings.truthShare
      if rest > 0 {
        let full = try shard.teacher.run(frames: frames)
        let count = Float(shard.intermediates.count)
        targets.append((full, count == 0 ? rest : rest * a / (1 + a)))
        for teacher in shard.intermediates {
          let target = try teacher.forward(frames: codes).output
          Self.scale(target, by: 1 / ResidualScale.unitsPerRange)
          targets.append((target, rest / (1 + a) / count))
        }
      }
      let gradient = FloatTensor(like: output)
      gradient.fill(0)
      var value: Float = 0
      for (target, share) in targets where share > 0 {
        let part = loss(output, target: target, share: share / Float(settings.training.shards))
        accumulate(part.gradient, into: gradient)
        value += part.loss
      }
      Self.scale(gradient, by: 1 / ResidualScale.unitsPerRange)
      try shard.student.backward(trace, outputGradient: gradient)
      return value
    }
    let value = losses.reduce(0, +)
    let students = shards.map(\.student)
    let norm = valueOptimizer.update(
      parameters.values, gradients: ParameterSet.sum(students.map(\.gradients)), rate: rate)
    // Steps follow the same schedule at their own height.
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
}

extension ValidationSet {
  /// Luma PSNR of a quantized model, in the exact arithmetic of the integer kernels.
  /// - Parameter weights: the full-precision network that it was made of.
  public func evaluate(
    _ model: QuantizedModel, weights: NetworkWeights, precision: FloatPrecision
  ) throws -> ValidationResult {
    try evaluate(model, parameters: QuantizedParameters(model, weights: weights), precision: precision)
  }

  func evaluate(
    _ model: QuantizedModel, parameters: QuantizedParameters, precision: FloatPrecision
  ) throws -> ValidationResult {
    let (height, width) = gridExtents
    let pass = try FakeQuantizedPass(parameters, batch: 1, height: height, width: width, precision: precision)
    try pass.setModel(model, plan: IntegerPlan(model))
    let scale = model.architecture.scale
    return try evaluate(lumaChannels: 4 * scale * scale) { frames in
      let output = try pass.forward(frames: Distiller.codes(frames)).output
      Distiller.scale(output, by: 1 / ResidualScale.unitsPerRange)
      return output
    }
  }
}
