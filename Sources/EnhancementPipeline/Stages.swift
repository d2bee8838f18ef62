// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// What a stage has to say when it is done.
enum StageReport: Sendable {
  case reading(warnings: [String], leftOut: [String])
  case windows(sceneCuts: [Int]?)
  case enhancing(repeated: Int)
  case writing(EnhancementSummary)

  func add(to summary: inout EnhancementSummary) {
    switch self {
    case .reading(let warnings, let leftOut):
      summary.warnings = warnings + summary.warnings
      summary.leftOut = leftOut + summary.leftOut
    case .windows(let cuts): if let cuts { summary.sceneCuts = cuts }
    case .enhancing(let repeated): summary.repeatedFrames += repeated
    case .writing(let written):
      summary.frames = written.frames
      summary.resumedFrames = written.resumedFrames
      summary.width = written.width
      summary.height = written.height
      summary.format = written.format
      summary.encoder = written.encoder
      summary.leftOut += written.leftOut
      summary.warnings += written.warnings
    }
  }
}

/// Reads the file. The reader lives and dies in here.
struct ReadingStage: Sendable {
  let path: String
  let options: EnhancementJob.Options
  /// Whether what can be saved of a file is saved, and `leftOut` says that it is not all; if not, that is an error.
  let rescues: Bool

  /// Frames from which on a file that cannot be worked on any further is ended there, and not refused.
  private static let framesWorthKeeping = 250

  func run(to output: FrameChannel) async throws -> StageReport {
    // Networks take many times longer for a frame than decoders do; a thread of these holds two frames more.
    var reader = try VideoReader(path: path, threads: max(1, options.threads / 4), options: readerOptions)
    let timeBase = reader.info.timeBase.doubleValue
    guard let mode = options.deinterlacing else {
      var frameCount = 0
      try await output.send(.opened(VideoShape(reader.info)))
      while let item = try options.profile.measure("decode", { try reader.next() }) {
        switch item {
        case .frame(let frame):
          if frame.isInterlaced {
            let error = PipelineError.interlaced(
              path: path, seconds: Double(frame.presentationTimestamp - reader.info.startTime) * timeBase)
            // After long work, what is done is kept.
            guard rescues, frameCount >= Self.framesWorthKeeping else { throw error }
            try await output.end(frames: frameCount)
            return .reading(
              warnings: reader.warnings,
              leftOut: reader.leftOut + ["what follows, as \(error); --deinterlace takes all of it"])
          }
          try await output.send(.frame(StageFrame(frame)))
          frameCount += 1
        case .packet(let packet): try await output.send(.packet(packet))
        }
      }
      try await output.end(frames: frameCount)
      return .reading(warnings: reader.warnings, leftOut: reader.leftOut)
    }
    // The first frame tells how to begin; packets before it wait.
    var waiting: [EncodedPacket] = []
    var first: VideoFrame?
    while first == nil, let item = try reader.next() {
      switch item {
      case .frame(let frame): first = frame
      case .packet(let packet): waiting.append(packet)
      }
    }
    guard let first else { throw PipelineError.noFrames(path: path) }
    var deinterlacer = try Deinterlacer(
      mode, like: first, timeBase: reader.info.timeBase, threads: options.threads)
    try await output.send(
      .opened(VideoShape(reader.info).deinterlaced(mode, timeBase: deinterlacer.timeBase)))
    for packet in waiting { try await output.send(.packet(packet)) }
    var frameCount = 0
    func send(_ frames: [VideoFrame]) async throws {
      for frame in frames { try await output.send(.frame(StageFrame(frame))) }
      frameCount += frames.count
    }
    try await send(deinterlacer.push(first))
    while let item = try options.profile.measure("decode", { try reader.next() }) {
      switch item {
      case .frame(let frame):
        try await send(options.profile.measure("deinterlace") { try deinterlacer.push(frame) })
      case .packet(let packet): try await output.send(.packet(packet))
      }
    }
    try await send(deinterlacer.finish())
    try await output.end(frames: frameCount)
    return .reading(warnings: reader.warnings, leftOut: reader.leftOut)
  }

  private var readerOptions: VideoReader.Options {
    var result = VideoReader.Options()
    result.start = options.start
    result.length = options.length
    result.stream = options.stream
    result.allowsPlaylists = options.allowsPlaylists
    result.ignoresDolbyVision = options.ignoresDolbyVision
    result.toleratesEarlyEnd = rescues
    return result
  }
}

