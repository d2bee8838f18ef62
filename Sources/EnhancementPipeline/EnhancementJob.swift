// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
internal import Kernels
package import VideoIO

/// Creates a network for frames of `width` x `height` (both even) that uses `threads` threads.
package typealias NetworkFactory =
  @Sendable (_ width: Int, _ height: Int, _ threads: Int) throws -> any WindowNetwork

/// One processing step of a job, such as denoising.
package struct EnhancementStep: Sendable {
  /// Creates the step's network.
  package var network: NetworkFactory
  /// The rate of the output if the network interpolates.
  package var rate: InterpolationRate
  /// Known properties of the source, such as its noise level.
  package var conditions: WindowConditions
  /// Identifies the network, for example by a hash. Only work with the same identity is resumed.
  package var identity: String
  /// Bits of the network if they were chosen, for messages.
  package var bits: Int?
  /// Returns the step for a source of the surveyed quality; nil if the step does not depend on it.
  package var adapted: (@Sendable (SourceSurvey) -> EnhancementStep)?
  /// Whether the network may take the source's mean quantizer (`WindowConditions.quantizer`).
  package var takesQuantizer = false
  /// Whether the output is clean regardless of the input's quality.
  package var restores = false
  /// Whether frames of networks for real footage and for denoising are averaged with the adjacent ones where the
  /// picture does not move.
  package var smooths = true
  /// Upscaling factor of the step; nil if the model file determines it.
  package var scale: Int?
  /// Target size, to which frames are resampled after the network; nil keeps the size of the network's output.
  package var goal: SizeGoal?
  /// Returns the network factory for a scale chosen by the goal; nil uses `network`.
  package var sizedNetwork: (@Sendable (_ scale: Int) -> NetworkFactory)?

  /// Creates a step.
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

/// Enhances a video file.
///
/// Tasks are connected by bounded channels; the two in parentheses exist once per step:
///
///     reader --> (windows --> enhance) --> writer
///
/// Memory does not depend on the video's length. With T frames per window and channels for R = 1 source
/// frame, W = 1 window and O = 1 enhanced frame (and fewer than 32 packets each), a step holds at most
///
///     R + 2 source frames (R + 5 with deinterlacing): being read, queued or handed over
///     T + W + 5 source frames with 8-bit copies, or only the copies if they are lossless (windows
///         share frames, so each queued window adds one; scene detection looks four frames ahead)
///     O + 2 output frames (O + 5 if they are smoothed), and O + 2 more if they are resized
///
/// in addition to the buffers of decoder, network and encoder. See `preparedFrameLimit(window:)`.
package struct EnhancementJob: Sendable {
  /// Options of a job.
  package struct Options: Sendable {
    /// Threads of the network; the decoder gets a quarter as many. The encoder chooses its own number.
    package var threads: Int
    /// Whether to replace an existing output.
    package var overwrites = false
    /// Whether windows end at scene cuts.
    package var findsSceneCuts = true
    /// Settings for resumable work; nil writes the output in one go.
    package var segments: Segments?

    /// Offset from the beginning of the file, and length of the part to enhance; nil for the whole file.
    package var start, length: Duration?
    /// Index in the file of the video stream to enhance; nil for the best one.
    package var stream: Int?
    /// Whether to follow playlists regardless of their names, and whether to accept Dolby Vision without a
    /// base layer (`VideoReader.Options`).
    package var allowsPlaylists = false, ignoresDolbyVision = false
    /// How to deinterlace; nil refuses interlaced video.
    package var deinterlacing: Deinterlacing?
    /// Collects the time spent in the parts of the stages; nil disables profiling.
    package var profile: WorkProfile?
    /// Called with warnings that users should see before the work is done; the summary omits these.
    package var onNotice: (@Sendable (MediaRemark) -> Void)?

    /// Creates options for `threads` threads; nil uses all cores available to the process.
    package init(threads: Int? = nil) {
      self.threads = threads ?? ProcessorShare.count
    }
  }

  /// Settings for work in segments that a later run can resume. See `SegmentFolder`.
  package struct Segments: Sendable {
    /// Output frames per segment; nil keeps the number of the earlier run, or uses the default.
    package var frames: Int?
    /// Whether to resume an earlier run.
    package var resumes: Bool
    /// Version of the program. Only work of the same version is resumed.
    package var version: String

    /// Creates settings.
    package init(frames: Int? = nil, resumes: Bool, version: String = "") {
      self.frames = frames
      self.resumes = resumes
      self.version = version
    }
  }

  /// Path of the file to read.
  package let input: String
  /// Path of the file to write.
  package let output: String
  /// Settings of the video encoder.
  package let encoder: EncoderSettings
  /// Further options.
  package let options: Options

  /// The steps, in order.
  package private(set) var steps: [EnhancementStep]

  static let readCapacity = 1
  static let windowCapacity = 1
  static let outputCapacity = 1

  /// Returns the maximum number of source frames with 8-bit copies that are alive at once for windows of
  /// `window` frames: the current window, one more frame for each queued window and for the one being handed
  /// over, and the look-ahead of scene detection.
  package static func preparedFrameLimit(window: Int) -> Int {
    window + windowCapacity + 1 + SceneCutDetector.lookAhead
  }

  /// Creates a job of one or more steps. Files are not opened until `run`.
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

  /// Creates a job of a single step.
  package init(
    input: String, output: String, encoder: EncoderSettings = EncoderSettings(), options: Options = Options(),
    network: @escaping NetworkFactory
  ) {
    self.init(
      input: input, output: output, encoder: encoder, options: options,
      steps: [EnhancementStep(network: network)])
  }

  /// Runs the job.
  ///
  /// The output gets its name only when it is complete; a job that throws or is cancelled leaves none.
  /// - Parameter progress: called after each written frame, on the writer's task.
  /// - Throws: `VideoIOError`, `PipelineError`, an error of a network, or `CancellationError`.
  package func run(progress: @escaping @Sendable (EnhancementProgress) -> Void = { _ in }) async throws
    -> EnhancementSummary
  {
    try VideoWriter.validate(
      path: output, input: input, overwrite: options.overwrites, container: encoder.container,
      codec: encoder.codec, preset: encoder.preset)
    let (job, survey) = try await withTaskExecutorPreference(StageExecutor("survey")) { try surveyed() }
    let segments = try options.segments.map { try job.folder(for: $0) }
    do {
      var summary = try await job.run(segments: segments, progress: progress)
      summary.source = steps.contains { $0.adapted != nil } ? survey : nil
      segments?.remove()
      return summary
    } catch {
      segments?.removeUnlessUsed()
      throw error
    }
  }

  /// Returns the job with its steps adapted to the source. Standard input can only be read once, so it is
  /// treated as real footage.
  func surveyed() throws(VideoIOError) -> (job: EnhancementJob, survey: SourceSurvey?) {
    guard let survey = try survey() else { return (self, nil) }
    var job = self
    var current = survey
    for (index, step) in steps.enumerated() {
      if let adapted = step.adapted { job.steps[index] = adapted(current) }
      job.steps[index].smooths = step.smooths
      job.steps[index].conditions.quantizer = current.quantizerValue
      if step.conditions.sharpness == nil {
        job.steps[index].conditions.sharpness = current.sharpness.map { Float($0) }
      }
      if step.restores { current = SourceSurvey(codecName: survey.codecName, isMaster: true, quantizer: nil) }
    }
    return (job, survey)
  }

  /// Surveys the source; returns nil if no step depends on it, or if it can only be read once.
  package func survey() throws(VideoIOError) -> SourceSurvey? {
    guard steps.contains(where: { $0.adapted != nil || $0.takesQuantizer }), input != "-" else { return nil }
    return try SourceSurvey(path: input, options: options.reading(rescues: true), threads: options.threads)
  }

  /// Creates or opens the folder of segments, identified by everything that affects the result.
  private func folder(for segments: Segments) throws -> SegmentFolder {
    let identity = ResumeIdentity(self, source: try SourceFingerprint(path: input), program: segments.version)
    return try SegmentFolder(
      output: output, frames: segments.frames, encoderThreads: encoder.threads,
      identity: WorkIdentity(identity), input: input, resumes: segments.resumes)
  }

  /// Returns, for each step, the number of leading outputs that an earlier run makes unnecessary.
  private func skippedFrames(_ segments: SegmentFolder?) throws -> [Int] {
    guard let segments, segments.frameCount > 0 else { return steps.map { _ in 0 } }
    guard segments.origins.count == steps.count - 1 else {
      throw VideoIOError.segmentsDamaged(
        path: segments.path, reason: "it was made with a different number of steps")
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

  /// Runs all stages except the last, which receives from `output`.
  /// - Parameters:
  ///   - made: the outputs to compute, for each step; nil for all.
  ///   - cuts: frames of the source that start scenes, if known.
  ///   - watch: observes the frames that are read.
  ///   - sharesThread: whether all stages but the first run on one thread: less work where no network runs, since
  ///     handing a frame to another thread costs more than most of what is done with it.
  ///   - first: the first stage; nil reads the file.
  ///   - last: the last stage, if it is part of the same group.
  func enhance(
    to output: FrameChannel, made: [Range<Int>]? = nil, cuts: Set<Int>? = nil, watch: SourceWatch? = nil,
    sharesThread: Bool = false,
    first: (@Sendable (FrameChannel) async throws -> StageReport)? = nil,
    last: (@Sendable () async throws -> StageReport)? = nil
  ) async throws -> EnhancementSummary {
    let read = FrameChannel.between(frames: Self.readCapacity)
    let windows = steps.map { _ in WindowChannel.between(frames: Self.windowCapacity) }
    let enhanced = steps.dropLast().map { _ in FrameChannel.between(frames: Self.outputCapacity) } + [output]
    // Steps with a goal have an additional stage, which resizes frames.
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
        made: made?[index] ?? 0..<Int.max, smooths: step.smooths, profile: options.profile)
    }

    let shared = sharesThread ? StageExecutor("stages") : nil
    func executor(_ name: String) -> StageExecutor { shared ?? StageExecutor(name) }
    var summary = EnhancementSummary()
    try await withThrowingTaskGroup(of: StageReport.self) { group in
      group.addTask(executorPreference: StageExecutor("reading")) {
        if let first { return try await first(read) }
        return try await reader.run(to: read)
      }
      for index in steps.indices {
        group.addTask(executorPreference: executor("windows.\(index)")) {
          try await windowing[index].run(from: index == 0 ? read : enhanced[index - 1], to: windows[index])
        }
        group.addTask(executorPreference: executor("enhancing.\(index)")) {
          try await enhancing[index].run(from: windows[index], to: unsized[index] ?? enhanced[index])
        }
        if let frames = unsized[index] {
          group.addTask(executorPreference: executor("resizing.\(index)")) {
            try await ResizingStage(profile: options.profile).run(from: frames, to: enhanced[index])
          }
        }
      }
      if let last { group.addTask(executorPreference: executor("writing")) { try await last() } }
      // An error leaves this loop and so cancels the other tasks; `waitForAll` would wait for them.
      for try await report in group { report.add(to: &summary) }
    }
    summary.peakFrames = census.peak
    summary.addFrameWarnings()
    return summary
  }
}

extension EnhancementSummary {
  /// Adds warnings about frames that repeat others instead of being new.
  fileprivate mutating func addFrameWarnings() {
    if substitutedFrames > 0 {
      warnings.append(
        MediaRemark(
          .frames, "\(substitutedFrames) frames could not be interpolated and repeat the source's nearest"))
    }
    if repeatedFrames > 0 {
      warnings.append(
        MediaRemark(
          .frames, "\(repeatedFrames) frames repeat the previous one where the source's do not"))
    }
  }
}
