// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
internal import Kernels
package import VideoIO

/// Makes a network for frames of `width` x `height` (even) that works on `threads` threads.
package typealias NetworkFactory =
  @Sendable (_ width: Int, _ height: Int, _ threads: Int) throws -> any WindowNetwork

/// One of the things done to a video, in the order in which they are done.
package struct EnhancementStep: Sendable {
  /// Makes its network.
  package var network: NetworkFactory
  /// How many frames it makes if its network interpolates.
  package var rate: InterpolationRate
  /// What is known about the source beside its frames.
  package var conditions: WindowConditions
  /// What identifies its network, such as a hash: unfinished work is continued with the same one only.
  package var identity: String
  /// The step for sources of a quality; nil if it is the same for all.
  package var adapted: (@Sendable (SourceSurvey) -> EnhancementStep)?
  /// Whether what comes out is clean whatever came in.
  package var restores = false
  /// How many times larger its network makes frames; nil where a model file decides.
  package var scale: Int?
  /// The size that its frames get after the network; nil keeps what the network makes.
  package var goal: SizeGoal?
  /// Makes the network of a scale, where the goal decides which; nil uses `network`.
  package var sizedNetwork: (@Sendable (_ scale: Int) -> NetworkFactory)?

  /// A step.
  package init(
    rate: InterpolationRate = .factor(2), conditions: WindowConditions = WindowConditions(),
    identity: String = "", network: @escaping NetworkFactory
  ) {
    self.rate = rate
    self.conditions = conditions
    self.identity = identity
    self.network = network
  }
}

