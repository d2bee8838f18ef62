// SPDX-License-Identifier: Apache-2.0
package import EnhancementPipeline
internal import Foundation
package import VideoIO

/// A file of a folder and its output.
package struct BatchFile: Sendable {
  /// Its position among the files of this run, from 1.
  package var number = 0
  /// Its path relative to the folder, by which files are divided into shards.
  package var path: String
  package var input, output: String
  var encoder: EncoderSettings
  /// The reason not to process the file.
  var problem: BatchError?
}

/// The files of a folder with their outputs.
package struct BatchPlan: Sendable {
  /// The files of this shard, sorted by path.
  package private(set) var files: [BatchFile]
  /// Number of files in all shards.
  package let total: Int

  /// Plans the outputs of a folder. All files are named before they are divided, so that every shard uses the
  /// same names.
  /// - Parameters:
  ///   - name: returns the output's name for a file's name.
  ///   - settings: returns the settings of an output's encoder.
  package init(
    _ scan: FolderScan, from input: String, to output: String, shard: Shard?, balance: ShareBalance = .name,
    name: (String) -> String,
    settings: (String) -> EncoderSettings
  ) {
    var files = Self.plan(scan, from: input, to: output, name: name, settings: settings)
    total = files.count
    if let shard { files = shard.files(of: files, by: balance) }
    for index in files.indices { files[index].number = index + 1 }
    self.files = files
  }

  private static func plan(
    _ scan: FolderScan, from input: String, to output: String, name: (String) -> String,
    settings: (String) -> EncoderSettings
  ) -> [BatchFile] {
    let inputs = Set(scan.files.compactMap { FileIdentity(path: FolderScan.join(input, $0)) })
    var takers: [String: String] = [:]
    var files = scan.files.map { path in
      let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
      let source = FolderScan.join(input, path)
      let target = FolderScan.join(output, path[..<slash] + name(String(path[slash...])))
      var file = BatchFile(path: path, input: source, output: target, encoder: settings(target))
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
      var file = BatchFile(
        path: path, input: folder, output: FolderScan.join(output, path), encoder: EncoderSettings())
      file.problem = .cannotReadFolder(path: folder, reason: reason)
      files.append(file)
    }
    return files
  }
}

