// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Distillation
import EnhancementModel
import Foundation
import QuantCalibration
import Tensors
import Training
import Videnhance

/// Compares calibration methods.
struct BenchCalibration: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibration",
    abstract: "Measure the loss of each method of choosing clipping ranges, in exact integer arithmetic.",
    discussion: """
      Example: videnhance bench calibration --data data --task denoise --bits 4

      All methods use the same windows of the training clips; the loss is the drop in luma PSNR on the validation clips \
      relative to the full-precision network. Ranges are per frame slot or shared by all slots.
      """)

  @Option(help: "Folder of training data (make data).", completion: .directory) var data: String
  @Option(help: "Task of the network: sr, restore, denoise or interp.") var task: EnhancementTask =
    .superResolution
  @Option(help: "Upscaling factor of sr: 2 or 4.") var scale: Int?
  @Option(help: "Tier of the network: fast, balanced or best.") var model: NetworkTier = .balanced
  @Option(help: ArgumentHelp("Full-precision weights to use instead of the shipped ones.", valueName: "file"))
  var modelFile: String?
  @Option(help: ArgumentHelp("Bit widths, separated by commas.", valueName: "list"))
  var bits = BitsList(bits: [.four])
  @Option(help: "Number of windows to calibrate on.") var windows = 60
  @Option(help: "Windows per validation clip.") var perClip = 4
  @Option(help: "Number of threads (default: one per core).") var threads: Int?

  func validate() throws {
    if windows < 1 || perClip < 1 { throw ValidationError("--windows and --per-clip must be positive") }
    if bits.bits.contains(.float) { throw ValidationError("--bits must be below 32") }
  }

  func run() throws {
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    let choice = NetworkChoice(
      task, scale: modelFile == nil && task == .superResolution ? scale ?? 2 : scale, tier: model,
      modelFile: modelFile)
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
    let name = modelFile.map { URL(fileURLWithPath: $0).lastPathComponent } ?? choice.shippedModel.family
    print(String(format: "%@: full precision %+.3f dB over the input\n", name, full))
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
