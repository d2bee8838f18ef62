// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// Resizes frames to target sizes that the network alone does not produce. Runs concurrently with the
/// computing stage.
///
/// swscale resamples with exact rounding, at the depth of the frames and with the chroma location kept; its result
/// is the same on all machines. The kernel is Lanczos, and bicubic at half the size, which rings less and is
/// better for restoration (docs/lab/real-footage.md).
struct ResizingStage: Sendable {
  let profile: WorkProfile?

  func run(from input: FrameChannel, to output: FrameChannel) async throws -> StageReport {
    guard case .opened(let shape) = try await input.next() else {
      preconditionFailure("the stage before opens first")
    }
    var resizer = FrameResizer(from: shape)
    var count = 0
    try await output.send(.opened(shape.resized))
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("a stage opens once")
      case .packet(let packet): try await output.send(.packet(packet))
      case .skipped(let frames):
        count += frames.count
        try await output.send(.skipped(frames))
      case .ended(let given): try PipelineError.expect(count, of: given, path: shape.media.path)
      case .frame(let frame):
        count += 1
        guard let video = frame.video else {
          try await output.send(.frame(frame))
          continue
        }
        let result = try profile.measure("resize") { try resizer.resize(video) }
        try await output.send(
          .frame(StageFrame(result, startsScene: frame.startsScene, inputs: frame.inputs)))
      }
    }
    try await output.end(frames: count)
    return .resizing
  }
}

/// Resamples frames, or passes on those that already have the target size.
private struct FrameResizer: ~Copyable {
  private let target: FrameSize?
  /// The filter, created for the first frame.
  private var scaler: FrameScaler?

  init(from shape: VideoShape) {
    let target = shape.target
    let isThere =
      target.map {
        ($0.width, $0.height) == (shape.width, shape.height)
          && $0.sampleAspectRatio == shape.media.sampleAspectRatio
      } ?? true
    self.target = isThere ? nil : target
    scaler = nil
  }

  mutating func resize(_ frame: VideoFrame) throws -> VideoFrame {
    guard let target else { return frame }
    var scaler =
      try self.scaler.take()
      ?? FrameScaler(
        like: frame, width: target.width, height: target.height, format: frame.format,
        kernel: 2 * target.width <= frame.width ? .bicubic : .lanczos,
        sampleAspectRatio: target.sampleAspectRatio)
    let result = try scaler.scale(frame)
    self.scaler = consume scaler
    return result
  }
}
