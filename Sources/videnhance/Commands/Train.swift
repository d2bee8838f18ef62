// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import Foundation
internal import Tensors
import Training

/// Trains a network from clips and photographs.
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a network from clips and photographs.",
    discussion: """
      Example:
        videnhance train --task sr --data data --minutes 60 \\
          --checkpoint sr.checkpoint --output sr.safetensors

      Run again with the same checkpoint to continue; Ctrl-C writes a checkpoint and stops.
      """)

  @Option(help: "Task of the network: sr, restore, denoise or interp.") var task: EnhancementTask =
    .superResolution
  @Option(help: "Upscaling factor of sr: 2 or 4 (default: 2).") var scale: Int?
  @Option(help: "Folder of clips and photographs (make data).", completion: .directory) var data: String
  @Option(help: "Length of the run in minutes, including resumed parts.") var minutes: Double?
  @Option(help: "Length of the run in steps, instead of --minutes.") var steps: Int?
  @Option(help: "Checkpoint file of the run.", completion: .file()) var checkpoint: String
  @Option(
    help: "Output file for the averaged weights, written with every checkpoint report.", completion: .file())
  var output: String?
  @Option(help: "Weights to start from.", completion: .file()) var start: String?
  @Option(help: "Number of frames in a window (odd).") var window: Int?
  @Option(help: "Number of residual blocks.") var blocks: Int?
  @Option(help: "Number of channels of the residual stream.") var channels: Int?
  @Option(help: "Number of channels of each frame's encoding.") var encoderChannels: Int?
  @Option(
    help: "How the frames of the window are fused: convolution or attention (default: convolution).")
  var fusion: WindowFusion?
  @Option(
    help:
      "Number of heads of fusion by attention, of \(SlotAttention.headChannels) channels each (default: \(Architecture.defaultHeads))."
  )
  var heads: Int?
  @Option(help: "Whether interpolation learns a blend mask that weights the two frames: on or off.") var mask:
    Switch = .on
  @Option(
    help:
      "How weights follow their gradients: adam or muon (default: muon for sr from random weights, else adam)."
  )
  var optimizer: OptimizerKind?
  @Option(help: "Peak learning rate.") var learningRate: Float = 1e-3
  @Option(help: "Windows per step.") var batch: Int = 8
  @Option(
    help:
      "Fraction of the inputs that are only downscaled, not degraded (default: 0.6, 0.25 if --conditioned).")
  var cleanShare: Float?
  @Option(help: "Fraction of the denoising windows that are defocused; half as many are darkened.")
  var varietyShare: Float = 0.3
  @Option(
    help:
      "Whether the network takes the source's noise level and quantizers as inputs and trains on degraded clips: on or off."
  )
  var conditioned: Switch?
  @Option(help: "Whether a conditioned network takes the source's sharpness as an input: on or off.")
  var sharpness: Switch?
  @Option(
    help: "Fraction of the windows in which a conditioned network receives the quantizers (default: 0.65).")
  var quantizerShare: Float?
  @Option(help: ArgumentHelp("An earlier name of --quantizer-share.", visibility: .hidden))
  var toldShare: Float?
  @Option(
    help:
      "Width of the loss's smooth minimum as a fraction of a window's error before enhancement (default: \(CharbonnierLoss.conditionedWidth) if --conditioned, otherwise 0)."
  )
  var lossWidth: Float?
  @Flag(help: "Divide each window's loss by the window's error before enhancement, as a mean of PSNRs does.")
  var relativeLoss = false
  @Option(
    help:
      "Weight of errors in local contrast, relative to squared errors: more makes sharper pictures (default: 0)."
  )
  var contrastWeight: Float?
  @Option(
    help: "Fraction of the windows from photographs in synthetic motion (default: 0.6, 0.3 if --conditioned)."
  )
  var photographShare: Float?
  @Option(
    help:
      "Least mean difference of adjacent pixels of a window in levels; flatter ones are avoided (default: 1.5, 0.2 if --conditioned)."
  )
  var leastDetail: Float?
  @Option(help: "Side of the ground truth of a window in pixels (default: 192, 96 at the same size).")
  var crop: Int?
  @Option(help: "Arithmetic: f32 or bf16 (default: the faster one, measured).") var precision: FloatPrecision?
  @Option(help: "Random seed.") var seed: UInt64 = 1

  func validate() throws {
    if (minutes == nil) == (steps == nil) { throw ValidationError("pass --minutes or --steps") }
    if minutes ?? 1 <= 0 { throw ValidationError("--minutes must be positive") }
    if steps ?? 1 < 1 { throw ValidationError("--steps must be positive") }
    if let crop, crop <= 0 || crop % (16 * architecture.scale) != 0 {
      throw ValidationError("--crop must be a multiple of \(16 * architecture.scale)")
    }
    if let contrastWeight, contrastWeight < 0 {
      throw ValidationError("--contrast-weight must not be negative")
    }
    if let share = photographShare, !(0...1).contains(share) {
      throw ValidationError("--photograph-share must be from 0 to 1")
    }
    if task == .interpolation, contrastWeight ?? 0 > 0 {
      throw ValidationError("--contrast-weight is not for interp")
    }
    if batch < 2 || batch % 2 != 0 { throw ValidationError("--batch must be even") }
    do { try architecture.validate() } catch { throw ValidationError(error.description) }
  }

  private var architecture: Architecture {
    var result = Architecture.balanced(task)
    if let scale { result.scale = scale }
    if let window { result.window = window }
    if let blocks { result.blocks = blocks }
    if let channels { result.channels = channels }
    if let encoderChannels { result.encoderChannels = encoderChannels }
    if fusion == .attention { result.fusion = .attention }
    result.heads = heads
    if mask == .off { result.hasMask = nil }
    if let conditioned { result.isConditioned = conditioned == .on ? true : nil }
    if sharpness == .on { result.hasSharpness = true }
    return result
  }

  func run() throws {
    var settings = TrainingSettings(architecture: architecture, minutes: minutes ?? 0)
    settings.steps = steps
    // Interpolation learns nothing with Muon, and denoising was not measured (docs/lab/training-log.md).
    settings.optimizer = optimizer ?? (start == nil && task == .superResolution ? .muon : .adam)
    settings.learningRate = learningRate
    settings.batch = batch
    if let precision { settings.precision = precision }
    settings.seed = seed
    if let cleanShare { settings.degradation.cleanShare = cleanShare }
    if task == .denoising { settings.degradation.varietyShare = varietyShare }
    settings.relativeEpsilon = lossWidth
    settings.hasRelativeLoss = relativeLoss ? true : nil
    settings.contrastWeight = contrastWeight
    if let share = quantizerShare ?? toldShare { settings.degradation.quantizerShare = share }
    if let photographShare { settings.degradation.photographShare = photographShare }
    if let leastDetail { settings.degradation.leastDetail = leastDetail }
    if let crop { settings.cropSize = crop }
    let first = try start.map { try NetworkWeights(path: $0) }
    if let start { settings.startedFrom = URL(fileURLWithPath: start).lastPathComponent }
    let interrupt = Interrupt()
    let trainer = try Trainer(
      settings: settings, data: URL(fileURLWithPath: data), checkpointPath: checkpoint, start: first,
      log: { Console.line($0) })
    Console.line(
      String(
        format: "cost %.2f L64, %@ %@", settings.architecture.cost, settings.precision.rawValue,
        settings.recipe))
    try trainer.run(isCancelled: { interrupt.isSet }) { report in
      Console.line(Self.line(report))
      if report.validation != nil, let output { try trainer.network.file.write(path: output) }
    }
  }

  static func line(_ report: TrainingReport) -> String {
    var text = String(
      format: "%.1f min, step %d, loss %.3f, rate %.2e, %.1f steps/s, %.0f GMAC/s", report.minutes,
      report.step,
      report.loss, report.rate, report.stepsPerSecond, report.gigaOperationsPerSecond)
    if let validation = report.validation {
      for clip in validation.clips {
        text += String(format: ", %@ %.2f (%+.2f)", clip.name, clip.psnr, clip.psnr - clip.bicubic)
      }
      text += String(format: ", mean gain over the input %+.3f dB", validation.meanGain)
      if let gain = validation.degradedGain { text += String(format: ", degraded %+.3f dB", gain) }
      if let gain = validation.windowGain { text += String(format: ", by window %+.3f dB", gain) }
    }
    return text
  }
}

extension EnhancementTask: ExpressibleByArgument {
  package init?(argument: String) { self.init(rawValue: argument.lowercased()) }
}
extension WindowFusion: ExpressibleByArgument {}
extension FloatPrecision: ExpressibleByArgument {}
extension OptimizerKind: ExpressibleByArgument {}