/// Enhances one video file.
///
/// Tasks in a row, with bounded channels between them; the two in the middle once for each step:
///
///     reader --> (windows --> enhance) --> writer
///
/// Memory is bounded whatever the length of the video. With T frames in a window and channels that hold R = 1
/// frame after the reader, W = 1 window and O = 1 enhanced frame (and fewer than 32 packets each), at most
///
///     R + 2 source frames (R + 5 with deinterlacing) before they are prepared, being read or handed over
///     T + W + 5 source frames with their 8-bit copies, or the copies alone where nothing is lost in them (windows share
///         frames: each one queued adds one; four are looked ahead to for scene cuts)
///     O + 2 output frames, and as many again where they are resized
///
/// are alive for one step, beside what decoder, network and encoder hold themselves. See `preparedFrameLimit(window:)`.
package struct EnhancementJob: Sendable {
  /// What else can be chosen.
  package struct Options: Sendable {
    /// Threads of the network; a quarter as many decode. The encoder's are its own choice.
    package var threads: Int
    /// Whether an existing output is replaced.
    package var overwrites = false
    /// Whether windows end where a scene does.
    package var findsSceneCuts = true
    /// Whether what is finished is kept until all of it is; nil works in one go.
    package var segments: Segments?

    /// How far behind the file's beginning work starts, and how much of it is done; nil for all.
    package var start, length: Duration?
    /// The video stream to work on, by its index in the file; nil for the best one.
    package var stream: Int?
    /// Whether playlists are followed whatever they are called, and whether Dolby Vision is taken without a base layer
    /// (`VideoReader.Options`).
    package var allowsPlaylists = false, ignoresDolbyVision = false
    /// What is made of interlaced frames; nil refuses them.
    package var deinterlacing: Deinterlacing?
    /// Where the time of the stages' parts is added up; nil for nowhere.
    package var profile: WorkProfile?

    /// Choices for `threads` threads; nil is for as many as there are cores that this process may use.
    package init(threads: Int? = nil) {
      self.threads = threads ?? ProcessorShare.count
    }
  }

  /// How work is kept so that a later run can continue it. See `SegmentFolder`.
  package struct Segments: Sendable {
    /// Frames of output in a segment; nil takes those of the earlier run, or the usual number.
    package var frames: Int?
    /// Whether an earlier run is continued.
    package var resumes: Bool
    /// The program's version: unfinished work is continued by the same one only.
    package var version: String

    /// Choices.
    package init(frames: Int? = nil, resumes: Bool, version: String = "") {
      self.frames = frames
      self.resumes = resumes
      self.version = version
    }
  }

  /// The file to read.
  package let input: String
  /// The file to write.
  package let output: String
  /// How the video is encoded.
  package let encoder: EncoderSettings
  /// Further choices.
  package let options: Options

  /// What is done.
  package private(set) var steps: [EnhancementStep]

  static let readCapacity = 1
  static let windowCapacity = 1
  static let outputCapacity = 1

  /// Source frames, with their 8-bit copies, that are alive at once at most for windows of `window` frames:
  /// those of the window worked on, one more for each window queued and for the one handed over, and those that are
  /// looked ahead to.
  package static func preparedFrameLimit(window: Int) -> Int {
    window + windowCapacity + 1 + SceneCutDetector.lookAhead
  }

  /// A job of one or more steps. Nothing is opened yet.
  package init(
    input: String, output: String, encoder: EncoderSettings = EncoderSettings(), options: Options = Options(),
    steps: [EnhancementStep]
  ) {
    precondition(!steps.isEmpty, "a job does something")
    self.input = input
    self.output = output
    self.encoder = encoder
    self.options = options
    self.steps = steps
  }

  /// A job of one step.
  package init(
    input: String, output: String, encoder: EncoderSettings = EncoderSettings(), options: Options = Options(),
    network: @escaping NetworkFactory
  ) {
    self.init(
      input: input, output: output, encoder: encoder, options: options,
      steps: [EnhancementStep(network: network)])
  }

  /// Does the job.
  ///
  /// The output appears under its name when it is complete; a job that throws or is cancelled leaves none.
  /// - Parameter progress: called after each written frame, on the writer's task.
  /// - Throws: `VideoIOError`, `PipelineError`, what the network throws, or `CancellationError`.
  package func run(progress: @escaping @Sendable (EnhancementProgress) -> Void = { _ in }) async throws
    -> EnhancementSummary
  {
    try VideoWriter.validate(
      path: output, input: input, overwrite: options.overwrites, container: encoder.container)
    let (job, survey) = try surveyed()
    let segments = try options.segments.map { try job.folder(for: $0) }
    do {
      var summary = try await job.run(segments: segments, progress: progress)
      summary.source = survey
      segments?.remove()
      return summary
    } catch {
      segments?.removeUnlessUsed()
      throw error
    }
  }

  /// The job with its steps adapted to the source, if any depends on it. Standard input, which can be read only once, counts as
  /// real footage.
  func surveyed() throws(VideoIOError) -> (job: EnhancementJob, survey: SourceSurvey?) {
    guard let survey = try survey() else { return (self, nil) }
    var job = self
    var current = survey
    for (index, step) in steps.enumerated() {
      if let adapted = step.adapted { job.steps[index] = adapted(current) }
      if step.restores { current = SourceSurvey(codecName: survey.codecName, isMaster: true, quantizer: nil) }
    }
    return (job, survey)
  }

  /// What the source looks like; nil if no step depends on it, or if it can be read only once.
  package func survey() throws(VideoIOError) -> SourceSurvey? {
    guard steps.contains(where: { $0.adapted != nil }), input != "-" else { return nil }
    return try SourceSurvey(path: input, options: options.reading(rescues: true), threads: options.threads)
  }

  /// Makes or takes up the folder of segments, with all that the result depends on.
  private func folder(for segments: Segments) throws -> SegmentFolder {
    func list(_ options: [String: String]) -> String {
      options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }
    let models = steps.map { "\($0.identity) \($0.rate)" }.joined(separator: ", ")
    func text<Value>(_ value: Value?, _ usual: String) -> String { value.map { "\($0)" } ?? usual }
    let settings: [String: String] = [
      "source": "\(try SourceFingerprint(path: input))",
      "program": segments.version,
      "FFmpeg": LibavBuild.version,
      "model or task": models,
      "choice of scene cuts": options.findsSceneCuts ? "found" : "ignored",
      "start": text(options.start, "the beginning"),
      "duration": text(options.length, "all"),
      "video stream": text(options.stream, "the best"),
      "way of deinterlacing": text(options.deinterlacing, "none"),
      "encoder": encoder.codec,
      "quality": text(encoder.crf, "usual"),
      "preset": text(encoder.preset, "usual"),
      "set of encoder options": list(encoder.options),
      "layout": text(encoder.pixelFormat, "the source's"),
      "container": text(encoder.container, "by name") + " " + list(encoder.containerOptions),
    ]
    return try SegmentFolder(
      output: output, frames: segments.frames, encoderThreads: encoder.threads, settings: settings,
      input: input, resumes: segments.resumes)
  }

  /// For each step, how many of its outputs are not needed any more.
  private func skippedFrames(_ segments: SegmentFolder?) throws -> [Int] {
    guard let segments, segments.frameCount > 0 else { return steps.map { _ in 0 } }
    guard segments.origins.count == steps.count - 1 else {
      throw VideoIOError.segmentsDamaged(
        path: segments.path, reason: "it is the work of another number of steps")
    }
    return segments.origins + [segments.frameCount]
  }

  private func run(
    segments: SegmentFolder?, progress: @escaping @Sendable (EnhancementProgress) -> Void
  ) async throws -> EnhancementSummary {
    let skipped = try skippedFrames(segments)
    var encoder = encoder
    if let segments { encoder.threads = segments.encoderThreads }
    let enhanced = FrameChannel.between(frames: Self.outputCapacity)
    let writing = WritingStage(
      path: output, settings: encoder, overwrites: options.overwrites, segments: segments,
      profile: options.profile, progress: progress)
    var summary = try await enhance(
      to: enhanced, made: skipped.map { $0..<Int.max },
      last: { try await writing.run(from: enhanced) })
    summary.warnings = (segments?.warnings ?? []) + summary.warnings
    return summary
  }

  /// Runs all stages but the last, which takes from `output`.
  /// - Parameters:
  ///   - made: for each step, which of its outputs are made; nil makes all of them.
  ///   - cuts: where scenes of the source begin, if that is known.
  ///   - watch: who sees the frames that are read.
  ///   - first: the first stage; nil reads the file.
  ///   - last: the last stage if it belongs to the same group.
  func enhance(
    to output: FrameChannel, made: [Range<Int>]? = nil, cuts: Set<Int>? = nil, watch: SourceWatch? = nil,
    first: (@Sendable (FrameChannel) async throws -> StageReport)? = nil,
    last: (@Sendable () async throws -> StageReport)? = nil
  ) async throws -> EnhancementSummary {
    let read = FrameChannel.between(frames: Self.readCapacity)
    let windows = steps.map { _ in WindowChannel.between(frames: Self.windowCapacity) }
    let enhanced = steps.dropLast().map { _ in FrameChannel.between(frames: Self.outputCapacity) } + [output]
    // Frames of a step with a goal pass one stage more.
    let unsized = steps.map { step -> FrameChannel? in
      step.goal == nil ? nil : FrameChannel.between(frames: Self.outputCapacity)
    }
    let census = FrameCensus()
    let reader = ReadingStage(path: input, options: options, rescues: last != nil, watch: watch)
    let windowing = steps.enumerated().map { index, step in
      WindowStage(
        threads: options.threads, findsSceneCuts: options.findsSceneCuts, knownCuts: cuts, step: index,
        stepCount: steps.count, census: census, profile: options.profile, makeNetwork: step.network,
        goal: step.goal, sizedNetwork: step.sizedNetwork)
    }
    let enhancing = steps.enumerated().map { index, step in
      EnhancingStage(
        threads: options.threads, rate: step.rate, conditions: step.conditions,
        made: made?[index] ?? 0..<Int.max, profile: options.profile)
    }

    var summary = EnhancementSummary()
    try await withThrowingTaskGroup(of: StageReport.self) { group in
      group.addTask {
        if let first { return try await first(read) }
        return try await reader.run(to: read)
      }
      for index in steps.indices {
        group.addTask {
          try await windowing[index].run(from: index == 0 ? read : enhanced[index - 1], to: windows[index])
        }
        group.addTask {
          try await enhancing[index].run(from: windows[index], to: unsized[index] ?? enhanced[index])
        }
        if let frames = unsized[index] {
          group.addTask {
            try await ResizingStage(profile: options.profile).run(from: frames, to: enhanced[index])
          }
        }
      }
      if let last { group.addTask { try await last() } }
      // The first failure leaves this loop, and thereby cancels the others; `waitForAll` would wait for them
      // first.
      for try await report in group { report.add(to: &summary) }
    }
    summary.peakFrames = census.peak
    if summary.substitutedFrames > 0 {
      summary.warnings.append(
        "\(summary.substitutedFrames) frames could not be interpolated and repeat the source's nearest")
    }
    if summary.repeatedFrames > 0 {
      summary.warnings.append(
        "\(summary.repeatedFrames) frames repeat the one before where the source's do not")
    }
    return summary
  }
}
