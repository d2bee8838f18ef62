// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
package import EnhancementPipeline
internal import Videnhance
package import VideoIO

/// The processing options of a plan, as given on the command line. Equal on all machines.
package struct PlanOptions: Codable, Sendable, Equatable {
  /// Names of the tasks, in order.
  package var tasks: [String] = ["sr"]
  package var scale, factor, bits: Int?
  /// The size of frames after super-resolution, in the syntax of `SizeGoal`; nil keeps the network's.
  package var goal: String?
  /// Standard deviation of the noise in 8-bit levels; nil if it is estimated from the frames.
  package var noise: Float?
  /// What denoising multiplies the level by; nil for 1.
  package var strength: Float?
  /// Sharpness of the source; nil if it is estimated.
  package var sharpness: Float?
  /// false if frames are not averaged over time, else nil.
  package var smoothing: Bool?
  /// Frames per second as `numerator/denominator`.
  package var fps: String?
  package var tier: String?
  /// `Ensemble`; nil for 1.
  package var ensemble: Int?
  /// `SourceKind` of each task; nil until it is decided.
  package var sources: [String]?
  /// Path of the weights; nil for the shipped ones.
  package var modelFile: String?
  /// In microseconds.
  package var start, duration: Int64?
  package var stream: Int?
  /// `frames` or `fields`.
  package var deinterlacing: String?
  package var allowsPlaylists = false, ignoresDolbyVision = false, findsSceneCuts = true
  package var encoder = EncoderSettings()

  package init() {}

  // MARK: - Words

  /// Descriptions of all options, by option name.
  package var words: [String: String] {
    func text<Value>(_ value: Value?, _ usual: String = "none") -> String { value.map { "\($0)" } ?? usual }
    func pairs(_ options: [String: String]) -> String {
      options.isEmpty
        ? "none" : options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }
    let ofModel = modelFile == nil ? nil : "that of the model"
    return [
      "--task": tasks.joined(separator: ","),
      "--scale": text(scale, goal == nil ? ofModel ?? "2" : "by the size"),
      "size": text(goal, "by --scale"),
      "--bits": text(bits, ofModel ?? "4"), "--factor": text(factor, fps == nil ? "2" : "none"),
      "--fps": text(fps), "--noise": text(noise, "auto"), "--strength": text(strength, "1"),
      "--sharpness": text(sharpness, "auto"),
      "--no-smoothing": smoothing == false ? "yes" : "no",
      "--model": text(tier, "balanced"), "--ensemble": text(ensemble, "1"),
      "--source": sources?.joined(separator: ",") ?? "auto",
      "--start": text(start.map { Double($0) / 1e6 }, "0"),
      "--duration": text(duration.map { Double($0) / 1e6 }, "all"),
      "--stream": text(stream, "the best"), "--deinterlace": text(deinterlacing, "no"),
      "--no-scene-cut": findsSceneCuts ? "no" : "yes",
      "--ignore-dolby-vision": ignoresDolbyVision ? "yes" : "no",
      "--codec": encoder.codec, "--crf": text(encoder.crf, "usual"),
      "--preset": text(encoder.preset, "usual"), "--encoder-option": pairs(encoder.options),
      "--pix-fmt": text(encoder.pixelFormat, "the source's"),
      "--container": text(encoder.container, "by name") + " " + pairs(encoder.containerOptions),
      "--audio": encoder.convertsAudio ? "auto" : "copy",
      "--subtitles": encoder.convertsSubtitles ? "auto" : "copy",
      "--encoder-threads": "\(encoder.threads)",
    ]
  }

  // MARK: - Work

  /// Returns the steps, with the networks of this machine.
  /// - Throws: `PlanError.unknown` for values that this version does not support.
  package func steps() throws(PlanError) -> [EnhancementStep] {
    var result: [EnhancementStep] = []
    if let sources, sources.count != tasks.count { throw .unknown("a source for each task") }
    for (index, name) in tasks.enumerated() {
      guard let task = EnhancementTask(rawValue: name), bits.map({ NetworkBits(rawValue: $0) != nil }) ?? true
      else { throw .unknown("task \(name) with \(bits.map(String.init) ?? "its own") bits") }
      let isEnlarging = task == .superResolution
      guard let images = Ensemble(rawValue: ensemble ?? 1) else {
        throw .unknown("an ensemble of \(ensemble ?? 1)")
      }
      let choice = NetworkChoice(
        task, scale: isEnlarging ? scale : nil, bits: bits.flatMap(NetworkBits.init(rawValue:)),
        tier: task.tier(tier.flatMap(NetworkTier.init(rawValue:))),
        source: sources.flatMap { SourceKind(rawValue: $0[index]) } ?? .auto, modelFile: modelFile,
        ensemble: images)
      let goal = goal.flatMap { SizeGoal($0) }
      if self.goal != nil, goal == nil { throw .unknown("another size") }
      let conditions = WindowConditions(noiseLevel: noise, strength: strength ?? 1, sharpness: sharpness)
      var step = EnhancementStep.network(choice, given: conditions, rate: try rate, goal: goal)
      step.smooths = smoothing ?? true
      result.append(step)
    }
    if result.isEmpty { throw .unknown("no task") }
    return result
  }

  /// Returns the options with the networks chosen for a film, like a single run would choose them
  /// (`EnhancementStep.adapted`).
  func decided(for input: String, threads: Int?) throws -> PlanOptions {
    guard sources == nil, let survey = try job(input: input, output: "", threads: threads).survey() else {
      return self
    }
    var result = self
    var kind: SourceKind = survey.isPristine ? .clean : .real
    result.sources = tasks.map { task in
      defer { if task == EnhancementTask.restoration.rawValue { kind = .clean } }
      return kind.rawValue
    }
    return result
  }

  private var rate: InterpolationRate {
    get throws(PlanError) {
      guard let fps else { return .factor(factor ?? 2) }
      let parts = fps.split(separator: "/").compactMap { Int32($0) }
      guard parts.count == 2, parts[0] > 0, parts[1] > 0 else { throw .unknown("rate \(fps)") }
      return .framesPerSecond(Rational(parts[0], parts[1]))
    }
  }

  /// Returns the job; nil threads use all cores available on this machine.
  package func job(input: String, output: String, threads: Int?, overwrites: Bool = false) throws(PlanError)
    -> EnhancementJob
  {
    var options = EnhancementJob.Options(threads: threads)
    options.overwrites = overwrites
    options.findsSceneCuts = findsSceneCuts
    options.start = start.map { .microseconds($0) }
    options.length = duration.map { .microseconds($0) }
    options.stream = stream
    options.allowsPlaylists = allowsPlaylists
    options.ignoresDolbyVision = ignoresDolbyVision
    switch deinterlacing {
    case "frames": options.deinterlacing = .frames
    case "fields": options.deinterlacing = .fields
    case nil: options.deinterlacing = nil
    case let other?: throw .unknown("deinterlacing \(other)")
    }
    return EnhancementJob(
      input: input, output: output, encoder: encoder, options: options, steps: try steps())
  }
}
