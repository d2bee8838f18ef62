// SPDX-License-Identifier: Apache-2.0
package import EnhancementPipeline
internal import Foundation
internal import Videnhance
package import VideoIO

/// How one film is worked on by many processes: a JSON file that all of them read (docs/reference/cluster.md).
package struct FilmPlan: Codable, Sendable, Equatable {
  /// The source, and what tells that a machine has the same one.
  package struct Source: Codable, Sendable, Equatable {
    package var path: String
    package var size: Int
    package var sha256: String
  }

  /// The segments that one shard makes.
  package struct Shard: Codable, Sendable, Equatable {
    package var first, count: Int
    /// Its segments.
    package var segments: Range<Int> { first..<first + count }
  }

  /// What the work comes to by a measurement on the machine that made the plan.
  package struct Forecast: Codable, Sendable, Equatable {
    /// Seconds of all shards together, one after the other.
    package var seconds: Double
    package var threads: Int
    /// Bytes of the video, by the frames measured; nil where they tell nothing.
    package var bytes: Int?
  }

  /// Of the files that this version writes.
  package static let currentFormat = 1
  private static let mostBytes = 1 << 30

  package var format = currentFormat
  /// Versions of this program and of FFmpeg.
  package var program, ffmpeg: String
  package var source: Source
  package var output: String
  package var options: PlanOptions
  /// What identifies the network of each step: its task, its file's size and SHA-256, what it is told.
  package var models: [String]
  package var film: FilmScan
  package var shards: [Shard]
  package var forecast: Forecast?

  // MARK: - Making

  /// Reads the source and plans the work.
  ///
  /// - Parameters:
  ///   - length: how segments are cut.
  ///   - share: how many shards there are.
  ///   - scratch: the name of a file that is made and removed.
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

  /// Adds a forecast by a short measurement of the networks and the encoder.
  /// - Parameter threads: nil takes as many as there are.
  /// - Throws: what a run throws.
  package mutating func foresee(threads: Int?) async throws {
    let job = try options.job(input: source.path, output: output, threads: threads)
    var choices = EnhancementJob.ForecastOptions.brief
    choices.frames = film.frames
    choices.scenes = film.sceneCuts.count + 1
    let made = try await job.forecast(choices)
    guard let seconds = made.seconds else { return }
    forecast = Forecast(seconds: seconds, threads: made.threads, bytes: made.videoBytes)
  }

  /// Parts of `total` segments that differ by one at most.
  static func parts(of total: Int, count: Int) -> [Shard] {
    (0..<count).map { index in
      let (first, end) = (index * total / count, (index + 1) * total / count)
      return Shard(first: first, count: end - first)
    }
  }

  // MARK: - The file

  /// Reads a plan, every number checked.
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
      throw .cannotRead(path: path, reason: "\((error as NSError).localizedDescription)")
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

  /// Writes the plan; it is there whole or not at all.
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

  /// What tells the plan from others, as far as pieces depend on it: not how they are shared out, nor where files lie.
  package var identity: String {
    var core = self
    core.shards = []
    core.forecast = nil
    core.source.path = ""
    core.output = ""
    return ContentDigest.sha256([UInt8]((try? Self.encoder.encode(core)) ?? Data()))
  }

  // MARK: - Comparing

  /// What pieces depend on, in words by name.
  package var settings: [String: String] {
    var result = options.words
    result["videnhance"] = program
    result["FFmpeg"] = ffmpeg
    result["the source"] = "\(source.size) bytes, \(source.sha256)"
    result["--segment-frames"] = "\(film.segmentFrames)"
    for (index, model) in models.enumerated() { result["model \(index + 1)"] = model }
    return result
  }

  /// What is other than it was, one line each.
  package static func differences(_ before: [String: String], _ now: [String: String]) -> [String] {
    Set(before.keys).union(now.keys).sorted().compactMap { name in
      let (old, new) = (before[name] ?? "none", now[name] ?? "none")
      return old == new ? nil : "\(name) was \(old), is \(new)"
    }
  }

  /// Checks that this machine would do what the plan was made for.
  /// - Parameter source: where the source lies here; nil for the plan's own path.
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

  /// Where the pieces of a plan lie.
  package static func piecesPath(plan: String) -> String { plan + ".pieces" }

  package func folder(plan: String) -> PieceFolder {
    PieceFolder(
      path: Self.piecesPath(plan: plan), plan: identity, settings: settings,
      segmentFrames: film.segmentFrames, input: source.path)
  }

  /// The work on the plan's pieces.
  package func work(plan: String, source: String? = nil, threads: Int?, overwrites: Bool = false)
    throws(PlanError) -> PieceJob
  {
    PieceJob(
      job: try options.job(
        input: source ?? self.source.path, output: output, threads: threads, overwrites: overwrites),
      film: film, folder: folder(plan: plan))
  }
}
