// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
import ClusterWork
import EnhancementPipeline
import Foundation
import VideoIO

/// Joins the shards of a planned film.
struct JoinShards: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "join",
    abstract: "Join the shards of a plan into the whole film.",
    discussion: """
      Example: videnhance join plan.json

      Checks every piece, and writes the output with the source's sound, subtitles, chapters and tags: beside its target, \
      renamed when it is complete. Lists what is missing or damaged, with exit code 75. Joining again what is already \
      joined does nothing.

      Exit codes: 0 done, 1 failed, 2 done with a stream left out, 64 wrong usage, 75 try again later (pieces \
      missing, disk full, source missing), 130 and 143 interrupted.
      """)

  @OptionGroup var plan: PlanArguments
  @Flag(help: "Replace the output if it exists.") var overwrite = false
  @Flag(help: "Remove the pieces when the output is complete.") var removePieces = false

  @Option(
    help:
      "Progress display: bar, lines, json (docs/reference/json-output.md) or none (default: bar on a terminal, otherwise lines)."
  )
  var progress = ProgressStyle.auto

  @Flag(help: "Print warnings and errors only: no progress, no summary.") var quiet = false

  func run() async throws {
    let leftOut = try await ClusterRun.run(remains: "nothing is left of the output") { try await join() }
    if leftOut { throw ExitCode(2) }
  }

  /// - Returns: whether streams were left out.
  private func join() async throws -> Bool {
    let film = try FilmPlan.read(plan.plan)
    let folder = film.folder(plan: plan.plan)
    if !overwrite, FileIdentity(path: film.output) != nil,
      let print = try? SourceFingerprint(path: film.output), let leavesOut = folder.joinedLeavingOut(print)
    {
      if !quiet { Console.line("\(film.output): already joined") }
      return leavesOut
    }
    try film.check(path: plan.plan, source: plan.source, version: VidenhanceCommand.configuration.version)
    let work = try film.work(plan: plan.plan, source: plan.source, threads: 1, overwrites: overwrite)
    try VideoWriter.validate(
      path: film.output, input: work.job.input, overwrite: overwrite, container: work.job.encoder.container)
    // Every piece is verified just before it is joined. Where one is missing already, all are read to name those
    // that are damaged.
    let status = PlanStatus(film, work, readsAll: false)
    if !status.isComplete {
      try PlanStatus(film, work, readsAll: true).requireComplete(path: plan.plan)
    }
    let line = quiet ? nil : ProgressLine(progress, input: film.source.path, output: film.output)
    let summary: EnhancementSummary
    do {
      summary = try await work.join(status.records) { line?.update($0) }
    } catch {
      line?.clear()
      if case .segmentsDamaged? = error as? VideoIOError {
        try PlanStatus(film, work, readsAll: true).requireComplete(path: plan.plan)
      }
      throw error
    }
    line?.clear()
    try folder.noteJoined(SourceFingerprint(path: film.output), leavesOut: !summary.leftOut.isEmpty)
    if removePieces { folder.remove() }
    report(summary, film, line)
    return !summary.leftOut.isEmpty
  }

  private func report(_ summary: EnhancementSummary, _ film: FilmPlan, _ line: ProgressLine?) {
    if let line, line.isJSON { return line.reportDone(summary) }
    for warning in summary.warnings { Console.warning("\(film.source.path): \(Console.text(of: warning))") }
    for stream in summary.leftOut { Console.warning("\(film.output): left out \(Console.text(of: stream))") }
    guard let line else { return }
    Console.line(
      "\(film.output): \(counted(summary.frames, "frame")), \(summary.width)x\(summary.height), of "
        + "\(counted(film.shards.count, "shard")), \(clockText(line.elapsed))")
  }
}
