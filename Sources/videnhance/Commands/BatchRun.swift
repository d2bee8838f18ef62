// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel
import EnhancementPipeline
import Foundation
import Videnhance
import VideoIO

/// What became of a file: a line of the journal.
struct FileRecord: Encodable, Sendable {
  enum Status: String, Encodable, CaseIterable {
    case done, skipped, failed
  }

  var input, output: String
  var status: Status
  var seconds: Double
  var frames = 0
  /// Why it was skipped or failed.
  var error: String?

  private enum Key: String, CodingKey { case input, output, status, seconds, frames, error }

  // Written by hand for the null: every line has every key.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(FileName.legible(input), forKey: .input)
    try container.encode(FileName.legible(output), forKey: .output)
    try container.encode(status, forKey: .status)
    try container.encode((seconds * 1000).rounded() / 1000, forKey: .seconds)
    try container.encode(frames, forKey: .frames)
    try container.encode(error.map(FileName.legible), forKey: .error)
  }

  /// The record as a line of JSON.
  var line: Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Data(Console.json((try? encoder.encode(self)) ?? Data("{}".utf8)).utf8) + Data("\n".utf8)
  }
}

/// `--journal`: a file to which lines are appended.
final class Journal: Sendable {
  private let path: String
  private let descriptor: Int32

  /// Opens or makes the file; `-` is standard output.
  init(path: String) throws(BatchError) {
    self.path = path
    // A pipe must not be opened for reading, too, or writing to it would go on when nobody else reads.
    let access = FileIdentity(path: path).map { $0.kind == .file } ?? true ? O_RDWR : O_WRONLY
    descriptor =
      path == "-"
      ? STDOUT_FILENO : open(FileName.cString(path), access | O_APPEND | O_CREAT | O_CLOEXEC, 0o666)
    if descriptor < 0 { throw .cannotWriteJournal(path: path, reason: String(cString: strerror(errno))) }
    guard path != "-", let identity = FileIdentity(path: path), identity.kind == .file, identity.size > 0
    else { return }
    var ends: [UInt8] = [0, 0]
    _ = pread(descriptor, &ends[0], 1, 0)
    _ = pread(descriptor, &ends[1], 1, off_t(identity.size - 1))
    // Whatever else begins is somebody's file, in which our lines have no place.
    guard ends[0] == UInt8(ascii: "{") || ends[0] == UInt8(ascii: "\n") else {
      throw .cannotWriteJournal(path: path, reason: "it is a file of another kind")
    }
    // A run that was killed may have left half a line, which must not spoil the next one.
    if ends[1] != UInt8(ascii: "\n") { try write(Data("\n".utf8)) }
  }

  deinit { if descriptor != STDOUT_FILENO { close(descriptor) } }

  /// Appends a line, in one piece: shards may share the file.
  func write(_ line: Data) throws(BatchError) {
    var rest = line[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw .cannotWriteJournal(path: path, reason: String(cString: strerror(errno))) }
      rest = rest.dropFirst(count)
    }
  }
}

/// Enhances the videos of a folder.
struct FolderRun: Sendable {
  /// A file and where it goes.
  struct File: Sendable {
    /// Its place among those of this run, from 1.
    var number = 0
    /// Its path below the folder, by which shards share.
    var path: String
    var input, output: String
    var encoder: EncoderSettings
    /// Why it is not even tried.
    var problem: BatchError?
  }

  private let files: [File]
  private let steps: [EnhancementStep]
  private let options: EnhancementJob.Options
  private let jobs: Int
  private let skipsExisting, isQuiet, isVerbose: Bool
  private let progress: ProgressStyle
  private let journal: Journal?

  /// Does all of it, and tells of it.
  /// - Throws: what keeps it from beginning; `ExitCode` 2 if files failed, 130 if it was interrupted.
  static func run(
    from input: String, to output: String, folder: FolderOptions, source sourceOptions: SourceOptions,
    network: NetworkOptions, encoder: EncoderOptions,
    work: WorkOptions
  ) async throws {
    guard let source = FileIdentity(path: input) else {
      throw BatchError.cannotReadFolder(path: input, reason: String(cString: strerror(errno)))
    }
    guard source.kind == .folder else { throw BatchError.notAFolder(path: input) }
    if FileIdentity(path: output) == source { throw BatchError.sameFolder(path: output) }
    let environment = ProcessInfo.processInfo.environment
    let shard = try folder.shard?.resolved(environment: environment) ?? Shard(environment: environment)
    // A model that does not load is one error, not one for each file.
    for step in network.steps { _ = try step.network(64, 64, 1) }
    let bits = folder.pattern?.needsBits == true ? try Self.bits(of: network) : nil
    try makeFolder(output)
    let journal = try folder.journal.map { try Journal(path: $0) }

    let scan = try FolderScan(folder: input, excluding: [output] + (folder.journal.map { [$0] } ?? []))
    var options = work.jobOptions
    sourceOptions.add(to: &options)
    let jobs = folder.jobs ?? 1
    options.threads = max(1, options.threads / jobs)
    var files = plan(scan, from: input, to: output) { path in
      (folder.pattern ?? .usual).output(
        for: path, task: network.task.tasks.map(\.rawValue).joined(separator: "+"),
        bits: bits.map(String.init) ?? "",
        keepsEnding: encoder.container != nil, encoderIsGiven: encoder.codec != nil)
    } settings: { path in
      encoder.settings(output: path, threads: options.threads)
    }
    let total = files.count
    if let shard { files = shard.files(of: files, by: folder.balance) }
    for index in files.indices { files[index].number = index + 1 }

    let run = FolderRun(
      files: files, steps: network.steps, options: options, jobs: jobs, skipsExisting: folder.skipExisting,
      isQuiet: work.quiet || work.progress == .json, isVerbose: work.verbose, progress: work.progress,
      journal: journal)
    if let shard, !work.quiet {
      let source = shard.source.map { " (by \($0))" } ?? ""
      Console.line("shard \(shard.index + 1)/\(shard.count)\(source): \(files.count) of \(total) files")
    }
    if total == 0 { Console.warning("no media files below \(input)") }
    try await run.finish(passedOver: work.verbose ? scan.passedOverCount : 0)
  }

