// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
import ClusterWork
import EnhancementPipeline
import Foundation
import Kernels
import VideoIO

/// Makes shards of a planned film.
struct MakeShards: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shard",
    abstract: "Make one shard of a plan, or several.",
    discussion: """
      Examples:
        videnhance shard plan.json --index 3
        videnhance shard plan.json --index 0,4-7
        videnhance shard plan.json                    the one of an array job

      Without --index, the index is that of an array job of Slurm (SLURM_ARRAY_TASK_ID) or an indexed job of Kubernetes \
      (JOB_COMPLETION_INDEX). Pieces that exist and are complete are not made again, so a shard may be started any \
      number of times, also at the same time. On SIGTERM the unfinished segment is dropped, and finished ones are kept.

      Exit codes: 0 done, 1 failed, 64 wrong usage, 75 try again later (disk full, out of memory, source missing), \
      130 and 143 interrupted.
      """)

  @OptionGroup var plan: PlanArguments

  @Option(help: ArgumentHelp("Shards to make, counted from 0, such as 3 or 0,4-7.", valueName: "list"))
  var index: IndexList?

  @Flag(help: "Make all shards, one after the other.") var all = false
  @Flag(help: "Count indices from 1, including those of cluster engines.") var oneBased = false

  @Option(help: "Number of threads; pieces are identical with any number (default: one per core).")
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "Highest instruction set to use; results are identical (default: the best, or VIDENHANCE_ISA).",
      valueName: "set"))
  var isa: InstructionSet?

  @Option(
    help: ArgumentHelp(
      "Append a line of JSON for each shard (docs/reference/json-output.md); - is standard output.",
      valueName: "file"), completion: .file())
  var journal: String?

  @Option(
    help:
      "Progress display: bar, lines, json (docs/reference/json-output.md) or none (default: bar on a terminal, otherwise lines)."
  )
  var progress = ProgressStyle.auto

  @Flag(help: "Print warnings and errors only: no progress, no summary.") var quiet = false

  func validate() throws {
    if index != nil && all { throw ValidationError("--index and --all contradict each other") }
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be 1...1024") }
    if oneBased, index?.indices.contains(0) == true {
      throw ValidationError("with --one-based, the first index is 1")
    }
    try isa?.validate()
  }

  func run() async throws {
    if let isa { InstructionSet.limit(to: isa) }
    try await ClusterRun.run(remains: "finished pieces are kept in \(FilmPlan.piecesPath(plan: plan.plan))") {
      try await make()
    }
  }

  private func make() async throws {
    let film = try FilmPlan.read(plan.plan)
    let indices = try chosen(of: film)
    try film.check(path: plan.plan, source: plan.source, version: VidenhanceCommand.configuration.version)
    let work = try film.work(plan: plan.plan, source: plan.source, threads: threads)
    let journal = try journal.map { try Journal(path: $0) }
    for index in indices {
      let clock = ContinuousClock.now
      var record = FileRecord(
        input: film.source.path, output: "\(plan.plan)#\(index)", status: .done, seconds: 0)
      do {
        let frames = try await make(index, of: film, work)
        record.frames = frames
        if frames == 0 { (record.status, record.error) = (.skipped, "its pieces are whole") }
      } catch {
        if Task.isCancelled { throw error }
        record.status = .failed
        record.error = Console.text(of: error)
        record.seconds = (ContinuousClock.now - clock).seconds
        try? journal?.write(record.line)
        throw error
      }
      record.seconds = (ContinuousClock.now - clock).seconds
      try journal?.write(record.line)
    }
  }

  /// Makes the missing and damaged pieces of a shard.
  /// - Returns: the number of frames made.
  private func make(_ index: Int, of film: FilmPlan, _ work: PieceJob) async throws -> Int {
    let status = PlanStatus(film, work, indices: [index], readsAll: true)
    if !status.foreign.isEmpty { throw PlanError.differs(path: plan.plan, status.foreign) }
    for fault in status.faults { Console.warning("\(plan.plan): \(fault); it is made again") }
    guard let shard = status.shards.first else { return 0 }
    let line = quiet ? nil : ProgressLine(progress, input: film.source.path, output: "\(plan.plan)#\(index)")
    var frames = 0
    var latest: EnhancementSummary?
    for run in Self.runs(shard.missing + shard.damaged) {
      let summary: EnhancementSummary
      do {
        summary = try await work.make(run) { line?.update($0) }
      } catch {
        line?.clear()
        if let line, line.isJSON, !(error is CancellationError) { line.reportFailed(Console.text(of: error)) }
        throw error
      }
      frames += summary.frames
      latest = summary
      for warning in summary.warnings { Console.warning("shard \(index): \(Console.text(of: warning))") }
    }
    line?.clear()
    guard let line else { return frames }
    if line.isJSON {
      latest?.frames = frames
      if let latest { line.reportDone(latest) }
    } else if frames == 0 {
      Console.line("shard \(index): nothing to do, its pieces are complete")
    } else {
      let speed = String(format: "%.1f fps", Double(frames) / max(line.elapsed, 1e-6))
      let made = shard.pieces - shard.whole
      Console.line(
        "shard \(index): \(frames) frames, \(made) \(made == 1 ? "piece" : "pieces"), "
          + "\(clockText(line.elapsed)), \(speed)")
    }
    return frames
  }

  /// Groups numbers into ranges of consecutive ones.
  static func runs(_ numbers: [Int]) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for number in numbers.sorted() {
      if let last = runs.last, last.upperBound == number {
        runs[runs.count - 1] = last.lowerBound..<number + 1
      } else {
        runs.append(number..<number + 1)
      }
    }
    return runs
  }

  private func chosen(of film: FilmPlan) throws(PlanError) -> [Int] {
    if all { return Array(film.shards.indices) }
    var indices = index?.indices
    if indices == nil, let found = try IndexList.index(environment: ProcessInfo.processInfo.environment) {
      indices = [found.index]
      if !quiet { Console.line("shard \(found.index) (by \(found.source)) of \(film.shards.count)") }
    }
    guard let indices else {
      throw .unclearIndex("no index is given, and this is no array job of Slurm or indexed job of Kubernetes")
    }
    return try indices.map { (given) throws(PlanError) in
      let index = oneBased ? given - 1 : given
      guard film.shards.indices.contains(index) else {
        throw .noSuchShard(path: plan.plan, index: given, count: film.shards.count)
      }
      return index
    }
  }
}

extension IndexList: ExpressibleByArgument {
  init?(argument: String) { self.init(argument) }
}
