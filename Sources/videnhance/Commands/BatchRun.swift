// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
import EnhancementModel
import EnhancementPipeline
import Foundation
import Synchronization
import Videnhance
import VideoIO

extension NamePattern: ExpressibleByArgument {
  package init?(argument: String) { self.init(argument) }
}

extension Shard: ExpressibleByArgument {
  package init?(argument: String) { self.init(argument) }
}

extension ShareBalance: ExpressibleByArgument {}

/// Enhances the videos of a folder and reports on the terminal.
struct FolderReport: Sendable {
  private let input: String
  private let plan: BatchPlan
  private let isQuiet, isVerbose, keepsSegments: Bool
  private let jobs: Int
  private let progress: ProgressStyle
  private let tasks: String
  /// The progress lines of the current files.
  private let lines = ProgressLines()
  /// The combined progress line if several files are processed at once; otherwise nil.
  private let sum: BatchLine?

  /// Runs the whole batch.
  /// - Throws: errors before the first file; `ExitCode` 2 if files failed, 130 if the run was interrupted.
  static func run(
    from input: String, to output: String, folder: FolderOptions, source sourceOptions: SourceOptions,
    network: NetworkOptions, encoder: EncoderOptions, work: WorkOptions
  ) async throws {
    guard let source = FileIdentity(path: input) else {
      throw BatchError.cannotReadFolder(path: input, reason: String(cString: strerror(errno)))
    }
    guard source.kind == .folder else { throw BatchError.notAFolder(path: input) }
    if FileIdentity(path: output) == source { throw BatchError.sameFolder(path: output) }
    let environment = ProcessInfo.processInfo.environment
    let shard = try folder.shard?.resolved(environment: environment) ?? Shard(environment: environment)
    // Load the models first, to report a broken one once rather than for each file.
    for step in network.steps { _ = try step.network(64, 64, 1) }
    if work.dryRun, folder.journal != nil {
      throw ValidationError("--dry-run and --journal contradict each other")
    }
    let bits = folder.pattern?.needsBits == true ? try Self.bits(of: network) : nil
    if !work.dryRun { try BatchRun.makeFolder(output) }
    let journal = try folder.journal.map { try Journal(path: $0) }
    let scan = try FolderScan(folder: input, excluding: [output] + (folder.journal.map { [$0] } ?? []))
    var options = work.jobOptions
    sourceOptions.add(to: &options)
    let jobs = folder.jobs ?? 1
    options.threads = max(1, options.threads / jobs)
    let threads = options.threads
    let names = network.task.tasks.map(\.rawValue)
    let tasks = encoder.preset == Preset.auto ? Preset.auto : names.joined(separator: "+")
    let plan = BatchPlan(scan, from: input, to: output, shard: shard, balance: folder.balance) { path in
      (folder.pattern ?? .usual).output(
        for: path, task: tasks,
        bits: bits.map(String.init) ?? "",
        keepsEnding: encoder.container != nil, encoderIsGiven: encoder.codec != nil)
    } settings: { path in
      encoder.settings(output: path, threads: threads)
    }
    let isSilent = work.quiet || work.progress == .json
    if let shard, !isSilent {
      let source = shard.source.map { " (by \($0))" } ?? ""
      Console.line(
        "shard \(shard.index + 1)/\(shard.count)\(source): \(plan.files.count) of \(counted(plan.total, "file"))"
      )
    }
    if plan.total == 0, work.progress != .json { Console.warning("no media files below \(input)") }
    var adapted: (@Sendable (BatchFile) throws -> EnhancementJob)?
    if encoder.preset == Preset.auto {
      adapted = { [options] in try adaptedJob($0, options: options, isSilent: isSilent) }
    }
    let run = BatchRun(
      plan, steps: network.steps, options: options, jobs: jobs, skipsExisting: folder.skipExisting,
      journal: journal, adapted: adapted, foreseesCost: !work.quiet)
    let report = FolderReport(
      input: input, plan: plan, isQuiet: isSilent, isVerbose: work.verbose,
      keepsSegments: options.segments != nil, jobs: jobs, progress: work.progress,
      tasks: network.task.description)
    if work.dryRun {
      return try await report.foresee(run, EnhancementJob.ForecastOptions(network: network))
    }
    try await report.follow(run, passedOver: work.verbose ? scan.passedOverCount : 0)
  }

  private init(
    input: String, plan: BatchPlan, isQuiet: Bool, isVerbose: Bool, keepsSegments: Bool, jobs: Int,
    progress: ProgressStyle, tasks: String
  ) {
    self.tasks = tasks
    self.input = input
    self.plan = plan
    self.isQuiet = isQuiet
    self.isVerbose = isVerbose
    self.keepsSegments = keepsSegments
    self.jobs = jobs
    self.progress = progress
    // JSON lines contain the name of their file.
    sum = jobs > 1 && !isQuiet ? BatchLine(progress, fileCount: plan.files.count) : nil
  }

