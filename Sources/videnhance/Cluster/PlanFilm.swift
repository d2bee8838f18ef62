// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
import ClusterWork
import EnhancementModel
import EnhancementPipeline
import Foundation
import Kernels
import Videnhance
import VideoIO

/// Plans the enhancement of one film by many processes.
struct PlanFilm: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Plan one film for many machines.",
    discussion: """
      Examples:
        videnhance plan film.mkv out.mkv --task denoise,sr --shards 16 -o plan.json
        videnhance shard plan.json --index 3          each of 0 to 15, on any machine
        videnhance join plan.json                     when all are done

      Reads the film once, without a network, and enhances a few frames to forecast time and size. Shards are made in <plan>.pieces, \
      in a folder that all machines share, and joined into the same video, packet by packet, that 'videnhance film.mkv out.mkv --resume' makes with the plan's \
      --segment-frames, and --threads equal to its encoder threads. See docs/reference/cluster.md and samples/cluster.

      Exit codes: 0 done, also if the same plan existed, 1 failed, 64 wrong usage, 75 try again later, 130 and 143 \
      interrupted.
      """)

  @Argument(help: "The video, by a path that is valid on all machines.", completion: .file()) var input:
    String
  @Argument(
    help: "The file that 'videnhance join' will write; its extension selects the container.",
    completion: .file()
  )
  var output: String

  @Option(name: [.customShort("o"), .customLong("plan")], help: "The plan to write.", completion: .file())
  var plan: String

  @Option(help: "Number of shards, each a separate process (default: one per 10 minutes of the film).")
  var shards: Int?

  @Option(
    help: ArgumentHelp(
      "Length of a shard in seconds, instead of --shards.", valueName: "seconds"))
  var shardSeconds: Double?

  @Option(
    help:
      "Output frames per segment, the most that a killed process loses (default: up to 240, so that shards divide evenly)."
  )
  var segmentFrames: Int?

  @Option(
    help: "Encoder threads, the same on all machines, since the output depends on it (default: --threads).")
  var encoderThreads: Int?

  @Option(help: "Number of threads for reading (default: one per core).") var threads: Int?

  @Flag(help: "Replace another plan, and delete the pieces made for it.") var overwrite = false
  @Flag(help: "Skip the forecast of time and size, which enhances a few frames.") var noForecast = false
  @Flag(help: "Do not split windows at scene cuts.") var noSceneCut = false
  @Flag(help: "Print warnings and errors only: no progress, no summary.") var quiet = false

  @OptionGroup(title: "Source options") var source: SourceOptions
  @OptionGroup(title: "Network options") var network: NetworkOptions
  @OptionGroup(title: "Encoder options") var encoder: EncoderOptions

  func validate() throws {
    if input == "-" || output == "-" {
      throw ValidationError("a plan is for files, not for standard input or output")
    }
    if shards != nil && shardSeconds != nil {
      throw ValidationError("--shards and --shard-seconds contradict each other")
    }
    if let shards, !(1...100_000).contains(shards) { throw ValidationError("--shards must be 1...100000") }
    if let shardSeconds, !(shardSeconds > 0 && shardSeconds.isFinite) {
      throw ValidationError("--shard-seconds must be above 0")
    }
    if let segmentFrames, !(1...1_000_000).contains(segmentFrames) {
      throw ValidationError("--segment-frames must be 1...1000000")
    }
    for (name, value) in [("--threads", threads), ("--encoder-threads", encoderThreads)] {
      if let value, !(1...1024).contains(value) { throw ValidationError("\(name) must be 1...1024") }
    }
  }

  func run() async throws {
    let made = try await ClusterRun.run(remains: "no plan is left") { try await makePlan() }
    if !quiet { report(made) }
    for warning in made.film.warnings { Console.warning("\(input): \(warning)") }
    for line in made.film.leftOut { Console.warning("\(input): left out \(line)") }
    if network.bits == .float {
      Console.warning(
        "at --bits 32 pieces may differ by the processor that makes them; other bits are exact everywhere")
    }
  }

  private func makePlan() async throws -> FilmPlan {
    var options = PlanOptions(network: network, source: source)
    options.findsSceneCuts = !noSceneCut
    let workers = threads ?? Parallel.processorCount
    options.encoder = encoder.settings(output: output, threads: encoderThreads ?? workers)
    let path = FilmPlan.piecesPath(plan: plan)
    let folder = PieceFolder(path: path, plan: "", settings: [:], segmentFrames: 1, input: input)
    let found = FileIdentity(path: plan) == nil ? nil : try FilmPlan.read(plan)
    let line = quiet ? nil : ProgressLine(.auto, input: input, output: plan)
    let length = segmentFrames.map { SegmentLength.frames($0) } ?? shareLength
    let hadPieces = FileIdentity(path: path) != nil
    try folder.make()
    let made: FilmPlan
    do {
      made = try await FilmPlan.make(
        input: ClusterRun.absolute(input), output: ClusterRun.absolute(output), options: options,
        length: length, share: shareLength, version: VidenhanceCommand.configuration.version,
        threads: threads, scratch: folder.scratch
      ) { line?.update($0) }
    } catch {
      line?.clear()
      if !hadPieces { folder.remove() }
      throw error
    }
    line?.clear()
    if let found {
      if found.identity == made.identity, found.shards == made.shards { return found }
      let lines = FilmPlan.differences(found.settings, made.settings)
      let shares = "it has \(counted(found.shards.count, "shard")), now \(made.shards.count)"
      guard overwrite || found.identity == made.identity else {
        throw PlanError.exists(path: plan, lines.isEmpty ? ["the film is read otherwise"] : lines)
      }
      guard overwrite else { throw PlanError.exists(path: plan, [shares]) }
      // Keep pieces that fit the new plan too.
      if found.identity != made.identity {
        folder.remove()
        try folder.make()
      }
    }
    var planned = made
    if !noForecast {
      do {
        try await planned.foresee(threads: threads)
      } catch {
        if Task.isCancelled { throw error }
        Console.warning("no forecast: \(error)")
      }
    }
    try planned.write(plan)
    return planned
  }

  /// The rule for the number of shards.
  private var shareLength: SegmentLength {
    shards.map { .shards($0) } ?? .seconds(shardSeconds ?? 600)
  }

  private func report(_ made: FilmPlan) {
    let film = made.film
    Console.line(
      "\(plan): \(counted(film.frames, "frame")) of \(film.width)x\(film.height) in \(counted(made.shards.count, "shard")), "
        + "\(counted(film.segments.count, "segment")) of \(film.segmentFrames), \(counted(film.sceneCuts.count, "scene cut")), "
        + "encoder threads \(made.options.encoder.threads)")
    guard let forecast = made.forecast else { return }
    let bytes = forecast.bytes.map { ", video about \(ForecastReport.text(bytes: $0))" } ?? ""
    Console.line(
      "\(plan): about \(clockText(forecast.seconds)) of work on this machine (\(counted(forecast.threads, "thread"))), "
        + "\(clockText(forecast.seconds / Double(made.shards.count))) a shard\(bytes)")
  }
}

