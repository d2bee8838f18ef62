// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// Reads some frames of a file whose times are known. Those before are passed on without pictures, so that all later stages
/// come to the same numbers and times as when everything is read.
struct PlannedReadingStage: Sendable {
  let path: String
  let options: EnhancementJob.Options
  /// When the frames are shown, in ticks of what comes out of here.
  let times: [FrameTime]
  /// The frames that are read.
  let source: ClosedRange<Int>
  /// Whether what lies before is leapt over.
  let seeks: Bool
  let watch: SourceWatch

  /// Frames that a deinterlacer sees before those that count.
  private static let fieldLead = 4

  func run(to output: FrameChannel) async throws -> StageReport {
    var opener = try VideoReader(
      path: path, threads: max(1, options.threads / 4), options: options.reading(rescues: true))
    let model = try firstFrame(of: &opener)
    let shape = FieldHandling(options.deinterlacing, of: opener.info, threads: options.threads).shape
    try await output.send(.opened(shape))
    for time in times[..<source.lowerBound] {
      try await output.send(.frame(StageFrame(skipped: time.presentation, duration: time.duration)))
    }
    let lead = options.deinterlacing == nil ? 0 : Self.fieldLead
    let begin = seeks ? max(0, source.lowerBound - lead) : 0
    // The next frame that is expected.
    var next = source.lowerBound
    if begin > 0 {
      let reader = try? VideoReader(
        path: path, threads: max(1, options.threads / 4),
        options: partOptions(from: begin, shape: shape))
      if let reader {
        try await read(reader, model: model, to: output, &next)
      }
    }
    // Nothing has gone out yet where the first frame was not found.
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

  /// The frame that the file begins with.
  private func firstFrame(of reader: inout VideoReader) throws -> VideoFrame {
    while let item = try reader.next() {
      if case .frame(let frame) = item { return frame }
    }
    throw PipelineError.noFrames(path: path)
  }

  /// The same part of the file from a later frame on.
  private func partOptions(from frame: Int, shape: VideoShape) -> VideoReader.Options {
    var result = options.reading(rescues: true)
    let start = shape.media.start(at: times[frame].presentation, timeBase: shape.timeBase)
    if let length = options.length { result.length = (options.start ?? .zero) + length - start }
    result.start = start
    return result
  }

  /// Passes frames on from the expected one to the last that is wanted. Ends early, and without a word, where the file does, or
  /// where the first frame is not the expected one.
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

  /// - Returns: whether reading goes on.
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
      // Some demuxers tell durations by what they have read before.
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