  private static func bits(of network: NetworkOptions) throws -> Int {
    if let bits = network.bits { return bits.rawValue }
    guard let path = network.modelFile else { return NetworkBits.four.rawValue }
    let file = try Safetensors(path: path)
    return QuantizedModel.isQuantized(file) ? try QuantizedModel(file: file).bits : NetworkBits.float.rawValue
  }

  /// The job of a file whose options are chosen by its content.
  private static func adaptedJob(
    _ file: BatchFile, options: EnhancementJob.Options, isSilent: Bool
  ) throws -> EnhancementJob {
    let words = CommandArguments.own
    let preset = Preset.choice(
      for: try SourceLook(path: file.input, options: options, threads: options.threads))
    let command = try VidenhanceCommand.parseAsRoot(preset.expanded(words))
    guard let command = command as? any EnhancingCommand else {
      preconditionFailure("the words are those of this command")
    }
    if !isSilent { Console.line("\(file.input): \(preset.line(beside: words))") }
    var options = options
    command.source.add(to: &options)
    return EnhancementJob(
      input: file.input, output: file.output,
      encoder: command.encoder.settings(output: file.output, threads: options.threads), options: options,
      steps: command.network.steps)
  }

  /// Prints a forecast of each file without enhancing it.
  private func foresee(_ run: BatchRun, _ choices: EnhancementJob.ForecastOptions) async throws {
    var forecasts: [Forecast] = []
    var hasFailed = false
    for file in plan.files {
      let line = ProgressLine(progress, input: file.input, output: file.output)
      do {
        let made = try await Interrupt.cancelling { try await run.forecast(file, choices) }
        guard let made else { continue }
        forecasts.append(made)
        if line.isJSON {
          line.reportForecast(made)
        } else {
          for text in ForecastReport.lines(made, input: file.input, tasks: tasks) {
            print(FileName.escaped(text))
          }
        }
      } catch is CancellationError {
        throw ExitCode(130)
      } catch {
        hasFailed = true
        lines.begin(file, line)
        handle(.failed(file, error))
      }
    }
    if progress != .json { print(ForecastReport.sum(forecasts)) }
    if hasFailed { throw ExitCode(2) }
  }

  private func follow(_ run: BatchRun, passedOver: Int) async throws {
    let clock = ContinuousClock.now
    let report = try await Interrupt.cancelling {
      await run.run(text: { Self.text($0, of: $1) }, observe: { handle($0) })
    }
    if !isQuiet {
      for line in Self.table(report.records, seconds: (ContinuousClock.now - clock).seconds) {
        Console.line(line)
      }
      let taken = report.records.filter { $0.isTaken }.count
      if taken > 0 {
        Console.line(
          "\(taken == 1 ? "1 output exists" : "\(taken) outputs exist") already (hint: --skip-existing skips them, --overwrite replaces them)"
        )
      }
      if passedOver > 0 {
        Console.line(
          "\(passedOver == 1 ? "1 file was" : "\(passedOver) files were") skipped because of their names")
      }
    }
    if report.wasInterrupted {
      let left = plan.files.count - report.records.count
      Console.line(
        "videnhance: interrupted, \(left) of \(plan.files.count) files left; "
          + (keepsSegments ? "--resume continues" : "unfinished ones are removed"))
      throw ExitCode(130)
    }
    if report.records.contains(where: { $0.status == .failed }) { throw ExitCode(2) }
  }

  private func handle(_ event: BatchRun.Event) {
    switch event {
    case .began(let file):
      if progress == .json || !isQuiet && jobs == 1 {
        lines.begin(file, ProgressLine(progress, input: file.input, output: file.output))
      }
    case .progressed(let file, let progress):
      lines.of(file)?.update(progress)
      sum?.update(file.number, progress)
    case .foresaw(let file, let forecast):
      if progress == .json {
        lines.of(file)?.reportForecast(forecast)
      } else {
        let texts = ForecastReport.lines(forecast, input: file.input, tasks: tasks)
        for text in texts { Console.line(text) }
      }
    case .skipped(let file, let reason):
      end(file) { _ in
        if !isQuiet { Console.line("\(label(file)) \(file.input): skipped, \(reason)") }
      }
    case .done(let file, let summary, let seconds):
      end(file, frames: summary.frames) { line in
        line?.reportDone(summary)
        report(file, summary, seconds: seconds)
      }
    case .failed(let file, let error):
      end(file) { line in report(error, of: file, line) }
    case .interrupted(let file): end(file) { _ in }
    case .journalFailed(let error): Console.error(error)
    }
  }

