// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
import QualityReport
import Videnhance

/// Compares networks, FFmpeg's filters and finished files.
struct Compare: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare networks, filters and files on equal frames.",
    usage: """
      videnhance compare <input> --task <tasks> [--bits 32,8,4] [--reference <file> | --degrade] [--also bicubic]
      videnhance compare <file> <file> ... [--reference <file>]
      """,
    discussion: """
      Examples:
        videnhance compare in.mp4 --task sr --degrade --bits 32,4 --also bicubic
        videnhance compare noisy.mkv --task denoise --reference clean.mkv \\
          --also hqdn3d,nlmeans=s=8 --report report
        videnhance compare in.mp4 --task sr --bits 8,4
        videnhance compare in.mp4 --task denoise,sr --degrade --also nlmeans+lanczos
        videnhance compare a.mp4 b.mp4 --reference original.mkv --json
        videnhance compare a.mp4 b.mp4 --start 1:00 --duration 20

      With --degrade, the input is the reference, and a degraded copy of it is enhanced: sr halves the size (bicubic), denoise \
      adds Gaussian noise, interp drops every second frame. Without --reference and --degrade, networks are compared with \
      the 32-bit one, and files with the first file. The reference is named above the table.

      The whole clip is measured; --start, --duration and --frames choose less, and take the same part of each file. VMAF and \
      VMAF NEG are measured where an ffmpeg with libvmaf is found (VIDENHANCE_VMAF_FFMPEG, or the one in PATH).
      """)

  @Argument(help: "The video to enhance, or finished videos.", completion: .file()) var files: [String]
  @Option(
    help: ArgumentHelp(
      "Tasks to run, separated by commas: sr, restore, denoise or interp; without any, files are compared as they are.",
      valueName: "tasks"), completion: .custom { _, _, prefix in TaskList.completions(of: prefix) })
  var task: TaskList?
  @OptionGroup(title: "Source options") var source: SourceOptions
  @Option(
    help: ArgumentHelp("Bit widths of the networks, separated by commas.", valueName: "list"),
    completion: .custom { _, _, prefix in BitsList.completions(of: prefix) })
  var bits = BitsList(bits: [.float, .eight, .six, .four])
  @Option(help: "Upscaling factor of sr: 2 or 4.") var scale = 2
  @Option(help: "Tier of the networks: fast, balanced or best (default: balanced, fast for interp).")
  var model: NetworkTier?
  @Option(help: "Mirror images of each frame whose results the networks average: 1, 2 or 4.") var ensemble =
    Ensemble.one
  @Option(
    help: ArgumentHelp("A model file to compare; may be repeated.", valueName: "file"), completion: .file())
  var modelFile: [String] = []
  @Option(
    help: ArgumentHelp(
      "FFmpeg filters to compare, separated by commas: a known name, names joined by + for several tasks, or a filter with its options.",
      valueName: "list"),
    completion: .custom { _, _, prefix in
      ListCompletion.values(of: prefix, among: BaselineCatalog.names.sorted())
    })
  var also = ""
  @Option(
    help: ArgumentHelp("The reference: what the result should look like.", valueName: "file"),
    completion: .file())
  var reference: String?
  @Flag(help: "Use the input as the reference, and enhance a degraded copy of it.") var degrade = false
  @Option(help: "Noise that --degrade adds: its standard deviation in 8-bit levels.") var noiseLevel: Float =
    25
  @Option(help: "Frames to measure; 0 is all.") var frames = 0
  @Option(
    name: .customLong("vmaf-ffmpeg"),
    help: ArgumentHelp(
      "An ffmpeg with libvmaf (default: VIDENHANCE_VMAF_FFMPEG, or the one in PATH); none measures no VMAF.",
      valueName: "program"), completion: .file())
  var vmafFFmpeg: String?
  @Option(help: "Number of threads (default: one per core).") var threads: Int?
  @Flag(help: "Print JSON (docs/reference/json-output.md).") var json = false
  @Option(
    help: ArgumentHelp("Write an HTML report with pictures into this new folder.", valueName: "folder"),
    completion: .directory)
  var report: String?

  func validate() throws {
    if scale != 2 && scale != 4 { throw ValidationError("--scale must be 2 or 4") }
    if frames < 0 { throw ValidationError("--frames must be 0 or more") }
    if let threads, threads < 1 || threads > 1024 { throw ValidationError("--threads must be 1...1024") }
    if !(0...NoiseLevel.most).contains(noiseLevel) { throw ValidationError("--noise-level must be 0...63") }
    if reference != nil && degrade {
      throw ValidationError("--reference and --degrade contradict each other")
    }
    guard let tasks = task?.tasks else {
      if source.stream != nil { throw ValidationError("--stream needs --task") }
      if degrade || !also.isEmpty || !modelFile.isEmpty {
        throw ValidationError("--degrade, --also and --model-file need --task")
      }
      if files.count < 2 && reference == nil {
        throw ValidationError("name two files, or --reference, or --task with one file")
      }
      return
    }
    if files.count > 1 { throw ValidationError("--task is for one file") }
    if tasks.contains(.interpolation) && !degrade && reference == nil {
      throw ValidationError(
        "--task interp needs --reference or --degrade: the 32-bit network is not a reference for it")
    }
    if let model {
      if !tasks.contains(where: { $0.tiers.contains(model) }) {
        throw ValidationError("--model \(model.rawValue) is for --task \(model.tasks)")
      }
      if tasks.contains(.superResolution), !model.scales.contains(scale) {
        throw ValidationError("--model \(model.rawValue) has no network for --scale \(scale)")
      }
    }
    if !modelFile.isEmpty && tasks.count > 1 {
      throw ValidationError("--model-file is for a single task")
    }
    if degrade && tasks.contains(.restoration) {
      throw ValidationError("--degrade cannot make an input for restore; pass --reference")
    }
  }

  func run() async throws {
    if let report, FileManager.default.fileExists(atPath: report) {
      throw CompareError(detail: "folder \(report) exists (hint: choose another name)")
    }
    let comparison = comparison
    let isShown = Console.isTerminal && !json
    let outcome = try await Interrupt.cancelling {
      try await comparison.run { name in
        if isShown { Console.write("\r\(name) ...\u{1b}[K") }
      } warn: { text in
        if isShown { Console.write("\r\u{1b}[K") }
        Console.warning(text)
      } notice: { path, remark in
        if isShown { Console.write("\r\u{1b}[K") }
        Console.warning("\(path): \(Console.text(of: remark))")
      }
    }
    if isShown { Console.write("\r\u{1b}[K") }
    print(json ? try ComparisonOutput.json(outcome) : ComparisonOutput.table(outcome))
    if let report {
      let title =
        task.map { "\($0) of \(fileName(files[0]))" } ?? files.map(fileName).joined(separator: ", ")
      try ComparisonReport(title: title, outcome: outcome).write(to: report)
      Console.line("\(report)/index.html")
    }
  }

  private var comparison: Comparison {
    var result = Comparison(
      of: files, threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    result.tasks = task?.tasks ?? []
    source.add(to: &result.reading)
    result.bits = bits.bits
    result.scale = scale
    result.tier = model
    result.ensemble = ensemble
    result.modelFiles = modelFile
    result.filters = also.split(separator: ",").map(String.init)
    result.reference = reference
    result.degrades = degrade
    result.noiseLevel = noiseLevel
    result.frameLimit = frames == 0 ? nil : frames
    result.keepsPictures = report != nil
    result.measuresVMAF = vmafFFmpeg != "none"
    result.vmafProgram = vmafFFmpeg == "none" ? nil : vmafFFmpeg
    return result
  }

  private func fileName(_ path: String) -> String { URL(fileURLWithPath: path).lastPathComponent }
}

/// `--bits`: a list of bit widths.
struct BitsList: ExpressibleByArgument {
  var bits: [NetworkBits]

  init(bits: [NetworkBits]) { self.bits = bits }

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    let bits = parts.compactMap { Int($0).flatMap(NetworkBits.init(rawValue:)) }
    guard !bits.isEmpty, bits.count == parts.count, Set(bits).count == bits.count else { return nil }
    self.bits = bits
  }

  /// Values that begin with what has been typed.
  static func completions(of prefix: String) -> [String] {
    ListCompletion.values(of: prefix, among: NetworkBits.allCases.map { "\($0.rawValue)" })
  }

  var defaultValueDescription: String { bits.map { "\($0.rawValue)" }.joined(separator: ",") }
}
