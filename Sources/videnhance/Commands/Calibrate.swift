// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
import Distillation
import EnhancementModel
import EnhancementPipeline
import Foundation
import QuantCalibration
import Tensors
import Training
import Videnhance
import VideoIO

/// Quantizes a full-precision network.
struct Calibrate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Quantize a network, calibrated on clips.",
    discussion: """
      Clipping ranges are found per frame slot of the window by BMFQ's pruned, backtracking search; weights get one step per \
      output channel.

      Examples:
        videnhance calibrate film/*.mp4 --task sr --bits 4 -o mine.safetensors
        videnhance in.mp4 out.mp4 --model-file mine.safetensors
        videnhance calibrate film --task denoise --method minmax --per-frame off \\
          --report ranges.json -o other.safetensors
      """)

  @Argument(help: "Clips like those that will be enhanced, or folders of them.", completion: .file())
  var clips: [String] = []
  @Option(
    help: "Folder of training data to take windows from instead of clips (make data).", completion: .directory
  ) var data: String?
  @Option(help: "Task of the network: sr, restore, denoise or interp.") var task: EnhancementTask =
    .superResolution
  @Option(help: "Upscaling factor of sr: 2 or 4.") var scale: Int?
  @Option(help: "Bits of the weights: 8, 6, 4, 3 or 2.") var bits: Int = 4
  @Option(
    help: ArgumentHelp("Full-precision weights to use instead of the shipped ones.", valueName: "file"),
    completion: .file())
  var modelFile: String?
  @Option(name: .shortAndLong, help: "File to write.", completion: .file()) var output: String
  @Option(help: "Method of choosing clipping ranges.") var method = CalibrationMethod.bmfq
  @Option(help: "Whether each frame slot of the window has its own ranges: on or off.") var perFrame =
    Switch.on
  @Option(
    help: ArgumentHelp(
      "Write a report on the fit of each range: JSON if the name ends in .json, otherwise a table; - is standard output.",
      valueName: "file"), completion: .file())
  var report: String?
  @Option(
    help: ArgumentHelp(
      "Number of values of activations (default: as many as cost no time: 256, 128, 64 and 13 with 8, 6, 4 and 3 or 2 bits).",
      valueName: "codes"))
  var activationCodes: Int?
  @Option(
    help: """
      Weight grid: mid-tread (consecutive values around zero), mid-rise (odd values, up to 6 bits) or spread (dense near \
      zero only, up to 4 bits; default for 4 and 3 bits; for 2 bits it pays off after distill).
      """)
  var weightGrid: WeightGrid?
  @Option(
    help: ArgumentHelp(
      "Raise the bits of single layers until the loss on the validation clips of --data is at most this.",
      valueName: "dB"))
  var maxLoss: Double?
  @Option(help: "Maximum number of windows.") var windows: Int = 200
  @Option(help: "Number of threads (default: one per core).") var threads: Int?
  @Flag(help: "Replace the output if it exists.") var overwrite = false

  func validate() throws {
    if task == .restoration && modelFile == nil {
      throw ValidationError(
        "restore runs the network of sr (hint: calibrate it with --task sr, or pass --model-file)")
    }
    if clips.isEmpty == (data == nil) { throw ValidationError("name clips, or pass --data") }
    if !(2...8).contains(bits) || bits == 5 || bits == 7 {
      throw ValidationError("--bits must be 8, 6, 4, 3 or 2")
    }
    try Calibrate.check(activationCodes: activationCodes, weightBits: bits)
    if let maxLoss, !(maxLoss >= 0) || data == nil {
      throw ValidationError("--max-loss must be 0 or more, and needs --data to measure losses on")
    }
    if let weightGrid, !weightGrid.bits.contains(bits) {
      throw ValidationError("--weight-grid \(weightGrid.rawValue) is not for \(bits) bits")
    }
    if windows < 1 { throw ValidationError("--windows must be positive") }
  }

  /// Activations may be finer than weights, but not coarser.
  static func check(activationCodes: Int?, weightBits: Int) throws {
    guard let activationCodes, (2...8).contains(weightBits) else { return }
    guard (1 << weightBits...256).contains(activationCodes) else {
      throw ValidationError("--activation-codes must be \(1 << weightBits) to 256 with --bits \(weightBits)")
    }
  }

  func run() throws {
    if !overwrite && FileManager.default.fileExists(atPath: output) {
      throw ModelError.cannotOpen(
        path: output, reason: "it exists (hint: choose another name, or pass --overwrite)")
    }
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    let network = try NetworkCatalog.weights(NetworkChoice(task, scale: scale, modelFile: modelFile))
    let calibrator = Calibrator(network, threads: threads)
    // Keep the first windows: the report measures cumulative errors on them.
    var kept: [[FloatTensor]] = []
    func observe(_ frames: [FloatTensor]) throws {
      try calibrator.observe(frames)
      if report != nil && kept.count < 4 { kept.append(frames) }
    }
    let packer = WindowPacker(network.architecture, threads: threads)
    if let data {
      try forEachWindow(of: data, like: network.architecture, observe)
    } else {
      let clips = try footage()
      for clip in clips {
        let share = max(1, windows / clips.count)
        let isInterpolation = network.architecture.task == .interpolation
        let source = ClipWindows(
          path: clip, length: isInterpolation ? 3 : network.architecture.window, limit: share,
          edge: isInterpolation ? .repeated : .opposite)
        try source.forEach(threads: threads) { frames in
          // Interpolation predicts every second frame.
          let window = packer.prepare(isInterpolation ? [frames[0], frames[2]] : frames)
          if report != nil && kept.count < 4 { kept.append(window.floats()) }
          try calibrator.observe(window)
        }
        Console.line("\(clip): \(calibrator.windowCount) windows so far")
      }
    }
    let model = try makeModel(calibrator, threads: threads)
    try model.file.write(path: output)
    if let report {
      let errors = try Self.errors(of: model, network: network, on: kept)
      try write(calibrator.report(on: model, cumulative: errors), to: report)
    }
    Console.line("\(output): \(bits) bits from \(calibrator.windowCount) windows")
  }

  private func makeModel(_ calibrator: Calibrator, threads: Int) throws -> QuantizedModel {
    var widths = Calibrator.Widths(bits)
    widths.activationCodes = activationCodes ?? Calibrator.Widths.mostCodes(weightBits: bits)
    widths.grid = weightGrid ?? (bits == 4 || bits == 3 ? .spread : .midTread)
    let make = { calibrator.model(widths: $0, method: method, isPerFrame: perFrame == .on) }
    guard let maxLoss, let data else { return make(widths) }
    return try BitChooser(calibrator.network, data: data, threads: threads).choose(
      from: widths, most: maxLoss, makeModel: make)
  }

  /// The clips, including those below folders, sorted by name.
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

  private func forEachWindow(
    of data: String, like architecture: Architecture, _ body: ([FloatTensor]) throws -> Void
  ) throws {
    let settings = TrainingSettings(architecture: architecture, minutes: 1)
    let maker = try WindowMaker(
      folder: URL(fileURLWithPath: data), architecture: architecture, size: settings.sourceSize,
      degradation: settings.degradation, log: { Console.line($0) })
    var random = SplitMix64(seed: 20_252)
    for _ in 0..<windows { try body(WindowPool.batch([maker.make(using: &random)]).frames) }
  }

  /// Errors with all preceding layers quantized; windows that differ in size from the first are skipped.
  private static func errors(
    of model: QuantizedModel, network: NetworkWeights, on windows: [[FloatTensor]]
  ) throws -> (Int, Int) -> Double? {
    guard let first = windows.first?.first else { return { _, _ in nil } }
    let errors = try CumulativeErrors(model, network: network, height: first.height, width: first.width)
    for window in windows where window[0].hasShape(of: windows[0][0]) { try errors.observe(window) }
    return { errors.signalToNoise(operation: $0, slot: $1) }
  }
}

/// `on` or `off`.
enum Switch: String, CaseIterable, ExpressibleByArgument {
  case on, off
}

extension CalibrationMethod: ExpressibleByArgument {}
extension WeightGrid: ExpressibleByArgument {}