  /// Where everything goes. Names are given to all files before any is left to another shard, so that each shard comes to
  /// the same.
  private static func plan(
    _ scan: FolderScan, from input: String, to output: String, name: (String) -> String,
    settings: (String) -> EncoderSettings
  ) -> [File] {
    let inputs = Set(scan.files.compactMap { FileIdentity(path: FolderScan.join(input, $0)) })
    var takers: [String: String] = [:]
    var files = scan.files.map { path in
      let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
      let source = FolderScan.join(input, path)
      let target = FolderScan.join(output, path[..<slash] + name(String(path[slash...])))
      var file = File(path: path, input: source, output: target, encoder: settings(target))
      if let taker = takers[target] {
        file.problem = .outputTaken(path: target, by: taker)
      } else if let identity = FileIdentity(path: target), inputs.contains(identity) {
        file.problem = .outputIsInput(path: target)
      }
      takers[target] = takers[target] ?? source
      return file
    }
    for (path, reason) in scan.unreadable {
      let folder = FolderScan.join(input, path)
      var file = File(
        path: path, input: folder, output: FolderScan.join(output, path), encoder: EncoderSettings())
      file.problem = .cannotReadFolder(path: folder, reason: reason)
      files.append(file)
    }
    return files
  }

  private static func bits(of network: NetworkOptions) throws -> Int {
    if let bits = network.bits { return bits.rawValue }
    guard let path = network.modelFile else { return NetworkBits.four.rawValue }
    let file = try Safetensors(path: path)
    return QuantizedModel.isQuantized(file) ? try QuantizedModel(file: file).bits : NetworkBits.float.rawValue
  }

  private static func makeFolder(_ path: String) throws(BatchError) {
    switch FileIdentity(path: path)?.kind {
    case .folder: return
    case .file, .other: throw .cannotMakeFolder(path: path, reason: "a file has this name")
    case nil: break
    }
    let parent = parent(of: path)
    if !parent.isEmpty, parent != path, FileIdentity(path: parent) == nil { try makeFolder(parent) }
    // Another shard may make it at the same moment.
    if mkdir(FileName.cString(path), 0o777) != 0, errno != EEXIST {
      throw .cannotMakeFolder(path: path, reason: String(cString: strerror(errno)))
    }
  }

  /// The folder that a path lies in; none for a mere name.
  private static func parent(of path: String) -> String {
    let trimmed = path.last == "/" && path.count > 1 ? path.dropLast() : path[...]
    guard let slash = trimmed.lastIndex(of: "/") else { return "" }
    return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
  }

  // MARK: - Work

  /// What all files came to.
  private struct Report: Sendable {
    var records: [FileRecord] = []
    var wasInterrupted = false
  }

  private func finish(passedOver: Int) async throws {
    let clock = ContinuousClock.now
    let report = try await Interrupt.cancelling { await work() }
    if !isQuiet {
      for line in Self.table(report.records, seconds: (ContinuousClock.now - clock).seconds) {
        Console.line(line)
      }
      if passedOver > 0 { Console.line("\(passedOver) files were passed over for their names") }
    }
    if report.wasInterrupted {
      let left = files.count - report.records.count
      Console.line(
        "videnhance: interrupted, \(left) of \(files.count) files left; "
          + (options.segments == nil ? "nothing is left of unfinished ones" : "--resume continues"))
      throw ExitCode(130)
    }
    if report.records.contains(where: { $0.status == .failed }) { throw ExitCode(2) }
  }

  private func work() async -> Report {
    var report = Report()
    var journal = journal
    await withTaskGroup(of: FileRecord?.self) { group in
      var waiting = files.makeIterator()
      func begin() {
        guard !Task.isCancelled, let file = waiting.next() else { return }
        group.addTask { await enhance(file) }
      }
      for _ in 0..<jobs { begin() }
      while let result = await group.next() {
        if let record = result {
          report.records.append(record)
          do {
            try journal?.write(record.line)
          } catch {
            // The videos matter more.
            Console.error(error)
            journal = nil
          }
        }
        begin()
      }
      report.wasInterrupted = Task.isCancelled && report.records.count < files.count
    }
    return report
  }

