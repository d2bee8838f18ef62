// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Kernels

/// How the work runs and how progress is reported.
struct WorkOptions: ParsableArguments {
  @Option(help: "Number of threads (default: one per core).")
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "Highest instruction set to use; results are identical (default: the best, or VIDENHANCE_ISA).",
      valueName: "set"))
  var isa: InstructionSet?

  @Flag(help: "Replace the output if it exists.")
  var overwrite = false

  @Flag(help: "Keep finished work in <output>.segments, and resume the work of an interrupted run.")
  var resume = false

  @Option(
    help: "Output frames per segment; the encoder restarts with each segment (default: 240).")
  var segmentFrames: Int?

  @Flag(
    help:
      "Enhance a few frames only, print a forecast of the whole run (frames, size, time, memory, bytes), and write nothing."
  )
  var dryRun = false

  @Flag(help: "Do not split windows at scene cuts.")
  var noSceneCut = false

  @Option(
    help:
      "Progress display: bar, lines, json (docs/reference/json-output.md) or none (default: bar on a terminal, otherwise lines)."
  )
  var progress = ProgressStyle.auto

  @Flag(help: "Print warnings and errors only: no progress, no summary.")
  var quiet = false

  @Flag(help: "Print a detailed summary when done.")
  var verbose = false

  @Flag(help: "Print the seconds spent in each part of the work when done.")
  var profile = false

  func validate() throws {
    if let threads, threads < 1 || threads > 1024 { throw ValidationError("--threads must be 1...1024") }
    try isa?.validate()
    if let segmentFrames, !(1...1_000_000).contains(segmentFrames) {
      throw ValidationError("--segment-frames must be 1...1000000")
    }
    if quiet && progress != .auto && progress != .none {
      throw ValidationError("--quiet and --progress contradict each other")
    }
    if quiet && dryRun { throw ValidationError("--quiet and --dry-run contradict each other") }
    if quiet && verbose { throw ValidationError("--quiet and --verbose contradict each other") }
  }

  /// Limits the kernels to the requested instruction set.
  func limitInstructionSet() {
    if let isa { InstructionSet.limit(to: isa) }
  }

  /// The options of the job.
  var jobOptions: EnhancementJob.Options {
    var options = EnhancementJob.Options(threads: threads)
    options.overwrites = overwrite
    options.findsSceneCuts = !noSceneCut
    if profile { options.profile = WorkProfile() }
    if resume || segmentFrames != nil {
      options.segments = EnhancementJob.Segments(
        frames: segmentFrames, resumes: resume, version: VidenhanceCommand.configuration.version)
    }
    return options
  }
}
