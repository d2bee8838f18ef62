// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// What a stage has to say when it is done.
enum StageReport: Sendable {
  case reading(warnings: [String])
  case windows(sceneCuts: [Int]?)
  case enhancing
  case writing(EnhancementSummary)

  func add(to summary: inout EnhancementSummary) {
    switch self {
    case .reading(let warnings): summary.warnings = warnings + summary.warnings
    case .windows(let cuts): if let cuts { summary.sceneCuts = cuts }
    case .enhancing: break
    case .writing(let written):
      summary.frames = written.frames
      summary.width = written.width
      summary.height = written.height
      summary.format = written.format
      summary.encoder = written.encoder
      summary.leftOut = written.leftOut
      summary.warnings += written.warnings
    }
  }
}

/// Reads the file. The reader lives and dies in here.
struct ReadingStage: Sendable {
  let path: String
  let options: EnhancementJob.Options

  func run(to output: FrameChannel) async throws -> StageReport {
    var reader = try VideoReader(path: path, threads: options.threads, options: readerOptions)
    let timeBase = reader.info.timeBase.doubleValue
    guard let mode = options.deinterlacing else {
      try await output.send(.opened(VideoShape(reader.info)))
      while let item = try reader.next() {
        switch item {
        case .frame(let frame):
          if frame.isInterlaced {
            throw PipelineError.interlaced(
              path: path, seconds: Double(frame.presentationTimestamp - reader.info.startTime) * timeBase)
          }
          try await output.send(.frame(frame))
        case .packet(let packet): try await output.send(.packet(packet))
        }
      }
      output.finish()
      return .reading(warnings: reader.warnings)
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
    for frame in try deinterlacer.push(first) { try await output.send(.frame(frame)) }
    while let item = try reader.next() {
      switch item {
      case .frame(let frame):
        for made in try deinterlacer.push(frame) { try await output.send(.frame(made)) }
      case .packet(let packet): try await output.send(.packet(packet))
      }
    }
    for frame in try deinterlacer.finish() { try await output.send(.frame(frame)) }
    output.finish()
    return .reading(warnings: reader.warnings)
  }

  private var readerOptions: VideoReader.Options {
    var result = VideoReader.Options()
    result.start = options.start
    result.length = options.length
    result.stream = options.stream
    return result
  }
}

/// Makes the network once the picture's size is known, prepares frames for it, and groups them into windows.
struct WindowStage: Sendable {
  let threads: Int
  let findsSceneCuts: Bool
  /// Whether it is the first, whose frames are the file's.
  let reportsSceneCuts: Bool
  let census: FrameCensus
  let makeNetwork: NetworkFactory

  func run(from input: FrameChannel, to output: WindowChannel) async throws -> StageReport {
    guard case .opened(let shape) = try await input.next() else {
      preconditionFailure("the stage before opens first")
    }
    let handoff = NetworkHandoff(
      network: try makeNetwork((shape.width + 1) & ~1, (shape.height + 1) & ~1, threads))
    // Interpolation takes a frame and the one after it.
    let length = max(handoff.network.architecture.window, 1) | 1
    try await output.send(.opened(WindowOpening(shape: shape, handoff: handoff)))
    var splitter = SceneSplitter(length: length, findsCuts: findsSceneCuts && length > 1)
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("a stage opens once")
      case .packet(let packet): try await output.send(.packet(packet))
      case .frame(let frame):
        for window in splitter.push(PreparedFrame(frame, census: census)) {
          try await output.send(.frame(window))
        }
      }
    }
    if splitter.frameCount == 0 { throw PipelineError.noFrames(path: shape.media.path) }
    for window in splitter.finish() { try await output.send(.frame(window)) }
    output.finish()
    return .windows(sceneCuts: reportsSceneCuts ? splitter.cuts : nil)
  }
}

/// Runs the network and makes the output frames. The only stage that computes on several threads itself.
struct EnhancingStage: Sendable {
  let threads: Int
  /// How many frames a network for interpolation makes.
  let rate: InterpolationRate

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
    let interpolator = FrameInterpolator(network: opening.handoff.network, threads: threads)
    var first: Int64?
    var waiting: [EncodedPacket] = []
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("windows open once")
      case .packet(let packet):
        if first == nil { waiting.append(packet) } else { try await output.send(.packet(packet)) }
      case .frame(let window):
        let (source, following) = (window.center, window.frames[window.frames.count / 2 + 1])
        let isLast = following === source
        let step = following.video.presentationTimestamp - source.video.presentationTimestamp
        let length = max(1, isLast ? source.video.duration : step)
        let instants = timeline.instants(from: source.video.presentationTimestamp, length: length)
        if first == nil {
          first = instants.first?.presentationTimestamp ?? 0
          shape.startTime = first ?? 0
          shape.timeBase = timeline.timeBase
          shape.frameRate = timeline.frameRate
          try await output.send(.opened(shape))
          for packet in waiting { try await output.send(.packet(packet)) }
          waiting = []
        }
        for instant in instants {
          try await output.send(.frame(try interpolator.frame(at: instant, from: source, to: following)))
        }
      }
    }
    output.finish()
    return .enhancing
  }

  private func enhance(
    _ opening: WindowOpening, from input: WindowChannel, to output: FrameChannel
  ) async throws -> StageReport {
    let network = opening.handoff.network
    let scale = network.architecture.scale
    let enlarger = FrameEnlarger(scale: scale, threads: threads)
    let check = OutputCheck(path: opening.shape.media.path, scale: scale)
    var frameCount = 0
    var shape = opening.shape
    shape.width *= scale
    shape.height *= scale
    try await output.send(.opened(shape))
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("windows open once")
      case .packet(let packet): try await output.send(.packet(packet))
      case .frame(let window):
        let residual = try network.residual(window: window.frames.map(\.planar))
        let source = window.center.video
        let frame = try enlarger.enlarge(source, adding: residual)
        try check.check(frame, source: source, frame: frameCount)
        frameCount += 1
        try await output.send(.frame(frame))
      }
    }
    output.finish()
    return .enhancing
  }
}

/// Writes the file. The writer lives and dies in here.
struct WritingStage: Sendable {
  let path: String
  let settings: EncoderSettings
  let overwrites: Bool
  let progress: @Sendable (EnhancementProgress) -> Void

  func run(from input: FrameChannel) async throws -> StageReport {
    guard case .opened(let shape) = try await input.next() else {
      preconditionFailure("the output opens first")
    }
    let media = shape.media
    var writer = try VideoWriter(
      path: path, like: media, width: shape.width, height: shape.height, format: media.format,
      timeBase: shape.timeBase, frameRate: shape.frameRate, settings: settings, overwrite: overwrites)
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("the output opens once")
      case .packet(let packet): try writer.write(packet)
      case .frame(let frame):
        try writer.write(frame)
        let end = frame.presentationTimestamp + frame.duration - shape.startTime
        progress(
          EnhancementProgress(
            frames: writer.frameCount, estimatedFrames: shape.estimatedFrameCount,
            position: Double(end) * shape.timeBase.doubleValue, duration: media.duration))
      }
    }
    try Task.checkCancellation()
    let summary = EnhancementSummary(
      frames: writer.frameCount, width: writer.width, height: writer.height, format: writer.format.name,
      encoder: writer.encoderName, warnings: writer.warnings, leftOut: writer.leftOut)
    let dropped = try writer.finish()
    var whole = summary
    whole.leftOut += dropped
    return .writing(whole)
  }
}
