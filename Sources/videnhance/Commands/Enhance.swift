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
      With --resume, what is finished is kept in <output>.segments: the same command continues after Ctrl-C, a kill or \
      a power loss, and pictures, sound and times come out the same. \
      A folder as input is gone through as by 'videnhance batch'.
      """)

  @Argument(help: "The video to read, or a folder of them; - is standard input.", completion: .file())
  var input: String
  @Argument(
    help:
      "The file to write; its ending tells the container; a folder takes the input's name; - is standard output.",
    completion: .file()) var output: String
  @OptionGroup(title: "Source options") var source: SourceOptions
  @OptionGroup(title: "Network options") var network: NetworkOptions
  @OptionGroup(title: "Encoder options") var encoder: EncoderOptions
  @OptionGroup(title: "Work options") var work: WorkOptions
  @OptionGroup(title: "Folder options") var folder: FolderOptions

  func validate() throws {
    if FolderScan.isFolder(input) { try folder.validate(with: work) }
    if (input == "-" || output == "-") && work.jobOptions.segments != nil {
      throw ValidationError("--resume and --segment-frames are for files, not for standard input or output")
    }
    if input == "-", FolderScan.isFolder(output) {
      throw ValidationError("\(output) is a folder: name a file, as standard input has no name")
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

  private func enhanceFile() async throws {
    var options = work.jobOptions
    source.add(to: &options)
    let output = target
    let line = work.quiet ? nil : ProgressLine(work.progress, input: input, output: output)
    if let line, !line.isJSON { options.onNotice = { [input] in line.warn("\(input): \($0)") } }
    let job = EnhancementJob(
      input: input, output: output, encoder: encoder.settings(output: output, threads: options.threads),
      options: options, steps: network.steps)
    let started = ContinuousClock.now
    let summary: EnhancementSummary
    do {
      summary = try await Interrupt.cancelling { try await job.run { line?.update($0) } }
    } catch {
      line?.clear()
      guard error is CancellationError else {
        if let line, line.isJSON {
          line.tellFailed(Console.text(of: error))
          throw Console.exitCode(for: error)
        }
        throw error
      }
      Console.line("videnhance: \(output): interrupted, \(Self.remains(of: output))")
      throw ExitCode(130)
    }
    line?.clear()
    if let line, line.isJSON {
      line.tellDone(summary)
    } else {
      report(summary, seconds: line?.elapsed)
    }
    if let profile = options.profile { ProfileReport.print(profile, started: started) }
    if !summary.leftOut.isEmpty { throw ExitCode(2) }
  }

  /// The file to write; an existing folder as output takes the input's name.
  private var target: String {
    guard FolderScan.isFolder(output), input != "-" else { return output }
    let name = NamePattern.usual.output(
      for: input.split(separator: "/").last.map(String.init) ?? input, task: "", bits: "",
      keepsEnding: encoder.container != nil, encoderIsGiven: encoder.codec != nil)
    return FolderScan.join(output, name)
  }

  /// Describes what an interrupted run leaves behind.
  static func remains(of output: String) -> String {
    let folder = SegmentFolder.path(output: output)
    guard FileIdentity(path: folder) != nil else { return "nothing is left of it" }
    return "what is finished is kept in \(folder); --resume continues"
  }

  private func report(_ summary: EnhancementSummary, seconds: Double?) {
    for warning in summary.warnings { Console.warning("\(input): \(warning)") }
    let output = target
    for stream in summary.leftOut { Console.warning("\(output): left out \(stream)") }
    guard let seconds else { return }
    if work.verbose {
      if let source = summary.source {
        Console.line("source \(source): \(source.isPristine ? "clean" : "real footage")")
      }
      Console.line(
        "encoder \(summary.encoder), \(summary.format), at most \(summary.peakFrames) frames in memory")
      Console.line("scene cuts at frames \(summary.sceneCuts.map(String.init).joined(separator: ", "))")
    }
    let made = summary.frames - summary.resumedFrames
    let resumed = summary.resumedFrames > 0 ? " (\(summary.resumedFrames) by an earlier run)" : ""
    let speed = String(format: "%.1f fps", Double(made) / seconds)
    Console.line(
      "\(output): \(summary.frames) frames\(resumed), \(summary.width)x\(summary.height), took \(clockText(seconds)), speed \(speed)"
    )
  }
}
