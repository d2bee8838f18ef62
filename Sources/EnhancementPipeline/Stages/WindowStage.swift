// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// Creates the network once the size of the picture is known, prepares frames, and groups them into windows.
struct WindowStage: Sendable {
  let threads: Int
  let findsSceneCuts: Bool
  /// Frames of the source that start scenes, if known from an earlier run.
  var knownCuts: Set<Int>?
  /// Index of the step; the input of the first one is the file.
  let step: Int
  let stepCount: Int
  let census: FrameCensus
  let profile: WorkProfile?
  let makeNetwork: NetworkFactory
  /// Target size of the step's output, and the source of a network for it; nil uses `makeNetwork`.
  var goal: SizeGoal?
  var sizedNetwork: (@Sendable (_ scale: Int) -> NetworkFactory)?

  func run(from input: FrameChannel, to output: WindowChannel) async throws -> StageReport {
    guard case .opened(let shape) = try await input.next() else {
      preconditionFailure("the stage before opens first")
    }
    let target = try goal?.size(of: shape)
    let scale = target?.networkScale(width: shape.width, height: shape.height)
    let makeNetwork = scale.flatMap { sizedNetwork?($0) } ?? makeNetwork
    let handoff = NetworkHandoff(
      network: try makeNetwork((shape.width + 1) & ~1, (shape.height + 1) & ~1, threads))
    let length = max(handoff.network.architecture.window, 1)
    try await output.send(.opened(WindowOpening(shape: shape, handoff: handoff, target: target)))
    // Cuts are detected only in the source; later steps use the marks of the step before.
    let cuts: SceneSplitter.Cuts =
      if step > 0 {
        findsSceneCuts ? .marked : .ignored
      } else if let knownCuts {
        .known(knownCuts)
      } else {
        findsSceneCuts && (length > 1 || stepCount > 1) ? .detected : .ignored
      }
    // In interpolation, a repeated last frame marks the end of a scene.
    let isInterpolating = handoff.network.architecture.task == .interpolation
    var splitter = SceneSplitter(length: length, cuts: cuts, edge: isInterpolating ? .repeated : .opposite)
    func push(_ frame: StageFrame) throws -> [SceneWindow] {
      try splitter.push(
        PreparedFrame(frame, index: splitter.frameCount, census: census, keepsMemory: isInterpolating))
    }
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("a stage opens once")
      case .packet(let packet): try await output.send(.packet(packet))
      case .frame(let frame):
        for window in try profile.measure("convert, scene cuts", { try push(frame) }) {
          try await output.send(.frame(window))
        }
      case .skipped(let frames): try await output.send(.skipped(frames.flatMap(push)))
      case .ended(let given):
        try PipelineError.expect(splitter.frameCount, of: given, path: shape.media.path)
      }
    }
    if splitter.frameCount == 0 { throw PipelineError.noFrames(path: shape.media.path) }
    for window in splitter.finish() { try await output.send(.frame(window)) }
    // There is one window per frame.
    try await output.end(frames: splitter.frameCount)
    return .windows(sceneCuts: step == 0 ? splitter.cuts : nil)
  }
}
