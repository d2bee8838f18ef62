// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
import EnhancementModel
import EnhancementPipeline
import Foundation
import VideoIO

/// Enhances one video.
struct Enhance: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enhance a video (the default).",
    discussion: """
      Example: videnhance in.mp4 out.mp4 --bits 8 --crf 14

      The output is written beside its target as <output>.part and renamed when it is complete. Ctrl-C removes it. \
      With --resume, finished work is kept in <output>.segments: the same command continues after Ctrl-C, a kill or \
      a power loss, and pictures, sound and times are the same as without interruption. \
      A folder as input is processed as by 'videnhance batch'.

      Sound, subtitles, chapters, tags and other video streams are copied; timestamps, colour and bit depth stay as they are. \
      --start and --duration also apply to sound and subtitles.

      Exit codes: 0 success, 1 failure, 2 success but a stream was left out or, for a folder, some files failed, \
      64 usage error, 70 internal error or out of memory, 75 may succeed later (another run is writing the same output; \
      for 'plan', 'shard' and 'join' also a full disk, exhausted memory, or missing pieces), 130 interrupted, \
      143 the same by SIGTERM or SIGHUP for those.
      """)

  @Argument(help: "The input video, or a folder of videos; - is standard input.", completion: .file())
  var input: String
  @Argument(
    help:
      "The output file; its extension selects the container; in a folder, the input's name is used; - is standard output.",
    completion: .file()) var output: String
  @OptionGroup(title: "Source options") var source: SourceOptions
  @OptionGroup(title: "Network options") var network: NetworkOptions
  @OptionGroup(title: "Encoder options") var encoder: EncoderOptions
  @OptionGroup(title: "Work options") var work: WorkOptions
  @OptionGroup(title: "Folder options") var folder: FolderOptions

  func validate() throws {
    if input.isEmpty || output.isEmpty {
      throw ValidationError("the name of the \(input.isEmpty ? "input" : "output") is empty")
    }
    if FolderScan.isFolder(input) { try folder.validate(with: work) }
    if (input == "-" || output == "-") && work.jobOptions.segments != nil {
      throw ValidationError("--resume and --segment-frames are for files, not for standard input or output")
    }
    if input == "-", FolderScan.isFolder(output) {
      throw ValidationError("\(output) is a folder: name a file, as standard input has no name")
    }
    if work.dryRun && input == "-" {
      throw ValidationError("--dry-run reads its source twice, which standard input cannot")
    }
    guard FolderScan.isFolder(input) else {
      if folder.isUsed {
        throw ValidationError(
          "--pattern, --skip-existing, --jobs, --shard, --balance and --journal are for a folder as input")
      }
      return
    }
    // For a folder as input, an output such as out.mp4 is probably a mistake.
    let isFileName =
      LibavBuild.holdsVideo(ending: NamePattern.split(output).ending) && !FolderScan.isFolder(output)
    if output == "-" || isFileName {
      throw ValidationError("\(input) is a folder: name a folder for the output, too")
    }
  }

  func run() async throws {
    work.limitInstructionSet()
    if FolderScan.isFolder(input) {
      try await FolderReport.run(
        from: input, to: output, folder: folder, source: source, network: network, encoder: encoder,
        work: work)
    } else {
      try await enhanceFile()
    }
  }

  /// The job for a single file.
  private var job: EnhancementJob {
    var options = work.jobOptions
    source.add(to: &options)
    let output = target
    return EnhancementJob(
      input: input, output: output, encoder: encoder.settings(output: output, threads: options.threads),
      options: options, steps: network.steps)
  }

  /// Prints a forecast of the work without doing it.
  private func reportForecast(of job: EnhancementJob, on line: ProgressLine) async throws {
    try VideoWriter.validate(
      path: job.output, input: input, overwrite: work.overwrite, container: job.encoder.container,
      codec: job.encoder.codec, preset: job.encoder.preset)
    let choices = EnhancementJob.ForecastOptions(network: network)
    let forecast = try await Interrupt.cancelling { try await job.forecast(choices) }
    if line.isJSON { return line.reportForecast(forecast) }
    for text in ForecastReport.lines(forecast, input: input, tasks: network.task.description) {
      print(FileName.escaped(text))
    }
  }

  /// Prints a forecast before work with large output frames.
  private static func reportCost(of job: EnhancementJob, tasks: String, on line: ProgressLine) async throws {
    // Skip it for resumed work.
    guard job.makesLargeFrames, FileIdentity(path: SegmentFolder.path(output: job.output)) == nil else {
      return
    }
    try VideoWriter.validate(
      path: job.output, input: job.input, overwrite: job.options.overwrites,
      container: job.encoder.container, codec: job.encoder.codec,
      preset: job.encoder.preset)
    let forecast = try await job.forecast(.brief)
    if line.isJSON { return line.reportForecast(forecast) }
    for text in ForecastReport.lines(forecast, input: job.input, tasks: tasks) { Console.line(text) }
  }

  private func enhanceFile() async throws {
    var job = job
    var options = job.options
    let started = ContinuousClock.now
    let line = work.quiet ? nil : ProgressLine(work.progress, input: input, output: job.output)
    if let line, !line.isJSON {
      options.onNotice = { [input] in line.warn("\(input): \(Console.text(of: $0))") }
      job = EnhancementJob(
        input: job.input, output: job.output, encoder: job.encoder, options: options, steps: job.steps)
    }
    let tasks = network.task.description
    var made: EnhancementSummary?
    do {
      if let line, work.dryRun {
        try await reportForecast(of: job, on: line)
      } else {
        made = try await Interrupt.cancelling { [job] in
          if let line { try await Self.reportCost(of: job, tasks: tasks, on: line) }
          return try await job.run { line?.update($0) }
        }
      }
    } catch {
      line?.clear()
      guard error is CancellationError else {
        if let line, line.isJSON {
          line.reportFailed(Console.text(of: error))
          throw Console.exitCode(for: error)
        }
        throw error
      }
      Console.line("videnhance: \(job.output): interrupted, \(Self.remains(of: job.output))")
      throw ExitCode(130)
    }
    line?.clear()
    guard let summary = made else { return }
    if let line, line.isJSON {
      line.reportDone(summary)
    } else {
      report(summary, seconds: line?.elapsed)
    }
    if let profile = options.profile { ProfileReport.print(profile, started: started) }
    if !summary.leftOut.isEmpty { throw ExitCode(2) }
  }

  /// The file to write; in an existing folder, the input's name is used.
  private var target: String {
    guard FolderScan.isFolder(output), input != "-" else { return output }
    let name = NamePattern.usual.output(
      for: input.split(separator: "/").last.map(String.init) ?? input, task: "", bits: "",
      keepsEnding: encoder.container != nil, encoderIsGiven: encoder.codec != nil)
    return FolderScan.join(output, name)
  }

  // MARK: - Messages

  /// Describes what an interrupted run leaves behind.
  static func remains(of output: String) -> String {
    let folder = SegmentFolder.path(output: output)
    guard FileIdentity(path: folder) != nil else { return "nothing is left of it" }
    return "what is finished is kept in \(folder); --resume continues"
  }

  private func report(_ summary: EnhancementSummary, seconds: Double?) {
    for warning in summary.warnings { Console.warning("\(input): \(Console.text(of: warning))") }
    let output = target
    for stream in summary.leftOut { Console.warning("\(output): left out \(Console.text(of: stream))") }
    guard let seconds else { return }
    if work.verbose {
      if let source = summary.source {
        Console.line(source.verdict)
      }
      Console.line(
        "encoder \(summary.encoder), \(summary.format), at most \(counted(summary.peakFrames, "frame")) in memory"
      )
      if let noise = summary.noise.text { Console.line("noise removed: \(noise)") }
      let cuts = summary.sceneCuts.map(String.init).joined(separator: ", ")
      Console.line(
        cuts.isEmpty
          ? "no scene cuts"
          : "scene \(summary.sceneCuts.count == 1 ? "cut at frame" : "cuts at frames") \(cuts)")
    }
    let made = summary.frames - summary.resumedFrames
    let resumed = summary.resumedFrames > 0 ? " (\(summary.resumedFrames) by an earlier run)" : ""
    let speed = String(format: "%.1f fps", Double(made) / seconds)
    Console.line(
      "\(output): \(counted(summary.frames, "frame"))\(resumed), \(summary.width)x\(summary.height), took \(clockText(seconds)), speed \(speed)"
    )
  }
}

/// A command that enhances videos, with its options.
protocol EnhancingCommand {
  var source: SourceOptions { get }
  var network: NetworkOptions { get }
  var encoder: EncoderOptions { get }
  var work: WorkOptions { get }
}

extension Batch: EnhancingCommand {}

extension Enhance: EnhancingCommand, PresetChooser {
  var presetSource: (path: String, options: EnhancementJob.Options)? {
    // Files of a folder are inspected one by one.
    FolderScan.isFolder(input) ? nil : (input, job.options)
  }
}