/// Enhances the videos of a folder, several at a time.
package struct BatchRun: Sendable {
  /// An event in the processing of a file.
  package enum Event: Sendable {
    case began(BatchFile)
    case progressed(BatchFile, EnhancementProgress)
    /// The forecast for a file with large output frames, before work on it begins.
    case foresaw(BatchFile, Forecast)
    case skipped(BatchFile, reason: String)
    case done(BatchFile, EnhancementSummary, seconds: Double)
    case failed(BatchFile, any Error)
    /// The run was cancelled before the file was complete.
    case interrupted(BatchFile)
    /// The journal could not be written; the run continues without it.
    case journalFailed(BatchError)
  }

  /// The results of all files.
  package struct Report: Sendable {
    package var records: [FileRecord] = []
    package var wasInterrupted = false
  }

  private let files: [BatchFile]
  private let steps: [EnhancementStep]
  private let options: EnhancementJob.Options
  private let jobs: Int
  private let skipsExisting: Bool
  private let journal: Journal?
  /// Creates the job of a file, if jobs differ by file; nil processes all files alike.
  private let adapted: (@Sendable (BatchFile) throws -> EnhancementJob)?
  /// Whether to print a forecast before files with large output frames.
  private let foreseesCost: Bool

  /// - Parameters:
  ///   - options: options for each file; `threads` is the number per file.
  ///   - jobs: number of files to process at the same time.
  package init(
    _ plan: BatchPlan, steps: [EnhancementStep], options: EnhancementJob.Options, jobs: Int,
    skipsExisting: Bool, journal: Journal?,
    adapted: (@Sendable (BatchFile) throws -> EnhancementJob)? = nil, foreseesCost: Bool = false
  ) {
    self.adapted = adapted
    self.foreseesCost = foreseesCost
    files = plan.files
    self.steps = steps
    self.options = options
    self.jobs = jobs
    self.skipsExisting = skipsExisting
    self.journal = journal
  }

  /// Runs until all files are processed or the task is cancelled.
  /// - Parameters:
  ///   - text: describes an error in one line, for the journal.
  ///   - observe: called from several tasks concurrently.
  package func run(
    text: @escaping @Sendable (any Error, BatchFile) -> String,
    observe: @escaping @Sendable (Event) -> Void
  ) async -> Report {
    var report = Report()
    var journal = journal
    await withTaskGroup(of: FileRecord?.self) { group in
      var waiting = files.makeIterator()
      func begin() {
        guard !Task.isCancelled, let file = waiting.next() else { return }
        group.addTask { await enhance(file, text: text, observe: observe) }
      }
      for _ in 0..<jobs { begin() }
      while let result = await group.next() {
        if let record = result {
          report.records.append(record)
          do throws(BatchError) {
            try journal?.write(record.line)
          } catch {
            // A broken journal is no reason to stop enhancing.
            observe(.journalFailed(error))
            journal = nil
          }
        }
        begin()
      }
      report.wasInterrupted = Task.isCancelled && report.records.count < files.count
    }
    return report
  }

  /// Processes a file; returns nil if it was interrupted.
  private func enhance(
    _ file: BatchFile, text: (any Error, BatchFile) -> String, observe: @escaping @Sendable (Event) -> Void
  ) async -> FileRecord? {
    let clock = ContinuousClock.now
    var record = FileRecord(input: file.input, output: file.output, status: .done, seconds: 0)
    observe(.began(file))
    do {
      if let problem = file.problem { throw problem }
      if let reason = try reasonToSkip(file) {
        record.status = .skipped
        record.error = reason
        observe(.skipped(file, reason: reason))
      } else {
        try Self.makeFolder(Self.parent(of: file.output))
        let job = try job(for: file)
        // A cancelled forecast is followed by a cancelled run.
        if foreseesCost, job.makesLargeFrames, let forecast = try? await job.forecast(.brief) {
          observe(.foresaw(file, forecast))
        }
        let summary = try await job.run { observe(.progressed(file, $0)) }
        record.frames = summary.frames
        observe(.done(file, summary, seconds: (ContinuousClock.now - clock).seconds))
      }
    } catch {
      // Errors during cancellation are not the file's fault.
      if Task.isCancelled {
        observe(.interrupted(file))
        return nil
      }
      record.status = .failed
      record.error = text(error, file)
      if case VideoIOError.outputExists = error { record.isTaken = true }
      observe(.failed(file, error))
    }
    record.seconds = (ContinuousClock.now - clock).seconds
    return record
  }

  private func job(for file: BatchFile) throws -> EnhancementJob {
    if let adapted { return try adapted(file) }
    return EnhancementJob(
      input: file.input, output: file.output, encoder: file.encoder, options: options, steps: steps)
  }

  /// Returns the forecast of a file; nil if the file is skipped. Nothing is written.
  /// - Throws: the file's error.
  package func forecast(_ file: BatchFile, _ choices: EnhancementJob.ForecastOptions) async throws
    -> Forecast?
  {
    if let problem = file.problem { throw problem }
    if try reasonToSkip(file) != nil { return nil }
    if !options.overwrites, FileIdentity(path: file.output) != nil {
      throw VideoIOError.outputExists(path: file.output)
    }
    return try await job(for: file).forecast(choices)
  }

  /// Returns the reason to skip a file; nil if it should be enhanced.
  /// - Throws: the file's error, if its name or its content shows that it is media.
  private func reasonToSkip(_ file: BatchFile) throws -> String? {
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

  /// Returns whether the error means that the file is not media, rather than that it cannot be read.
  private static func isNoMedia(_ error: any Error) -> Bool {
    switch error {
    case VideoIOError.noVideoStream, BatchError.emptyFile, BatchError.picture: true
    // Some other files resemble media for a few bytes, but contain none.
    case VideoIOError.noFrames, VideoIOError.noDecoder, VideoIOError.isPlaylist: true
    // System errors such as "permission denied" have small codes; a missing index means that it is a
    // container.
    case VideoIOError.cannotOpen(_, let reason):
      reason.code < -4096 && !reason.log.contains { $0.contains("moov") }
    default: false
    }
  }

  /// Creates a folder and its parents.
  package static func makeFolder(_ path: String) throws(BatchError) {
    switch FileIdentity(path: path)?.kind {
    case .folder: return
    case .file, .other: throw .cannotMakeFolder(path: path, reason: "a file has this name")
    case nil: break
    }
    let parent = parent(of: path)
    if !parent.isEmpty, parent != path, FileIdentity(path: parent) == nil { try makeFolder(parent) }
    // Another shard may create it at the same time.
    if mkdir(FileName.cString(path), 0o777) != 0, errno != EEXIST {
      throw .cannotMakeFolder(path: path, reason: String(cString: strerror(errno)))
    }
  }

  /// Returns the folder of a path; empty if the path is a name only.
  private static func parent(of path: String) -> String {
    let trimmed = path.last == "/" && path.count > 1 ? path.dropLast() : path[...]
    guard let slash = trimmed.lastIndex(of: "/") else { return "" }
    return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
  }
}