  /// Removes the file's progress line from the terminal and prints its result.
  private func end(_ file: BatchFile, frames: Int = 0, printing messages: (ProgressLine?) -> Void) {
    let line = lines.end(file)
    guard let sum else { return messages(line) }
    sum.end(file.number, frames: frames) { messages(line) }
  }

  // MARK: - Messages

  private func report(_ error: any Error, of file: BatchFile, _ line: ProgressLine?) {
    if let line, line.isJSON {
      line.reportFailed(Self.text(error, of: file, hint: Self.hint(for: error)))
    } else if case VideoIOError.outputExists = error {
      Console.line("videnhance: \(Self.text(error, of: file, hint: Self.hint(for: error)))")
    } else if "\(error)".contains(file.input) || "\(error)".contains(file.output) {
      Console.error(error)
    } else {
      Console.line("videnhance: \(Self.text(error, of: file))")
    }
  }

  private func label(_ file: BatchFile) -> String { "[\(file.number)/\(plan.files.count)]" }

  private func report(_ file: BatchFile, _ summary: EnhancementSummary, seconds: Double) {
    // Objects list them.
    if progress == .json { return }
    for warning in summary.warnings { Console.warning("\(file.input): \(Console.text(of: warning))") }
    for stream in summary.leftOut { Console.warning("\(file.output): left out \(Console.text(of: stream))") }
    if isQuiet { return }
    var details = ""
    if isVerbose {
      details += ", encoder \(summary.encoder), \(summary.format)"
      if let source = summary.source {
        details += ", \(source.verdict)"
      }
      if let noise = summary.noise.text { details += ", noise removed: \(noise)" }
    }
    let speed = String(format: "speed %.1f fps", Double(summary.frames) / max(seconds, 1e-6))
    Console.line(
      "\(label(file)) \(file.output): \(counted(summary.frames, "frame")), \(summary.width)x\(summary.height), "
        + "took \(clockText(seconds)), \(speed)\(details)")
  }

  /// The advice in another batch; nil for errors whose own is right.
  private static func hint(for error: any Error) -> String? {
    guard case VideoIOError.outputExists = error else { return nil }
    return "pass --skip-existing, or --overwrite"
  }

  /// Describes an error and its hint in one line, with the file's name, which errors of a network do not contain. The
  /// text also goes into the journal.
  /// - Parameter hint: replaces the error's own.
  private static func text(_ error: any Error, of file: BatchFile, hint: String? = nil) -> String {
    let text = hint.map { Console.singleLine("\(error) (hint: \($0))") } ?? Console.text(of: error)
    return text.contains(file.input) || text.contains(file.output) ? text : "\(file.input): \(text)"
  }

  /// Returns the number of files per result, and the failed files.
  static func table(_ records: [FileRecord], seconds: Double) -> [String] {
    func row(_ cells: String...) -> String {
      cells.enumerated().map { index, cell in
        let padding = String(repeating: " ", count: max(0, (index == 0 ? 8 : 10) - cell.count))
        return index == 0 ? cell + padding : padding + cell
      }.joined()
    }
    var lines = [row("", "files", "frames", "time")]
    for status in FileRecord.Status.allCases {
      let some = records.filter { $0.status == status }
      lines.append(
        row(
          status.rawValue, "\(some.count)", "\(some.reduce(0) { $0 + $1.frames })",
          clockText(some.reduce(0) { $0 + $1.seconds })))
    }
    // Files that are enhanced at the same time take more seconds than pass.
    let sum = records.reduce(0) { $0 + $1.seconds }
    lines.append(
      row(
        "all", "\(records.count)", "\(records.reduce(0) { $0 + $1.frames })", clockText(max(sum, seconds))))
    if clockText(seconds) != clockText(max(sum, seconds)) { lines.append("took \(clockText(seconds))") }
    for record in records where record.status == .failed {
      lines.append("failed: \(record.input)")
      if let error = record.error { lines.append("  " + error) }
    }
    return lines
  }
}

/// The progress lines of the current files.
private final class ProgressLines: Sendable {
  private let lines = Mutex<[Int: ProgressLine]>([:])

  func begin(_ file: BatchFile, _ line: ProgressLine) { lines.withLock { $0[file.number] = line } }

  func of(_ file: BatchFile) -> ProgressLine? { lines.withLock { $0[file.number] } }

  /// Removes a file's line from the terminal.
  @discardableResult
  func end(_ file: BatchFile) -> ProgressLine? {
    let line = lines.withLock { $0.removeValue(forKey: file.number) }
    line?.clear()
    return line
  }
}
