// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ClusterWork
import EnhancementPipeline
import Foundation
import VideoIO

/// Shows the progress of the work on a plan.
struct ShowStatus: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show which shards of a plan are done.",
    discussion: """
      Example: videnhance status plan.json

      Examines the pieces beside the plan; needs neither source nor model.

      Exit codes: 0 shown, 1 failed, 64 wrong usage.
      """)

  @Argument(help: "The plan written by 'videnhance plan', with the pieces beside it.", completion: .file())
  var plan: String
  @Flag(help: "Print JSON (docs/reference/json-output.md).") var json = false
  @Flag(help: "Compare every byte of the pieces, rather than their lengths.") var verify = false

  /// The JSON output.
  private struct Report: Encodable {
    var plan, source, output: String
    var isComplete: Bool
    var frames, framesDone, pieces, whole: Int
    var shards: [PlanStatus.Shard]
    var faults: [String]
  }

  func run() throws {
    let film = try FilmPlan.read(plan)
    let work = try film.work(plan: plan, threads: 1)
    let status = PlanStatus(film, work, readsAll: verify)
    let shards = status.shards
    let report = Report(
      plan: FileName.legible(plan), source: FileName.legible(film.source.path),
      output: FileName.legible(film.output), isComplete: status.isComplete, frames: film.film.frames,
      framesDone: shards.reduce(0) { $0 + $1.framesDone }, pieces: film.film.segments.count,
      whole: shards.reduce(0) { $0 + $1.whole }, shards: shards, faults: status.faults.map(FileName.legible))
    if json { return print(try ClusterRun.json(report)) }
    for line in Self.table(report.shards) { print(line) }
    for fault in report.faults { print(FileName.escaped(fault)) }
    print(
      "\(report.framesDone) of \(counted(report.frames, "frame"))"
        + (report.isComplete ? ": complete, 'videnhance join' makes \(FileName.escaped(film.output))" : ""))
  }

  private static func table(_ shards: [PlanStatus.Shard]) -> [String] {
    func row(_ cells: [String]) -> String {
      let widths = [5, 8, 12, 16, 12]
      return zip(cells, widths).map { cell, width in
        String(repeating: " ", count: max(0, width - cell.count)) + cell
      }.joined()
    }
    return [row(["shard", "state", "pieces", "frames", "MB"])]
      + shards.map { shard in
        row([
          "\(shard.index)", shard.state, "\(shard.whole)/\(shard.pieces)",
          "\(shard.framesDone)/\(shard.frames)", String(format: "%.1f", Double(shard.bytes) / 1e6),
        ])
      }
  }
}