  /// What becomes of a file; nil if it was interrupted.
  private func enhance(_ file: File) async -> FileRecord? {
    let clock = ContinuousClock.now
    var record = FileRecord(input: file.input, output: file.output, status: .done, seconds: 0)
    // Bars of several files would overwrite each other; lines of JSON say which file they are about.
    let isShown = progress == .json || !isQuiet && jobs == 1
    let line = isShown ? ProgressLine(progress, input: file.input, output: file.output) : nil
    do {
      if let problem = file.problem { throw problem }
      if let reason = try reasonToSkip(file) {
        record.status = .skipped
        record.error = reason
        if !isQuiet { Console.line("\(label(file)) \(file.input): skipped, \(reason)") }
      } else {
        try Self.makeFolder(Self.parent(of: file.output))
        let job = EnhancementJob(
          input: file.input, output: file.output, encoder: file.encoder, options: options, steps: steps)
        let summary = try await job.run { line?.update($0) }
        line?.clear()
        record.frames = summary.frames
        line?.tellDone(summary)
        tell(file, summary, seconds: (ContinuousClock.now - clock).seconds)
      }
    } catch {
      line?.clear()
      // Whatever fell over while work was being cut short is not the file's fault.
      if Task.isCancelled { return nil }
      record.status = .failed
      record.error = Self.text(error, of: file)
      if let line, line.isJSON {
        line.tellFailed(Self.text(error, of: file))
      } else if "\(error)".contains(file.input) || "\(error)".contains(file.output) {
        Console.error(error)
      } else {
        Console.line("videnhance: \(Self.text(error, of: file))")
      }
    }
    record.seconds = (ContinuousClock.now - clock).seconds
    return record
  }

  /// Why a file is left alone; nil if it is to be enhanced.
  /// - Throws: what is wrong with it if it is media by its name, or by its content.
  private func reasonToSkip(_ file: File) throws -> String? {
    if skipsExisting, let output = FileIdentity(path: file.output), output.kind != .folder {
      return "output \(file.output) exists"
    }
    let isMedia = FileEnding.media.contains(NamePattern.split(file.input).ending.lowercased())
    do {
      if let identity = FileIdentity(path: file.input), identity.size == 0 {
        throw BatchError.emptyFile(path: file.input)
      }
      var reading = VideoReader.Options()
      reading.allowsPlaylists = options.allowsPlaylists
      let reader = try VideoReader(path: file.input, threads: options.threads, options: reading)
      if reader.info.isStillImage { throw BatchError.picture(path: file.input) }
      return nil
    } catch {
      guard !isMedia, Self.isNoMedia(error) else { throw error }
      return "not a video by name or content"
    }
  }

  /// Whether the error means that a file is something else than media, rather than media that cannot be read.
  private static func isNoMedia(_ error: any Error) -> Bool {
    switch error {
    case VideoIOError.noVideoStream, BatchError.emptyFile, BatchError.picture: true
    // What looks like media for a few bytes, and holds none, is something else.
    case VideoIOError.noFrames, VideoIOError.noDecoder, VideoIOError.isPlaylist: true
    // The system's own codes, such as "permission denied", are small; an index that is missing tells of a container.
    case VideoIOError.cannotOpen(_, let reason):
      reason.code < -4096 && !reason.log.contains { $0.contains("moov") }
    default: false
    }
  }

  // MARK: - Words

  private func label(_ file: File) -> String { "[\(file.number)/\(files.count)]" }

  private func tell(_ file: File, _ summary: EnhancementSummary, seconds: Double) {
    for warning in summary.warnings { Console.warning("\(file.input): \(warning)") }
    for stream in summary.leftOut { Console.warning("\(file.output): left out \(stream)") }
    if isQuiet { return }
    let encoder = isVerbose ? ", encoder \(summary.encoder), \(summary.format)" : ""
    let speed = String(format: "%.1f fps", Double(summary.frames) / max(seconds, 1e-6))
    Console.line(
      "\(label(file)) \(file.output): \(summary.frames) frames, \(summary.width)x\(summary.height), "
        + "\(ProgressLine.clock(seconds)), \(speed)\(encoder)")
  }

  /// The error in one line with the name of the file, which errors of a network do not know.
  private static func text(_ error: any Error, of file: File) -> String {
    let text = "\(error)".split(whereSeparator: \.isNewline).joined(separator: "; ")
    return text.contains(file.input) || text.contains(file.output) ? text : "\(file.input): \(text)"
  }

  /// How many files came to what, and which failed.
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
          ProgressLine.clock(some.reduce(0) { $0 + $1.seconds })))
    }
    lines.append(
      row("all", "\(records.count)", "\(records.reduce(0) { $0 + $1.frames })", ProgressLine.clock(seconds)))
    for record in records where record.status == .failed {
      lines.append("failed: \(record.input)")
      if let error = record.error { lines.append("  " + error) }
    }
    return lines
  }
}