/// Makes the network once the picture's size is known, prepares frames for it, and groups them into windows.
struct WindowStage: Sendable {
  let threads: Int
  let findsSceneCuts: Bool
  /// Its place among the steps; the first one's frames are the file's.
  let step: Int
  let stepCount: Int
  let census: FrameCensus
  let profile: WorkProfile?
  let makeNetwork: NetworkFactory

  func run(from input: FrameChannel, to output: WindowChannel) async throws -> StageReport {
    guard case .opened(let shape) = try await input.next() else {
      preconditionFailure("the stage before opens first")
    }
    let handoff = NetworkHandoff(
      network: try makeNetwork((shape.width + 1) & ~1, (shape.height + 1) & ~1, threads))
    handoff.network.profile = profile
    // Interpolation takes a frame and the one after it.
    let length = max(handoff.network.architecture.window, 1) | 1
    try await output.send(.opened(WindowOpening(shape: shape, handoff: handoff)))
    // Scenes are found once, in the source; what lies between steps only takes over where they begin.
    let cuts: SceneSplitter.Cuts =
      !findsSceneCuts ? .ignored : step > 0 ? .told : length > 1 || stepCount > 1 ? .detected : .ignored
    // Interpolation knows the end of a scene by its last frame being repeated.
    let isInterpolating = handoff.network.architecture.task == .interpolation
    var splitter = SceneSplitter(length: length, cuts: cuts, edge: isInterpolating ? .repeated : .opposite)
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("a stage opens once")
      case .packet(let packet): try await output.send(.packet(packet))
      case .frame(let frame):
        let windows = try profile.measure("convert, scene cuts") {
          try splitter.push(
            PreparedFrame(
              frame, index: splitter.frameCount, census: census, keepsMemory: isInterpolating))
        }
        for window in windows { try await output.send(.frame(window)) }
      case .ended(let given):
        try PipelineError.expect(splitter.frameCount, of: given, path: shape.media.path)
      }
    }
    if splitter.frameCount == 0 { throw PipelineError.noFrames(path: shape.media.path) }
    for window in splitter.finish() { try await output.send(.frame(window)) }
    // A window for each frame.
    try await output.end(frames: splitter.frameCount)
    return .windows(sceneCuts: step == 0 ? splitter.cuts : nil)
  }
}

/// Runs the network and makes the output frames. The only stage that computes on several threads itself.
struct EnhancingStage: Sendable {
  let threads: Int
  /// How many frames a network for interpolation makes.
  let rate: InterpolationRate
  /// Its place among the steps.
  let step: Int
  /// Outputs that an earlier run has finished with, and that are passed on without a picture.
  let skippedFrames: Int
  let profile: WorkProfile?

  func run(from input: WindowChannel, to output: FrameChannel) async throws -> StageReport {
    guard case .opened(let opening) = try await input.next() else {
      preconditionFailure("windows open first")
    }
    if opening.handoff.network.architecture.task == .interpolation {
      return try await interpolate(opening, from: input, to: output)
    }
    return try await enhance(opening, from: input, to: output)
  }

