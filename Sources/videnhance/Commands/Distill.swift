// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Distillation
import EnhancementModel
import Foundation
import QuantCalibration
import Tensors
import Training
import Videnhance

/// Trains an integer model against its full-precision network.
struct Distill: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train an integer model against the float one (PMTD).",
    discussion: """
      Weights, biases and all steps are trained; the forward pass matches the integer kernels bit for bit.

      Example:
        videnhance distill --task sr --bits 4 --data data --minutes 15 \\
          --calibrated sr-4.safetensors --teachers sr-8.safetensors \\
          --checkpoint sr-4.checkpoint -o sr-4-distilled.safetensors
      Run again with the same checkpoint to continue.
      """)

  @Option(help: "Task of the network: sr, denoise or interp.") var task: EnhancementTask =
    .superResolution
  @Option(help: "Upscaling factor of sr: 2 or 4.") var scale: Int?
  @Option(help: "Bits of the student.") var bits: Int = 4
  @Option(help: "Folder of clips and photographs (make data).", completion: .directory) var data: String
  @Option(help: "Length of the run in minutes, including resumed parts.") var minutes: Double?
  @Option(help: "Length of the run in steps, instead of --minutes.") var steps: Int?
  @Option(help: "Calibrated model to start from.", completion: .file()) var calibrated: String
  @Option(
    help: ArgumentHelp("Full-precision weights to use instead of the shipped ones.", valueName: "file"),
    completion: .file())
  var modelFile: String?
  @Option(
    help: ArgumentHelp(
      "Weights to start from instead of the full-precision ones: real weights, or those of an integer model.",
      valueName: "file"
    ), completion: .file())
  var start: String?
  @Option(parsing: .upToNextOption, help: "Additional teachers: models with more bits.", completion: .file())
  var teachers: [String] = []
  @Option(help: "Whether the full-precision network is a teacher in addition to --teachers: on or off.")
  var fullPrecisionTeacher = Switch.on
  @Option(help: "Checkpoint file of the run.", completion: .file()) var checkpoint: String
  @Option(name: .shortAndLong, help: "Output file for the averaged student.", completion: .file()) var output:
    String
  @Option(
    help: ArgumentHelp(
      "Output file for the student's real weights, to start a student of fewer bits from.", valueName: "file"),
    completion: .file())
  var realWeights: String?
  @Option(
    help: ArgumentHelp(
      "Number of values of activations, if more than in --calibrated: 64 with --bits 4, 13 with 3 or 2.",
      valueName: "codes"))
  var activationCodes: Int?
  @Option(help: "Weight of the distance between the final residual streams in the loss; 0 disables it.")
  var featureWeight: Float = 0
  @Option(help: "Whether weights are trained: on, or off to train clipping ranges and weight steps only.")
  var moveWeights =
    Switch.on
  @Option(help: "How weights follow their gradients: adam, or muon for short runs.") var optimizer:
    OptimizerKind = .adam
  @Option(help: "Peak learning rate of weights.") var learningRate: Float = 2e-4
  @Option(help: "Peak learning rate of the logarithms of steps.") var stepRate: Float = 1e-3
  @Option(
    help: "Share of the ground truth in the loss; the rest is the teachers' (default: 0.5, for interp 0).")
  var truthShare: Float?
  @Option(help: "Windows per step.") var batch: Int = 8
  @Option(
    help:
      "Fraction of the inputs that are only downscaled, not degraded (default: 0.7, 0.25 for real footage).")
  var cleanShare: Float?
  @Option(help: "Fraction of the denoising windows that are defocused; half as many are darkened.")
  var varietyShare: Float = 0.3
  @Option(help: "Random seed.") var seed: UInt64 = 1

  func validate() throws {
    if (minutes == nil) == (steps == nil) { throw ValidationError("pass --minutes or --steps") }
    if minutes ?? 1 <= 0 { throw ValidationError("--minutes must be positive") }
    if steps ?? 1 < 1 { throw ValidationError("--steps must be positive") }
    try Calibrate.check(activationCodes: activationCodes, weightBits: bits)
    if featureWeight < 0 { throw ValidationError("--feature-weight must be 0 or more") }
    if batch < 2 || batch % 2 != 0 { throw ValidationError("--batch must be even") }
    if !(0...1).contains(truthShare ?? 0) { throw ValidationError("--truth-share must be 0 to 1") }
  }

  func run() throws {
    let teacher = try NetworkCatalog.weights(NetworkChoice(task, scale: scale, modelFile: modelFile))
    var model = try QuantizedModel(path: calibrated)
    if let activationCodes { model.refineActivations(levels: Int32(activationCodes) - 1) }
    let weights = try start.map { path in
      let file = try Safetensors(path: path)
      return QuantizedModel.isQuantized(file)
        ? try QuantizedModel(file: file).realWeights : try NetworkWeights(file: file)
    }
    guard model.architecture == teacher.architecture, model.bits == bits,
      weights.map({ $0.architecture == teacher.architecture }) ?? true
    else {
      throw ModelError.badArchitecture(
        "\(calibrated) is not a \(bits)-bit model of the full-precision network")
    }
    let intermediates = try teachers.map { try QuantizedModel(path: $0) }
    guard intermediates.allSatisfy({ $0.architecture == teacher.architecture }) else {
      throw ModelError.badArchitecture("a teacher is another network than the student")
    }
    var training = TrainingSettings(architecture: teacher.architecture, minutes: minutes ?? 0)
    training.steps = steps
    training.optimizer = optimizer
    training.learningRate = learningRate
    training.batch = batch
    training.seed = seed
    // Creating a window and running three teachers on it costs as much as three steps with it.
    training.freshPerStep = 1
    if let cleanShare {
      training.degradation.cleanShare = cleanShare
    } else if !teacher.architecture.takesQuantizers {
      training.degradation.cleanShare = 0.7
    }
    if task == .denoising { training.degradation.varietyShare = varietyShare }
    var settings = DistillationSettings(training: training, bits: bits)
    settings.activationCodes = activationCodes
    settings.stepRate = stepRate
    // Most of the difference between a frame and its interpolation cannot be predicted from the neighbours. Its gradients
    // are noise, in which a network of few bits loses its way (docs/lab/quantization.md).
    settings.truthShare = truthShare ?? (task == .interpolation ? 0 : 0.5)
    settings.featureWeight = featureWeight
    settings.movesWeights = moveWeights == .on
    settings.usesFullPrecision = fullPrecisionTeacher == .on
    settings.intermediateBits = intermediates.map(\.bits)
    let interrupt = Interrupt()
    let distiller = try Distiller(
      settings: settings, calibrated: model, start: weights, teacher: teacher, intermediates: intermediates,
      data: URL(fileURLWithPath: data), checkpointPath: checkpoint, log: { Console.line($0) })
    try distiller.run(isCancelled: { interrupt.isSet }) { report in
      Console.line(Train.line(report))
      guard report.validation != nil else { return }
      try distiller.model.file.write(path: output)
      if let realWeights { try distiller.realWeights.file.write(path: realWeights) }
    }
  }
}
