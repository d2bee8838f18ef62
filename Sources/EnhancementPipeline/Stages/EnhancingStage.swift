// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// Runs the network and creates the output frames. The only stage that uses several threads itself.
struct EnhancingStage: Sendable {
  let threads: Int
  /// The output rate of a network for interpolation.
  let rate: InterpolationRate
  /// Known properties of the source, such as its noise level.
  let conditions: WindowConditions
  /// The outputs to compute; others, which an earlier run or another process makes, are passed on without a
  /// picture.
  let made: Range<Int>
  /// Whether still parts of the frames are averaged over time, if the network's task gains by it
  /// (`TemporalSmoothing`).
  var smooths = true
  let profile: WorkProfile?

  func run(from input: WindowChannel, to output: FrameChannel) async throws -> StageReport {
    guard case .opened(let opening) = try await input.next() else {
      preconditionFailure("windows open first")
    }
    let path = opening.shape.media.path
    let architecture = opening.handoff.network.architecture
    var outputs = OutputNumbering(maker: try maker(for: opening))
    var frames = CheckedFrames(
      opening.handoff.network, path: path, profile: profile,
      estimatesNoise: architecture.task == .denoising && conditions.noiseLevel == nil)
    let isSmoothed = smooths && TemporalSmoothing.change(after: architecture, noiseCode: nil) != nil
    var queue = isSmoothed ? SmoothingQueue(threads: threads, made: made, profile: profile) : nil
    let computed = isSmoothed ? SmoothingQueue.needed(for: made) : made
    var shape = outputs.maker.shape
    shape.target = opening.target
    try await output.send(.opened(shape))
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("windows open once")
      case .packet(let packet): try await output.send(.packet(packet))
      case .ended(let given): try PipelineError.expect(outputs.windowCount, of: given, path: path)
      case .skipped(let windows):
        if let last = try queue?.finish() { try await output.send(.frame(last)) }
        try await output.send(.skipped(windows.flatMap { try outputs.frames(of: $0).map { $0.frame } }))
        queue?.skip(to: outputs.frameCount)
        guard outputs.frameCount <= computed.lowerBound else {
          throw PipelineError.missingFrame(computed.lowerBound)
        }
      case .frame(let window):
        for planned in try outputs.frames(of: window) {
          var entry = SmoothingQueue.Entry(frame: planned.frame)
          if computed.contains(planned.number) {
            let video = try frames.make(planned.number, at: planned.instant, of: window, by: outputs.maker)
            entry.frame = StageFrame(
              video, startsScene: planned.frame.startsScene, inputs: planned.frame.inputs)
            entry.change = frames.change
          }
          if queue == nil {
            try await output.send(.frame(entry.frame))
          } else if let smoothed = try queue?.push(entry) {
            try await output.send(.frame(smoothed))
          }
        }
      }
    }
    if let last = try queue?.finish() { try await output.send(.frame(last)) }
    try await output.end(frames: outputs.frameCount)
    return .enhancing(
      repeated: outputs.maker.repeatsFrames ? 0 : frames.repeatedCount, substituted: frames.substitutedCount,
      noise: frames.noise)
  }

  /// Returns the frame maker for the network's task.
  private func maker(for opening: WindowOpening) throws -> any FrameMaker {
    let network = opening.handoff.network
    switch network.architecture.task {
    case .interpolation:
      return try InterpolatedFrameMaker(
        network, of: opening.shape, rate: rate, conditions: conditions, threads: threads, profile: profile)
    case .superResolution, .restoration, .denoising:
      return EnlargedFrameMaker(
        network, of: opening.shape, conditions: conditions, threads: threads, profile: profile)
    }
  }
}

/// Computes the outputs of a step, checks them, and substitutes wrong ones.
private struct CheckedFrames {
  /// The noise levels found.
  private(set) var noise = NoiseTally()
  private(set) var substitutedCount = 0

  private let network: any WindowNetwork
  private let estimatesNoise: Bool
  private let profile: WorkProfile?
  private var check: OutputCheck
  private var wrongInRow = 0

  /// Number of consecutive failed frames to substitute; more indicate a damaged model.
  private static let mostWrongInRow = 24

  init(_ network: any WindowNetwork, path: String, profile: WorkProfile?, estimatesNoise: Bool) {
    self.network = network
    self.profile = profile
    self.estimatesNoise = estimatesNoise
    check = OutputCheck(path: path, scale: network.architecture.scale)
  }

  /// Outputs that equal the one before although the source moves.
  var repeatedCount: Int { check.repeatedCount }

  /// What counts as a change of the last output.
  var change: TemporalSmoothing.Change? {
    TemporalSmoothing.change(after: network.architecture, noiseCode: network.noiseCode)
  }

  /// Computes an output, or its substitute.
  mutating func make(
    _ number: Int, at instant: FrameInstant, of window: SceneWindow, by maker: any FrameMaker
  ) throws -> VideoFrame {
    let frame = try maker.frame(at: instant, of: window)
    if estimatesNoise, let code = network.noiseCode { noise.add(code: code) }
    do {
      try profile.measure("check") {
        try check.check(frame, sources: maker.sources(of: window), frame: number)
      }
      wrongInRow = 0
      return frame
    } catch {
      guard wrongInRow < Self.mostWrongInRow,
        let substitute = try maker.substitute(at: instant, of: window)
      else { throw error }
      wrongInRow += 1
      substitutedCount += 1
      return substitute
    }
  }
}

/// Numbers and times the outputs of a step.
private struct OutputNumbering {
  private(set) var maker: any FrameMaker
  private(set) var windowCount = 0
  private(set) var frameCount = 0
  /// A window may give no frame; then the next frame created starts the scene.
  private var startsScene = false

  init(maker: any FrameMaker) { self.maker = maker }

  /// Returns the outputs of the next window, without pictures.
  mutating func frames(of window: SceneWindow) throws -> [(
    number: Int, instant: FrameInstant, frame: StageFrame
  )] {
    windowCount += 1
    startsScene = startsScene || window.startsScene
    let inputs = window.inputs
    return try maker.instants(of: window).map { instant in
      defer {
        startsScene = false
        frameCount += 1
      }
      return (
        frameCount, instant,
        StageFrame(
          skipped: instant.presentationTimestamp, duration: instant.duration, startsScene: startsScene,
          inputs: inputs)
      )
    }
  }
}