extension PlanFilm: PresetChooser {
  var presetSource: (path: String, options: EnhancementJob.Options)? {
    var options = EnhancementJob.Options(threads: threads)
    source.add(to: &options)
    return (input, options)
  }
}

extension PlanOptions {
  /// Creates plan options from command-line options.
  init(network: NetworkOptions, source: SourceOptions) {
    self.init()
    tasks = network.task.tasks.map(\.rawValue)
    scale = network.networkScale
    goal = network.goal?.description
    factor = network.factor
    bits = network.bits?.rawValue
    noise = network.noise.level
    // A plan with the usual strength equals one without it.
    strength = network.strength == 1 ? nil : network.strength
    sharpness = network.sharpness
    smoothing = network.noSmoothing ? false : nil
    fps = network.fps.map { "\($0.rate)" }
    tier = network.model?.rawValue
    ensemble = network.ensemble.flatMap { $0 == .one ? nil : $0.rawValue }
    if network.source != .auto { sources = tasks.map { _ in network.source.rawValue } }
    modelFile = network.modelFile.map(ClusterRun.absolute)
    start = source.start.map { Self.microseconds($0.value) }
    duration = source.duration.map { Self.microseconds($0.value) }
    stream = source.stream
    deinterlacing = source.deinterlaceFields ? "fields" : source.deinterlace ? "frames" : nil
    allowsPlaylists = source.allowPlaylists
    ignoresDolbyVision = source.ignoreDolbyVision
  }

  /// The options' times have no finer resolution.
  private static func microseconds(_ duration: Duration) -> Int64 {
    let (seconds, attoseconds) = duration.components
    return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
  }
}
