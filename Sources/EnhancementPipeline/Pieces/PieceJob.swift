// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
package import VideoIO

/// Makes some segments of a scanned film, with the same result as one run over the whole film.
package struct PieceJob: Sendable {
  /// The job for the whole film.
  package let job: EnhancementJob
  /// The scan of the film.
  package let film: FilmScan
  /// The folder of finished segments.
  package let folder: PieceFolder

  package init(job: EnhancementJob, film: FilmScan, folder: PieceFolder) {
    self.job = job
    self.film = film
    self.folder = folder
  }

  /// Returns whether a segment exists and is intact.
  /// - Parameter readsAll: whether to verify every byte.
  package func state(of segment: Int, readsAll: Bool) -> PieceState {
    let planned = film.segments[segment]
    return folder.state(
      of: segment, frames: planned.frames, first: planned.first, last: planned.last, readsAll: readsAll)
  }

  /// Makes consecutive segments. Each gets its name when it is complete.
  /// - Parameter progress: called after each frame.
  /// - Throws: `VideoIOError`, `PipelineError`, an error of a network, or `CancellationError`.
  package func make(
    _ segments: Range<Int>, progress: @escaping @Sendable (EnhancementProgress) -> Void = { _ in }
  ) async throws -> EnhancementSummary {
    guard let times = film.times.all, let from = segments.first, let to = segments.last else {
      throw PipelineError.otherFrames(path: job.input, detail: "the plan names no frames")
    }
    try folder.make()
    let source = film.segments[from].needsFrom[0]...film.segments[to].needsTo[0]
    do {
      return try await make(segments, source: source, times: times, seeks: true, progress: progress)
    } catch PipelineError.otherFrames where source.lowerBound > 0 {
      // Decoding after a seek may differ from decoding from the beginning: try again without seeking.
      return try await make(segments, source: source, times: times, seeks: false, progress: progress)
    }
  }

  private func make(
    _ segments: Range<Int>, source: ClosedRange<Int>, times: [FrameTime], seeks: Bool,
    progress: @escaping @Sendable (EnhancementProgress) -> Void
  ) async throws -> EnhancementSummary {
    let enhanced = FrameChannel.between(frames: EnhancementJob.outputCapacity)
    let watch = SourceWatch(first: source.lowerBound)
    let reading = PlannedReadingStage(
      path: job.input, options: job.options, times: times, source: source, seeks: seeks, watch: watch)
    let writing = PieceWritingStage(
      path: job.output, source: job.input, settings: job.encoder, film: film, segments: segments,
      folder: folder, watch: watch,
      profile: job.options.profile, progress: progress)
    return try await job.surveyed().job.enhance(
      to: enhanced, made: made(segments), cuts: Set(film.sceneCuts),
      first: { try await reading.run(to: $0) },
      last: { try await writing.run(from: enhanced) })
  }

  /// Returns the outputs of each step that the segments need.
  private func made(_ segments: Range<Int>) -> [Range<Int>] {
    let (from, to) = (film.segments[segments.lowerBound], film.segments[segments.upperBound - 1])
    let first = segments.lowerBound * film.segmentFrames
    let end = (segments.upperBound - 1) * film.segmentFrames + to.frames
    return zip(from.needsFrom, to.needsTo).dropFirst().map { $0..<$1 + 1 } + [first..<end]
  }
}

/// Encodes the frames of some segments; of all others, only the times are used.
private struct PieceWritingStage: Sendable {
  let path: String
  let source: String
  let settings: EncoderSettings
  let film: FilmScan
  let segments: Range<Int>
  let folder: PieceFolder
  let watch: SourceWatch
  let profile: WorkProfile?
  let progress: @Sendable (EnhancementProgress) -> Void

  func run(from input: FrameChannel) async throws -> StageReport {
    guard case .opened(let shape) = try await input.next() else {
      preconditionFailure("the output opens first")
    }
    let summary = try await write(shape, from: input)
    // Frames read after the last one only completed its windows.
    while try await input.next() != nil {}
    return .writing(summary)
  }

  private func write(_ shape: VideoShape, from input: FrameChannel) async throws -> EnhancementSummary {
    let media = shape.media
    var writer = try VideoWriter(
      path: path, like: media, width: shape.width, height: shape.height, format: media.format,
      timeBase: shape.timeBase, frameRate: shape.frameRate, settings: settings, pieces: folder,
      scratch: folder.scratch)
    let first = segments.lowerBound * film.segmentFrames
    let end = (segments.upperBound - 1) * film.segmentFrames + film.segments[segments.upperBound - 1].frames
    while writer.frameCount < end, let message = try await input.next() {
      if case .skipped(let frames) = message {
        for frame in frames {
          writer.pass(presentationTimestamp: frame.presentationTimestamp, duration: frame.duration)
        }
      }
      guard case .frame(let frame) = message else { continue }
      let number = writer.frameCount
      if number < first {
        writer.pass(presentationTimestamp: frame.presentationTimestamp, duration: frame.duration)
        continue
      }
      guard let video = frame.video else { throw PipelineError.missingFrame(number) }
      if number == end - 1 || (number + 1) % film.segmentFrames == 0 { try compare(number) }
      try profile.measure("encode, write") { try writer.write(video) }
      let (done, all) = (number + 1 - first, end - first)
      progress(
        EnhancementProgress(
          frames: done, estimatedFrames: all, position: Double(done), duration: Double(all)))
    }
    guard writer.frameCount == end else {
      throw PipelineError.otherFrames(
        path: media.path, detail: "it ends after \(writer.frameCount) frames of \(end)")
    }
    try Task.checkCancellation()
    let summary = EnhancementSummary(
      frames: end - first, width: writer.width, height: writer.height, format: writer.format.name,
      encoder: writer.encoderName)
    try writer.finishPieces()
    return summary
  }

  /// Compares the source frames of a segment with those of the scan.
  /// - Parameter last: the last frame of the segment.
  private func compare(_ last: Int) throws {
    let index = last / film.segmentFrames
    let segment = film.segments[index]
    let signature = watch.signature(segment.needsFrom[0]...segment.needsTo[0])
    guard signature == segment.signature else {
      throw PipelineError.otherFrames(
        path: source, detail: "pictures \(segment.needsFrom[0]) to \(segment.needsTo[0]) look different")
    }
  }
}
