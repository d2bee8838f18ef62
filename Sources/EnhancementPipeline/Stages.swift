// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// What a stage has to say when it is done.
enum StageReport: Sendable {
  case reading(warnings: [String])
  case windows(sceneCuts: [Int])
  case enhancing
  case writing(EnhancementSummary)

  func add(to summary: inout EnhancementSummary) {
    switch self {
    case .reading(let warnings): summary.warnings = warnings + summary.warnings
    case .windows(let cuts): summary.sceneCuts = cuts
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
  let threads: Int

  func run(to output: ReadChannel) async throws -> StageReport {
    var reader = try VideoReader(path: path, threads: threads)
    let timeBase = reader.info.timeBase.doubleValue
    try await output.send(.opened(reader.info))
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
}

/// Makes the network once the picture's size is known, prepares frames for it, and groups them into windows.
struct WindowStage: Sendable {
  let threads: Int
  let findsSceneCuts: Bool
  let census: FrameCensus
  let makeNetwork: NetworkFactory

  func run(from input: ReadChannel, to output: WindowChannel) async throws -> StageReport {
    guard case .opened(let media) = try await input.next() else {
      preconditionFailure("the reader opens first")
    }
    let handoff = NetworkHandoff(
      network: try makeNetwork((media.width + 1) & ~1, (media.height + 1) & ~1, threads))
    let length = handoff.network.architecture.window
    try await output.send(.opened(WindowOpening(media: media, handoff: handoff)))
    var splitter = SceneSplitter(length: length, findsCuts: findsSceneCuts && length > 1)
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("the reader opens once")
      case .packet(let packet): try await output.send(.packet(packet))
      case .frame(let frame):
        for window in splitter.push(PreparedFrame(frame, census: census)) {
          try await output.send(.frame(window))
        }
      }
    }
    if splitter.frameCount == 0 { throw PipelineError.noFrames(path: media.path) }
    for window in splitter.finish() { try await output.send(.frame(window)) }
    output.finish()
    return .windows(sceneCuts: splitter.cuts)
  }
}

/// Runs the network and makes the output frames. The only stage that computes on several threads itself.
struct EnhancingStage: Sendable {
  let threads: Int

  func run(from input: WindowChannel, to output: OutputChannel) async throws -> StageReport {
    guard case .opened(let opening) = try await input.next() else {
      preconditionFailure("windows open first")
    }
    let network = opening.handoff.network
    let scale = network.architecture.scale
    let enlarger = FrameEnlarger(scale: scale, threads: threads)
    let check = OutputCheck(path: opening.media.path, scale: scale)
    var frameCount = 0
    try await output.send(.opened(OutputOpening(media: opening.media, scale: scale)))
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

  func run(from input: OutputChannel) async throws -> StageReport {
    guard case .opened(let opening) = try await input.next() else {
      preconditionFailure("the output opens first")
    }
    let media = opening.media
    var writer = try VideoWriter(
      path: path, like: media, width: media.width * opening.scale, height: media.height * opening.scale,
      format: media.format, settings: settings, overwrite: overwrites)
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("the output opens once")
      case .packet(let packet): try writer.write(packet)
      case .frame(let frame):
        try writer.write(frame)
        let end = frame.presentationTimestamp + frame.duration - media.startTime
        progress(
          EnhancementProgress(
            frames: writer.frameCount, estimatedFrames: media.estimatedFrameCount,
            position: Double(end) * media.timeBase.doubleValue, duration: media.duration))
      }
    }
    try Task.checkCancellation()
    let summary = EnhancementSummary(
      frames: writer.frameCount, width: writer.width, height: writer.height, format: writer.format.name,
      encoder: writer.encoderName, warnings: writer.warnings, leftOut: writer.leftOut)
    try writer.finish()
    return .writing(summary)
  }
}
