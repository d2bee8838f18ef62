// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// Reads some frames of a file whose times are known. Passes preceding frames on without pictures, so that
/// later stages number and time frames as if everything were read.
struct PlannedReadingStage: Sendable {
  let path: String
  let options: EnhancementJob.Options
  /// Times of the frames, in ticks of this stage's output.
  let times: [FrameTime]
  /// The frames to read.
  let source: ClosedRange<Int>
  /// Whether to seek over preceding frames.
  let seeks: Bool
  let watch: SourceWatch

  /// Frames to read in advance for the deinterlacer.
  private static let fieldLead = 4
  /// Frames without pictures that are passed on together.
  private static let skippedAtOnce = 512

  func run(to output: FrameChannel) async throws -> StageReport {
    var opener = try VideoReader(
      path: path, threads: max(1, options.threads / 4), options: options.reading(rescues: true))
    let model = try firstFrame(of: &opener)
    let shape = FieldHandling(options.deinterlacing, of: opener.info, threads: options.threads).shape
    try await output.send(.opened(shape))
    for start in stride(from: 0, to: source.lowerBound, by: Self.skippedAtOnce) {
      let part = times[start..<min(start + Self.skippedAtOnce, source.lowerBound)]
      try await output.send(
        .skipped(part.map { StageFrame(skipped: $0.presentation, duration: $0.duration) }))
    }
    let lead = options.deinterlacing == nil ? 0 : Self.fieldLead
    let begin = seeks ? max(0, source.lowerBound - lead) : 0
    // Number of the next expected frame.
    var next = source.lowerBound
    if begin > 0 {
      let reader = try? VideoReader(
        path: path, threads: max(1, options.threads / 4),
        options: partOptions(from: begin, shape: shape))
      if let reader {
        try await read(reader, model: model, to: output, &next)
      }
    }
    // If the first frame was not found, nothing has been sent yet.
    if next == source.lowerBound {
      let reader = try VideoReader(
        path: path, threads: max(1, options.threads / 4), options: options.reading(rescues: true))
      try await read(reader, model: model, to: output, &next)
    }
    guard next > source.upperBound else {
      throw PipelineError.otherFrames(path: path, detail: "frame \(next) is missing")
    }
    try await output.end(frames: next)
    return .reading(warnings: [], leftOut: [])
  }

  /// Returns the file's first frame.
  private func firstFrame(of reader: inout VideoReader) throws -> VideoFrame {
    while let item = try reader.next() {
      if case .frame(let frame) = item { return frame }
    }
    throw PipelineError.noFrames(path: path)
  }

  /// Returns options for reading the same part of the file from a later frame on.
  private func partOptions(from frame: Int, shape: VideoShape) -> VideoReader.Options {
    var result = options.reading(rescues: true)
    let start = shape.media.start(at: times[frame].presentation, timeBase: shape.timeBase)
    if let length = options.length { result.length = (options.start ?? .zero) + length - start }
    result.start = start
    return result
  }

  /// Passes on frames from the expected one to the last requested one. Returns without an error at the end of
  /// the file, or if the first frame is not the expected one.
  private func read(
    _ reader: consuming VideoReader, model: VideoFrame, to output: FrameChannel, _ next: inout Int
  ) async throws {
    var fields = FieldHandling(options.deinterlacing, of: reader.info, threads: options.threads, like: model)
    while next <= source.upperBound,
      let item = try options.profile.measure("decode", { try reader.next() })
    {
      guard case .frame(let frame) = item else { continue }
      guard try await pass(fields.push(frame, profile: options.profile), to: output, &next) else { return }
    }
    if next <= source.upperBound {
      _ = try await pass(fields.finish(), to: output, &next)
    }
  }

  /// - Returns: whether to continue reading.
  private func pass(_ frames: [VideoFrame], to output: FrameChannel, _ next: inout Int) async throws -> Bool {
    for frame in frames where next <= source.upperBound {
      let expected = times[next]
      if frame.presentationTimestamp < expected.presentation, next == source.lowerBound { continue }
      guard frame.presentationTimestamp == expected.presentation else {
        if next == source.lowerBound { return false }
        throw PipelineError.otherFrames(
          path: path,
          detail:
            "frame \(next) is shown at \(frame.presentationTimestamp) instead of \(expected.presentation)")
      }
      // Some demuxers derive durations from previous packets.
      let whole =
        frame.duration == expected.duration
        ? frame
        : try frame.retimed(presentationTimestamp: expected.presentation, duration: expected.duration)
      watch.note(whole)
      try await output.send(.frame(StageFrame(whole)))
      next += 1
    }
    return true
  }
}
