// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Distillation
import EnhancementModel
import Foundation
import QuantCalibration
import Tensors
import Training
import Videnhance

/// Calibrators side by side.
struct BenchCalibration: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibration",
    abstract: "Measure what each way to choose clipping ranges loses, in the integers' exact arithmetic.",
    discussion: """
      Example: videnhance bench calibration --data data --task denoise --bits 4

      All methods see the same windows of the training clips; the loss is the luma PSNR on the validation clips below that of \
      the full-precision network. Ranges are for each frame slot or shared by all slots.
      """)

  @Option(help: "Training data (make data).") var data: String
  @Option(help: "What the network is for: sr, denoise or interp.") var task: EnhancementTask =
    .superResolution
  @Option(help: "Enlargement of sr: 2 or 4.") var scale: Int?
  @Option(help: "The tier of the network: balanced or fast.") var model: NetworkTier = .balanced
  @Option(help: ArgumentHelp("Bits, separated by commas.", valueName: "list"))
  var bits = BitsList(bits: [.four])
  @Option(help: "Windows to calibrate on.") var windows = 60
  @Option(help: "Windows of each validation clip.") var perClip = 4
  @Option(help: "Threads to work on (default: one for each core).") var threads: Int?

  func validate() throws {
    if windows < 1 || perClip < 1 { throw ValidationError("--windows and --per-clip must be positive") }
    if bits.bits.contains(.float) { throw ValidationError("--bits must be below 32") }
  }

  func run() throws {
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    let choice = NetworkChoice(task, scale: task == .superResolution ? scale ?? 2 : nil, tier: model)
    let network = try NetworkCatalog.weights(choice)
    let folder = URL(fileURLWithPath: data)
    let calibrator = Calibrator(network, threads: threads)
    let settings = TrainingSettings(architecture: network.architecture, minutes: 1)
    let maker = try WindowMaker(
      folder: folder, architecture: network.architecture, size: settings.sourceSize, log: { Console.line($0) }
    )
    var random = SplitMix64(seed: 20_252)
    for _ in 0..<windows { try calibrator.observe(WindowPool.batch([maker.make(using: &random)]).frames) }
    let validation = try ValidationSet(folder: folder, architecture: network.architecture, perClip: perClip)
    let full = try validation.gain(of: network, threads: threads)
    print(String(format: "%@: full precision %+.3f dB over the input\n", choice.shippedModel.family, full))
    print(
      "| method | "
        + bits.bits.map { "\($0.rawValue) bits | \($0.rawValue) bits, shared" }.joined(separator: " | ")
        + " |")
    print("|---" + String(repeating: "|---", count: 2 * bits.bits.count) + "|")
    for method in CalibrationMethod.allCases {
      var cells: [String] = []
      for bits in bits.bits {
        for isPerFrame in [true, false] {
          let quantized = calibrator.model(bits: bits.rawValue, method: method, isPerFrame: isPerFrame)
          let gain = try validation.evaluate(quantized, weights: network, precision: .float32).meanGain
          cells.append(String(format: "%.3f", full - gain))
        }
      }
      print("| \(method.rawValue) | " + cells.joined(separator: " | ") + " |")
    }
  }
}
