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
  let profile: WorkProfile?

  /// Number of consecutive failed frames to substitute; more indicate a damaged model.
  private static let mostWrongInRow = 24

  func run(from input: WindowChannel, to output: FrameChannel) async throws -> StageReport {
    guard case .opened(let opening) = try await input.next() else {
      preconditionFailure("windows open first")
    }
    let path = opening.shape.media.path
    let network = opening.handoff.network
    var outputs = OutputNumbering(maker: try maker(for: opening))
    var check = OutputCheck(path: path, scale: network.architecture.scale)
    var (wrongInRow, substituted) = (0, 0)
    let estimatesNoise = network.architecture.task == .denoising && conditions.noiseLevel == nil
    var noise = NoiseTally()
    var shape = outputs.maker.shape
    shape.target = opening.target
    try await output.send(.opened(shape))
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("windows open once")
      case .packet(let packet): try await output.send(.packet(packet))
      case .ended(let given): try PipelineError.expect(outputs.windowCount, of: given, path: path)
      case .skipped(let windows):
        try await output.send(.skipped(windows.flatMap { try outputs.frames(of: $0).map { $0.frame } }))
        guard outputs.frameCount <= made.lowerBound else {
          throw PipelineError.missingFrame(made.lowerBound)
        }
      case .frame(let window):
        for planned in try outputs.frames(of: window) {
          var result = planned.frame
          if made.contains(planned.number) {
            let maker = outputs.maker
            var frame = try maker.frame(at: planned.instant, of: window)
            if estimatesNoise, let code = network.noiseCode { noise.add(code: code) }
            do {
              try profile.measure("check") {
                try check.check(frame, sources: maker.sources(of: window), frame: planned.number)
              }
              wrongInRow = 0
            } catch {
              guard wrongInRow < Self.mostWrongInRow,
                let substitute = try maker.substitute(at: planned.instant, of: window)
              else { throw error }
              frame = substitute
              wrongInRow += 1
              substituted += 1
            }
            result = StageFrame(frame, startsScene: result.startsScene, inputs: result.inputs)
          }
          try await output.send(.frame(result))
        }
      }
    }
    try await output.end(frames: outputs.frameCount)
    return .enhancing(
      repeated: outputs.maker.repeatsFrames ? 0 : check.repeatedCount, substituted: substituted,
      noise: noise)
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
