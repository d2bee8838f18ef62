// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// Writes the file. The writer is created and destroyed in this stage.
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
      // Check before the file gets its name.
      case .ended(let given): try PipelineError.expect(writer.frameCount, of: given, path: media.path)
      case .skipped(let frames):
        for frame in frames {
          try writer.skip(presentationTimestamp: frame.presentationTimestamp, duration: frame.duration)
        }
        resumedFrames += frames.count
      case .frame(let frame):
        if let video = frame.video {
          try profile.measure("encode, write") { try writer.write(video, origins: frame.inputs.origins) }
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
      format: writer.encodedFormat,
      encoder: writer.encoderName, warnings: writer.warnings, leftOut: writer.leftOut)
    let start = ContinuousClock.now
    let dropped = try writer.finish()
    profile?.add(ContinuousClock.now - start, to: "finish the file")
    var whole = summary
    whole.leftOut += dropped
    return .writing(whole)
  }
}
