// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Kernels

/// How the work is done and told of.
struct WorkOptions: ParsableArguments {
  @Option(help: "Threads to work on (default: one for each core).")
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "Instruction set to use at most; results are the same (default: the best, or what VIDENHANCE_ISA says).",
      valueName: "set"))
  var isa: InstructionSet?

  @Flag(help: "Replace the output if it exists.")
  var overwrite = false

  @Flag(help: "Keep what is finished in <output>.segments, and continue what an earlier run left there.")
  var resume = false

  @Option(
    help: "Frames of output in each of these segments; the encoder begins anew with each (default: 240).")
  var segmentFrames: Int?

  @Flag(help: "Let windows reach across scene cuts.")
  var noSceneCut = false

  @Option(
    help:
      "How progress is shown: bar, lines, json (docs/reference/json-output.md) or none (default: a bar on a terminal, else lines)."
  )
  var progress = ProgressStyle.auto

  @Flag(help: "Show no progress, and no figures when done; warnings and errors only.")
  var quiet = false

  @Flag(help: "Tell more when done.")
  var verbose = false

  @Flag(help: "Tell when done where the time went: seconds by part of the work.")
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
    if quiet && verbose { throw ValidationError("--quiet and --verbose contradict each other") }
  }

  /// Steps down to the instruction set that was asked for.
  func limitInstructionSet() {
    if let isa { InstructionSet.limit(to: isa) }
  }

  /// The choices as the pipeline takes them.
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