  /// Makes the frames between those of the source; these stay as they are.
  private func interpolate(
    _ opening: WindowOpening, from input: WindowChannel, to output: FrameChannel
  ) async throws -> StageReport {
    var shape = opening.shape
    var timeline = try InterpolationTimeline(
      rate: rate, timeBase: shape.timeBase, frameRate: shape.frameRate, path: shape.media.path)
    let interpolator = FrameInterpolator(network: opening.handoff.network, threads: threads, profile: profile)
    var check = OutputCheck(path: shape.media.path, scale: 1)
    var (frameCount, windowCount) = (0, 0)
    var startsScene = false
    var first: Int64?
    var waiting: [EncodedPacket] = []
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("windows open once")
      case .packet(let packet):
        if first == nil { waiting.append(packet) } else { try await output.send(.packet(packet)) }
      case .ended(let given):
        try PipelineError.expect(windowCount, of: given, path: shape.media.path)
      case .frame(let window):
        windowCount += 1
        let (source, following) = (window.center, window.frames[window.frames.count / 2 + 1])
        let isLast = following === source
        let distance = following.frame.presentationTimestamp.subtractingReportingOverflow(
          source.frame.presentationTimestamp)
        let length = max(1, isLast || distance.overflow ? source.frame.duration : distance.partialValue)
        let instants = try timeline.instants(from: source.frame.presentationTimestamp, length: length)
        startsScene = startsScene || window.startsScene
        if first == nil {
          first = instants.first?.presentationTimestamp ?? 0
          shape.startTime = first ?? 0
          shape.timeBase = timeline.timeBase
          shape.frameRate = timeline.frameRate
          try await output.send(.opened(shape))
          for packet in waiting { try await output.send(.packet(packet)) }
          waiting = []
        }
        let origins = window.origins(step: step)
        for instant in instants {
          if frameCount < skippedFrames {
            let skipped = StageFrame(
              skipped: instant.presentationTimestamp, duration: instant.duration, startsScene: startsScene,
              origins: origins)
            try await output.send(.frame(skipped))
          } else {
            let frame = try interpolator.frame(at: instant, from: source, to: following)
            try profile.measure("check") {
              try check.check(frame, source: source.video, frame: frameCount)
            }
            try await output.send(.frame(StageFrame(frame, startsScene: startsScene, origins: origins)))
          }
          startsScene = false
          frameCount += 1
        }
      }
    }
    try await output.end(frames: frameCount)
    return .enhancing(repeated: 0)
  }

  private func enhance(
    _ opening: WindowOpening, from input: WindowChannel, to output: FrameChannel
  ) async throws -> StageReport {
    let network = opening.handoff.network
    let scale = network.architecture.scale
    let enlarger = FrameEnlarger(scale: scale, threads: threads)
    var check = OutputCheck(path: opening.shape.media.path, scale: scale)
    var frameCount = 0
    var shape = opening.shape
    shape.width *= scale
    shape.height *= scale
    try await output.send(.opened(shape))
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("windows open once")
      case .packet(let packet): try await output.send(.packet(packet))
      case .ended(let given):
        try PipelineError.expect(frameCount, of: given, path: shape.media.path)
      case .frame(let window):
        let origins = window.origins(step: step)
        let center = window.center.frame
        if frameCount < skippedFrames {
          frameCount += 1
          try await output.send(
            .frame(
              StageFrame(
                skipped: center.presentationTimestamp, duration: center.duration,
                startsScene: window.startsScene,
                origins: origins)))
          continue
        }
        let pictures = try window.frames.map { try $0.planar }
        let source = try window.center.video
        let frame = try enlarger.enlarge(source) { try network.residual(window: pictures, take: $0) }
        try profile.measure("check") { try check.check(frame, source: source, frame: frameCount) }
        frameCount += 1
        try await output.send(.frame(StageFrame(frame, startsScene: window.startsScene, origins: origins)))
      }
    }
    try await output.end(frames: frameCount)
    return .enhancing(repeated: check.repeatedCount)
  }
}

/// Writes the file. The writer lives and dies in here.
struct WritingStage: Sendable {
  let path: String
  let settings: EncoderSettings
  let overwrites: Bool
  let segments: SegmentFolder?
  let profile: WorkProfile?
  let progress: @Sendable (EnhancementProgress) -> Void

  func run(from input: FrameChannel) async throws -> StageReport {
    guard case .opened(let shape) = try await input.next() else {
      preconditionFailure("the output opens first")
    }
    let media = shape.media
    var writer = try VideoWriter(
      path: path, like: media, width: shape.width, height: shape.height, format: media.format,
      timeBase: shape.timeBase, frameRate: shape.frameRate, settings: settings, overwrite: overwrites,
      segments: segments)
    var resumedFrames = 0
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("the output opens once")
      case .packet(let packet): try writer.write(packet)
      // Before the file gets its name.
      case .ended(let given): try PipelineError.expect(writer.frameCount, of: given, path: media.path)
      case .frame(let frame):
        if let video = frame.video {
          try profile.measure("encode, write") { try writer.write(video, origins: frame.origins) }
        } else {
          try writer.skip(presentationTimestamp: frame.presentationTimestamp, duration: frame.duration)
          resumedFrames += 1
        }
        let end = Double(frame.presentationTimestamp) + Double(frame.duration) - Double(shape.startTime)
        progress(
          EnhancementProgress(
            frames: writer.frameCount, estimatedFrames: shape.estimatedFrameCount,
            position: end * shape.timeBase.doubleValue, duration: media.duration))
      }
    }
    try Task.checkCancellation()
    let summary = EnhancementSummary(
      frames: writer.frameCount, resumedFrames: resumedFrames, width: writer.width, height: writer.height,
      format: writer.format.name,
      encoder: writer.encoderName, warnings: writer.warnings, leftOut: writer.leftOut)
    let start = ContinuousClock.now
    let dropped = try writer.finish()
    profile?.add(ContinuousClock.now - start, to: "finish the file")
    var whole = summary
    whole.leftOut += dropped
    return .writing(whole)
  }
}
