// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
import Videnhance
import VideoIO

/// Measures networks, FFmpeg's filters and finished files against each other.
struct Compare: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare networks, filters and files on the same frames.",
    usage: """
      videnhance compare <input> --task <task> [--bits 32,8,4] [--reference <file> | --degrade] [--also bicubic]
      videnhance compare <file> <file> ... [--reference <file>]
      """,
    discussion: """
      Examples:
        videnhance compare in.mp4 --task sr --degrade --bits 32,4 --also bicubic
        videnhance compare noisy.mkv --task denoise --reference clean.mkv \\
          --also hqdn3d,nlmeans=s=8 --report report
        videnhance compare in.mp4 --task sr --bits 8,4
        videnhance compare a.mp4 b.mp4 --reference original.mkv --json

      --degrade takes the input as the truth, and what is enhanced is made of it: sr halves it by bicubic, denoise adds \
      Gaussian noise, interp drops every second frame. Without --reference and --degrade, networks are compared with the \
      32-bit one, and files with the first of them.
      """)

  @Argument(help: "The video to enhance, or finished videos.") var files: [String]
  @Option(help: "What is done: sr, denoise or interp; without it, files are compared as they are.")
  var task: EnhancementTask?
  @Option(help: ArgumentHelp("Bits of the networks, separated by commas.", valueName: "list"))
  var bits = BitsList(bits: [.float, .eight, .six, .four])
  @Option(help: "Enlargement by sr: 2 or 4.") var scale = 2
  @Option(help: "The tier of the networks: balanced or fast.") var model: NetworkTier = .balanced
  @Option(help: ArgumentHelp("A model file that takes part; again for another.", valueName: "file"))
  var modelFile: [String] = []
  @Option(
    help: ArgumentHelp(
      "FFmpeg's filters that take part, separated by commas: a known word or a filter with its options.",
      valueName: "list"))
  var also = ""
  @Option(help: ArgumentHelp("What the result should be.", valueName: "file")) var reference: String?
  @Flag(help: "Take the input as the truth, and enhance what is made worse of it.") var degrade = false
  @Option(help: "Noise for --degrade: its standard deviation in 8-bit levels.") var noiseLevel: Float = 25
  @Option(help: "Frames to measure; 0 is all.") var frames = 100
  @Option(help: "Threads (default: as many as there are cores).") var threads: Int?
  @Flag(help: "Write JSON for machines (docs/reference/json-output.md).") var json = false
  @Option(help: ArgumentHelp("Write a page with pictures into this new folder.", valueName: "folder"))
  var report: String?

  func validate() throws {
    if scale != 2 && scale != 4 { throw ValidationError("--scale must be 2 or 4") }
    if frames < 0 { throw ValidationError("--frames must be 0 or more") }
    if let threads, threads < 1 || threads > 1024 { throw ValidationError("--threads must be 1...1024") }
    if !(0...NoiseLevel.most).contains(noiseLevel) { throw ValidationError("--noise-level must be 0...63") }
    if reference != nil && degrade {
      throw ValidationError("--reference and --degrade contradict each other")
    }
    guard let task else {
      if degrade || !also.isEmpty || !modelFile.isEmpty {
        throw ValidationError("--degrade, --also and --model-file need --task")
      }
      if files.count < 2 && reference == nil {
        throw ValidationError("name two files, or --reference, or --task with one file")
      }
      return
    }
    if files.count > 1 { throw ValidationError("--task is for one file") }
    if task == .interpolation && !degrade && reference == nil {
      throw ValidationError(
        "--task interp needs --reference or --degrade: the 32-bit network is no truth for it")
    }
    if model == .fast && (task != .superResolution || scale == 4) {
      throw ValidationError("--model fast is for --task sr with --scale 2")
    }
  }

  func run() async throws {
    if let report, FileManager.default.fileExists(atPath: report) {
      throw CompareError(detail: "folder \(report) exists (hint: choose another name)")
    }
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "videnhance-compare-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (run, contenders) = try await Interrupt.cancelling { try await prepare(folder: folder.path) }
    let (results, pictures) = try await Interrupt.cancelling { try await measure(run, contenders) }
    print(json ? try ComparisonOutput.json(results) : ComparisonOutput.table(results))
    if let report {
      let title =
        task.map { "\($0.rawValue) of \(fileName(files[0]))" } ?? files.map(fileName).joined(separator: ", ")
      try ComparisonReport(title: title, results: results, pictures: pictures).write(to: report)
      Console.line("\(report)/index.html")
    }
  }

  private func fileName(_ path: String) -> String { URL(fileURLWithPath: path).lastPathComponent }
  private var threadCount: Int { threads ?? ProcessInfo.processInfo.activeProcessorCount }
  private var frameLimit: Int? { frames == 0 ? nil : frames }

  /// What is compared with what; makes the files that are missing.
  private func prepare(folder: String) async throws -> (ComparisonRun, [Contender]) {
    guard let task else {
      let all = files.map { Contender(name: fileName($0), source: .file($0)) }
      let truth = reference ?? files[0]
      let run = ComparisonRun(input: files[0], reference: truth, threads: threadCount, frameLimit: frameLimit)
      return (run, reference == nil ? Array(all.dropFirst()) : all)
    }
    var (input, truth) = (files[0], reference)
    let info = try VideoReader(path: input).info
    var (given, filter): ([Double], String?) = ([], nil)
    var rate = info.averageFrameRate.isPositive ? info.averageFrameRate : Rational(25, 1)
    if degrade {
      input = folder + "/input.mkv"
      let count = frameLimit.map { task == .interpolation ? 2 * $0 : $0 }
      given = try DegradedInput.write(
        files[0], to: input, task: task, scale: scale, level: noiseLevel, frames: count, threads: threadCount)
      truth = files[0]
      if task == .superResolution { filter = DegradedInput.crop(scale: scale) }
    } else if task == .interpolation {
      rate = Rational(rate.numerator * 2, rate.denominator)
      var frames = try FileFrames(path: input, threads: threadCount)
      while let (_, time) = try frames.next() { given.append(time) }
    }
    let contenders = try contenders(task, rate: rate)
    if truth == nil {
      // Without a truth, full precision is what fewer bits should come to.
      truth = folder + "/full.mkv"
      try await writeFullPrecision(input, to: truth ?? "", task: task)
    }
    var run = ComparisonRun(
      input: input, reference: truth ?? "", threads: threadCount, frameLimit: frameLimit)
    run.referenceFilter = filter
    run.givenTimes = given
    return (run, contenders)
  }

  private func choice(_ task: EnhancementTask, _ bits: NetworkBits) -> NetworkChoice {
    NetworkChoice(task, scale: task == .superResolution ? scale : nil, bits: bits, tier: model)
  }

  private func contenders(_ task: EnhancementTask, rate: Rational) throws -> [Contender] {
    var result: [Contender] = []
    for bits in bits.bits {
      let choice = choice(task, bits)
      result.append(
        Contender(
          name: choice.shippedModel.name, bits: bits.rawValue, source: .network([.network(choice)]),
          models: [try choice.path()]))
    }
    for file in modelFile {
      let choice = NetworkChoice(task, scale: task == .superResolution ? scale : nil, modelFile: file)
      let description = try ModelDescription(path: file)
      result.append(
        Contender(
          name: fileName(file), bits: description.bits, source: .network([.network(choice)]), models: [file]))
    }
    for name in also.split(separator: ",").map(String.init) {
      guard
        let filter = BaselineCatalog.filter(name, task: task, scale: scale, level: noiseLevel, rate: rate)
      else {
        let known = BaselineCatalog.names(task).joined(separator: ", ")
        throw CompareError(
          detail:
            "\(name) is not known (hint: one of \(known), or a filter with options, such as nlmeans=s=8)")
      }
      result.append(Contender(name: name, source: .filter(filter)))
    }
    return result
  }

  private func writeFullPrecision(_ input: String, to path: String, task: EnhancementTask) async throws {
    let info = try VideoReader(path: input).info
    var frames = EnhancedFrames(
      of: input, steps: [.network(choice(task, .float))],
      options: EnhancementJob.Options(threads: threadCount)
    ).makeAsyncIterator()
    var writer: VideoWriter?
    var count = 0
    while let frame = try await frames.next(), frameLimit.map({ count < $0 }) ?? true {
      if writer == nil {
        writer = try VideoWriter(
          path: path, like: info, width: frame.width, height: frame.height, format: frame.format,
          timeBase: frames.timeBase, settings: EncoderSettings(codec: "ffv1", threads: threadCount))
      }
      try writer?.write(frame)
      count += 1
    }
    guard let finished = writer.take() else { throw CompareError(detail: "no frames in \(input)") }
    try finished.finish()
  }

  private func measure(
    _ run: ComparisonRun, _ contenders: [Contender]
  ) async throws -> ([ContenderResult], ComparisonPictures) {
    var results: [ContenderResult] = []
    var times: Set<Double> = []
    for contender in contenders {
      if Console.isTerminal && !json { Console.write("\r\(contender.name) ...\u{1b}[K") }
      var result = try await run.measure(contender, keeping: times)
      if report != nil, results.isEmpty {
        // The first contender tells which frames are looked at: its worst, and one in the middle of the order.
        let order = result.frames.sorted { $0.sample.error > $1.sample.error }
        times = [order[0].time, order[order.count / 2].time]
        result.kept = try await run.measure(contender, keeping: times).kept
      }
      results.append(result)
    }
    if Console.isTerminal && !json { Console.write("\r\u{1b}[K") }
    guard report != nil else { return (results, ComparisonPictures()) }
    var pictures = ComparisonPictures()
    pictures.times = times.sorted()
    pictures.reference = try run.frames(of: run.reference, filter: run.referenceFilter, at: times)
    pictures.input = try run.frames(of: run.input, at: times)
    return (results, pictures)
  }
}

/// `--bits`: several numbers of bits.
struct BitsList: ExpressibleByArgument {
  var bits: [NetworkBits]

  init(bits: [NetworkBits]) { self.bits = bits }

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    let bits = parts.compactMap { Int($0).flatMap(NetworkBits.init(rawValue:)) }
    guard !bits.isEmpty, bits.count == parts.count, Set(bits).count == bits.count else { return nil }
    self.bits = bits
  }

  var defaultValueDescription: String { bits.map { "\($0.rawValue)" }.joined(separator: ",") }
}
