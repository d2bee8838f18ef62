// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
public import QuantCalibration
import Tensors
import Training
import Videnhance
import VideoIO

/// Makes an integer model of a full-precision network.
struct Calibrate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make an integer model of a network by looking at clips.",
    discussion: """
      Clipping ranges are found for each frame slot of the window by BMFQ's pruned, backtracking search; weights get a step
      for each output channel.

      Examples:
        videnhance calibrate my-footage/*.mp4 --task sr --bits 4 -o mine.safetensors
        videnhance in.mp4 out.mp4 --model-file mine.safetensors
        videnhance calibrate my-footage --task denoise --method minmax --per-frame off --report ranges.json -o other.safetensors
      """)

  @Argument(help: "Clips like those that will be enhanced, or folders of them.") var clips: [String] = []
  @Option(help: "Training data to take windows from instead of clips (make data).") var data: String?
  @Option(help: "What the network is for: sr, denoise or interp.") var task: EnhancementTask =
    .superResolution
  @Option(help: "Enlargement of sr: 2 or 4.") var scale: Int?
  @Option(help: "Bits of weights and activations: 8, 6, 4, 3 or 2.") var bits: Int = 4
  @Option(help: "Bits of the activations, if other than of the weights; 6 cost no time at 4 bits.")
  var activationBits: Int?
  @Option(help: ArgumentHelp("Full-precision weights instead of those shipped.", valueName: "file"))
  var modelFile: String?
  @Option(name: .shortAndLong, help: "File to write.") var output: String
  @Option(help: "How clipping ranges are chosen.") var method = CalibrationMethod.bmfq
  @Option(help: "Whether each frame slot of the window has a range of its own: on or off.") var perFrame =
    Switch.on
  @Option(
    help: ArgumentHelp(
      "Write how each range fits: JSON if the name ends in .json, else a table; - is standard output.",
      valueName: "file"))
  var report: String?
  @Option(help: "Most windows to look at.") var windows: Int = 200
  @Option(help: "Threads to work on (default: one for each core).") var threads: Int?
  @Flag(help: "Replace the output if it exists.") var overwrite = false

  func validate() throws {
    if clips.isEmpty == (data == nil) { throw ValidationError("name clips, or pass --data") }
    if !(2...8).contains(bits) || bits == 5 || bits == 7 {
      throw ValidationError("--bits must be 8, 6, 4, 3 or 2")
    }
    if let activationBits, !(2...8).contains(activationBits) {
      throw ValidationError("--activation-bits must be 2...8")
    }
    if windows < 1 { throw ValidationError("--windows must be positive") }
  }

  func run() throws {
    if !overwrite && FileManager.default.fileExists(atPath: output) {
      throw ModelError.cannotOpen(
        path: output, reason: "it exists (hint: choose another name, or pass --overwrite)")
    }
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    let network = try NetworkCatalog.weights(NetworkChoice(task, scale: scale, modelFile: modelFile))
    let calibrator = Calibrator(network, threads: threads)
    let packer = WindowPacker(network.architecture, threads: threads)
    if let data {
      try observe(data, calibrator)
    } else {
      let clips = try footage()
      for clip in clips {
        let share = max(1, windows / clips.count)
        let isInterpolation = network.architecture.task == .interpolation
        let source = ClipWindows(
          path: clip, length: isInterpolation ? 3 : network.architecture.window, limit: share)
        try source.forEach(threads: threads) { frames in
          // Every second frame is what will be made.
          try calibrator.observe(packer.floatInputs(isInterpolation ? [frames[0], frames[2]] : frames))
        }
        Console.line("\(clip): \(calibrator.windowCount) windows so far")
      }
    }
    let model = calibrator.model(
      bits: bits, activationBits: activationBits, method: method, isPerFrame: perFrame == .on)
    try model.file.write(path: output)
    if let report { try write(calibrator.report(on: model), to: report) }
    Console.line("\(output): \(bits) bits from \(calibrator.windowCount) windows")
  }

  /// The clips, with those below folders, in order of their names.
  private func footage() throws -> [String] {
    var found: [String] = []
    for path in clips {
      guard FolderScan.isFolder(path) else {
        found.append(path)
        continue
      }
      let names = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
      let videos = names.sorted().map { path + "/" + $0 }.filter { file in
        guard let reader = try? VideoReader(path: file, threads: 1) else { return false }
        return !reader.info.isStillImage
      }
      if videos.isEmpty { throw ModelError.cannotOpen(path: path, reason: "there are no videos below it") }
      found += videos
    }
    return found
  }

  private func write(_ report: CalibrationReport, to path: String) throws {
    let text = path.hasSuffix(".json") ? try report.json() + "\n" : report.text
    if path == "-" {
      print(text, terminator: "")
    } else {
      try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
  }

  private func observe(_ data: String, _ calibrator: Calibrator) throws {
    let settings = TrainingSettings(architecture: calibrator.network.architecture, minutes: 1)
    let maker = try WindowMaker(
      folder: URL(fileURLWithPath: data), architecture: settings.architecture, size: settings.sourceSize,
      log: { Console.line($0) })
    var random = SplitMix64(seed: 20_252)
    for _ in 0..<windows {
      try calibrator.observe(WindowPool.batch([maker.make(using: &random)]).frames)
    }
  }
}

/// `on` or `off`.
enum Switch: String, CaseIterable, ExpressibleByArgument {
  case on, off
}

extension CalibrationMethod: ExpressibleByArgument {}
