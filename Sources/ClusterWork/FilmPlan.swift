// SPDX-License-Identifier: Apache-2.0
package import EnhancementPipeline
internal import Foundation
internal import Videnhance
package import VideoIO

/// The plan for enhancing a film with many processes: a JSON file that all of them read
/// (docs/reference/cluster.md).
package struct FilmPlan: Codable, Sendable, Equatable {
  /// The source, with a fingerprint to check that all machines have the same file.
  package struct Source: Codable, Sendable, Equatable {
    package var path: String
    package var size: Int
    package var sha256: String
  }

  /// The segments of a shard.
  package struct Shard: Codable, Sendable, Equatable {
    package var first, count: Int
    /// The indices of its segments.
    package var segments: Range<Int> { first..<first + count }
  }

  /// An estimate of the work, from a measurement on the machine that made the plan.
  package struct Forecast: Codable, Sendable, Equatable {
    /// Total time of all shards in seconds, one after the other.
    package var seconds: Double
    package var threads: Int
    /// Estimated size of the video in bytes, from the measured frames; nil if they allow no estimate.
    package var bytes: Int?
  }

  /// Format version of plans that this program writes.
  package static let currentFormat = 1
  private static let mostBytes = 1 << 30

  package var format = currentFormat
  /// Versions of this program and of FFmpeg.
  package var program, ffmpeg: String
  package var source: Source
  package var output: String
  package var options: PlanOptions
  /// Identifies the network of each step: task, size and SHA-256 of the file, and conditions.
  package var models: [String]
  package var film: FilmScan
  package var shards: [Shard]
  package var forecast: Forecast?

  // MARK: - Making

  /// Reads the source and creates a plan.
  ///
  /// - Parameters:
  ///   - length: the rule for dividing the film into segments.
  ///   - share: the rule for the number of shards.
  ///   - scratch: path of a file that is created and removed.
  /// - Throws: `PlanError`, `VideoIOError`, `PipelineError`, or `CancellationError`.
  package static func make(
    input: String, output: String, options: PlanOptions, length: SegmentLength, share: SegmentLength,
    version: String, threads: Int?, scratch: String,
    progress: @escaping @Sendable (EnhancementProgress) -> Void = { _ in }
  ) async throws -> FilmPlan {
    let print = try SourceFingerprint(path: input)
    let options = try options.decided(for: input, threads: threads)
    let job = try options.job(input: input, output: output, threads: threads)
    let film = try await job.scan(length: length, scratch: scratch, progress: progress)
    let count = min(film.segments.count, share.shards(frames: film.frames, seconds: film.seconds))
    return FilmPlan(
      program: version, ffmpeg: LibavBuild.version,
      source: Source(path: input, size: print.size, sha256: print.digest), output: output, options: options,
      models: job.steps.map { "\($0.identity), \($0.rate)" }, film: film,
      shards: parts(of: film.segments.count, count: count))
  }

  /// Adds a forecast from a short measurement of the networks and the encoder.
  /// - Parameter threads: threads of the networks; nil uses all cores.
  /// - Throws: the errors of a run.
  package mutating func foresee(threads: Int?) async throws {
    let job = try options.job(input: source.path, output: output, threads: threads)
    var choices = EnhancementJob.ForecastOptions.brief
    choices.frames = film.frames
    choices.scenes = film.sceneCuts.count + 1
    let made = try await job.forecast(choices)
    guard let seconds = made.seconds else { return }
    forecast = Forecast(seconds: seconds, threads: made.threads, bytes: made.videoBytes)
  }

  /// Divides `total` segments into parts that differ by at most one.
  static func parts(of total: Int, count: Int) -> [Shard] {
    (0..<count).map { index in
      let (first, end) = (index * total / count, (index + 1) * total / count)
      return Shard(first: first, count: end - first)
    }
  }

  // MARK: - The file

  /// Reads a plan and checks all its values.
  /// - Throws: `PlanError`.
  package static func read(_ path: String) throws(PlanError) -> FilmPlan {
    struct Head: Decodable { var format: Int }
    let data: Data
    do {
      let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
      guard size <= mostBytes else { throw PlanError.notAPlan(path: path) }
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch let error as PlanError {
      throw error
    } catch {
      let isReadable = access(path, R_OK) == 0
      throw .cannotRead(
        path: path,
        reason: isReadable ? (error as NSError).localizedDescription : String(cString: strerror(errno)))
    }
    guard let head = try? JSONDecoder().decode(Head.self, from: data) else { throw .notAPlan(path: path) }
    guard head.format == currentFormat else { throw .otherFormat(path: path, format: head.format) }
    guard let plan = try? JSONDecoder().decode(FilmPlan.self, from: data), plan.isSound else {
      throw .notAPlan(path: path)
    }
    return plan
  }

  private var isSound: Bool {
    guard !options.tasks.isEmpty, models.count == options.tasks.count, film.isSound(steps: models.count),
      (0...1024).contains(options.encoder.threads), !shards.isEmpty
    else { return false }
    var next = 0
    for shard in shards {
      guard shard.first == next, shard.count >= 0, shard.count <= film.segments.count - next else {
        return false
      }
      next += shard.count
    }
    return next == film.segments.count
  }

  /// Writes the plan atomically.
  /// - Throws: `PlanError.cannotWrite`.
  package func write(_ path: String) throws(PlanError) {
    do {
      try Self.encoder.encode(self).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw .cannotWrite(path: path, reason: "\((error as NSError).localizedDescription)")
    }
  }

  private static var encoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }

  /// Identifies what the pieces depend on: everything except the division into shards and the paths.
  package var identity: String {
    var core = self
    core.shards = []
    core.forecast = nil
    core.source.path = ""
    core.output = ""
    return ContentDigest.sha256([UInt8]((try? Self.encoder.encode(core)) ?? Data()))
  }

  // MARK: - Comparing

  /// What the pieces depend on, described in words, by name.
  package var settings: [String: String] {
    var result = options.words
    result["videnhance"] = program
    result["FFmpeg"] = ffmpeg
    result["the source"] = "\(source.size) bytes, \(source.sha256)"
    result["--segment-frames"] = "\(film.segmentFrames)"
    for (index, model) in models.enumerated() { result["model \(index + 1)"] = model }
    return result
  }

  /// Returns the differences between two sets of settings, one line each.
  package static func differences(_ before: [String: String], _ now: [String: String]) -> [String] {
    Set(before.keys).union(now.keys).sorted().compactMap { name in
      let (old, new) = (before[name] ?? "none", now[name] ?? "none")
      return old == new ? nil : "\(name) was \(old), is \(new)"
    }
  }

  /// Checks that this machine would produce the planned result.
  /// - Parameter source: path of the source on this machine; nil for the plan's own path.
  /// - Throws: `PlanError.differs`, `sourceMissing`.
  package func check(path: String, source: String? = nil, version: String) throws(PlanError) {
    var now = self
    now.program = version
    now.ffmpeg = LibavBuild.version
    now.models = try options.steps().map { "\($0.identity), \($0.rate)" }
    let place = source ?? self.source.path
    do throws(VideoIOError) {
      let print = try SourceFingerprint(path: place)
      (now.source.size, now.source.sha256) = (print.size, print.digest)
    } catch {
      guard case .cannotOpen(_, let reason) = error else {
        throw .sourceMissing(path: place, reason: "\(error)")
      }
      throw .sourceMissing(path: place, reason: "\(reason)")
    }
    let lines = Self.differences(settings, now.settings)
    if !lines.isEmpty { throw .differs(path: path, lines) }
  }

  // MARK: - Work

  /// Returns the folder of a plan's pieces.
  package static func piecesPath(plan: String) -> String { plan + ".pieces" }

  package func folder(plan: String) -> PieceFolder {
    PieceFolder(
      path: Self.piecesPath(plan: plan), plan: identity, settings: settings,
      segmentFrames: film.segmentFrames, input: source.path)
  }

  /// Returns the job that makes the plan's pieces.
  package func work(plan: String, source: String? = nil, threads: Int?, overwrites: Bool = false)
    throws(PlanError) -> PieceJob
  {
    PieceJob(
      job: try options.job(
        input: source ?? self.source.path, output: output, threads: threads, overwrites: overwrites),
      film: film, folder: folder(plan: plan))
  }
}
