// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Synchronization
package import VideoIO

/// The result of reading a film to its end: everything a process needs to make any segment of the output on
/// its own.
package struct FilmScan: Codable, Sendable, Equatable {
  /// A segment of the output.
  package struct Segment: Codable, Sendable, Equatable {
    /// Number of frames; only the last segment has fewer than the others.
    package var frames: Int
    /// Times of its first and last frame, in output ticks.
    package var first, last: Int64
    /// Numbers of the first and last frame needed: of the source, then of the outputs of each step but the
    /// last.
    package var needsFrom, needsTo: [Int]
    /// A hash of these source frames (`SourceWatch`).
    package var signature: String
  }

  /// Frames per segment.
  package var segmentFrames: Int
  package var segments: [Segment]
  /// Number of frames of the source and of the output.
  package var sourceFrames, frames: Int
  /// Times of the source's frames.
  package var times: FrameTimes
  /// Numbers of the source frames that start scenes.
  package var sceneCuts: [Int]
  /// Of the output: extents, pixel format, and time base and average rate as `[numerator, denominator]`.
  package var width, height: Int
  package var format: String
  /// Pixel aspect ratio of the output, as numerator and denominator; nil for the source's.
  package var sampleAspectRatio: [Int32]?
  package var timeBase, frameRate: [Int32]
  /// Seconds of the source that were read.
  package var seconds: Double
  /// Warnings, and streams of the source that are not read, one line each.
  package var warnings, leftOut: [String]

  /// Time base of the output.
  package var ticks: Rational { Rational(timeBase[0], timeBase[1]) }

  /// Returns whether the contents of a file are plausible, before they are used.
  package func isSound(steps: Int) -> Bool {
    guard (1...1_000_000).contains(segmentFrames), (1...16384 * 4).contains(width),
      (1...16384 * 4).contains(height), timeBase.count == 2, frameRate.count == 2, ticks.isPositive,
      sampleAspectRatio.map({ $0.count == 2 && $0[0] >= 0 && $0[1] >= 0 }) ?? true,
      !segments.isEmpty, segments.reduce(0, { $0 + $1.frames }) == frames,
      let times = times.all, times.count == sourceFrames,
      sceneCuts.allSatisfy({ (0..<sourceFrames).contains($0) })
    else { return false }
    var last = [Int](repeating: 0, count: steps)
    for (index, segment) in segments.enumerated() {
      let isLast = index == segments.count - 1
      guard isLast ? (1...segmentFrames).contains(segment.frames) : segment.frames == segmentFrames,
        segment.first <= segment.last, segment.needsFrom.count == steps, segment.needsTo.count == steps,
        zip(segment.needsFrom, segment.needsTo).allSatisfy({ $0 <= $1 && $1 < 1 << 40 }),
        zip(last, segment.needsFrom).allSatisfy({ $0 <= $1 }), segment.needsTo[0] < sourceFrames
      else { return false }
      last = segment.needsFrom
    }
    return true
  }
}

/// The rule for dividing a film into segments.
package enum SegmentLength: Sendable {
  /// Output frames per segment.
  case frames(Int)
  /// A number of shards with as equal numbers of segments as possible.
  case shards(Int)
  /// Shards that each cover about this many seconds of the source.
  case seconds(Double)

  /// Returns the number of shards for a film of `frames` frames and `seconds` seconds.
  package func shards(frames: Int, seconds: Double) -> Int {
    switch self {
    case .frames(let length): (frames + length - 1) / length
    case .shards(let count): max(1, min(count, frames))
    case .seconds(let each): max(1, min(frames, Int((seconds / each).rounded(.up))))
    }
  }

  /// Returns the number of frames per segment: at most the default, since a killed process loses up to one
  /// segment.
  package func length(frames: Int, seconds: Double) -> Int {
    if case .frames(let length) = self { return length }
    let shards = shards(frames: frames, seconds: seconds)
    let least = max(
      1, (frames + shards * SegmentFolder.usualFrames - 1) / (shards * SegmentFolder.usualFrames))
    var best: (load: Int, length: Int)?
    // If this number of segments per shard does not divide evenly, a slightly higher one may.
    for perShard in least...least + 3 {
      let length = max(1, (frames + shards * perShard - 1) / (shards * perShard))
      let count = (frames + length - 1) / length
      let load = (count + shards - 1) / shards * length
      if count >= shards, load < best?.load ?? .max { best = (load, length) }
    }
    return best?.length ?? max(1, frames / shards)
  }
}

extension EnhancementJob {
  /// Reads the source to its end and runs all stages except networks and encoder.
  ///
  /// - Parameters:
  ///   - length: the rule for dividing into segments.
  ///   - scratch: path of a file that is created and removed to check that the container supports the video.
  /// - Throws: `VideoIOError`, `PipelineError`, or `CancellationError`.
  package func scan(
    length: SegmentLength, scratch: String,
    progress: @escaping @Sendable (EnhancementProgress) -> Void = { _ in }
  ) async throws -> FilmScan {
    let enhanced = FrameChannel.between(frames: Self.outputCapacity)
    let watch = SourceWatch()
    let tally = ScanningStage(
      path: output, settings: encoder, scratch: scratch, depth: steps.count, progress: progress)
    let summary = try await enhance(
      to: enhanced, made: steps.map { _ in Int.max..<Int.max }, watch: watch, sharesThread: true,
      last: { try await tally.run(from: enhanced) })
    guard let facts = tally.facts else { throw PipelineError.noFrames(path: input) }
    return try facts.scan(length: length, watch: watch, summary: summary, path: input)
  }
}

/// Receives the frames of a scan, which have times but no pictures.
private final class ScanningStage: Sendable {
  private let path: String
  private let settings: EncoderSettings
  private let scratch: String
  private let depth: Int
  private let progress: @Sendable (EnhancementProgress) -> Void
  private let found = Mutex<ScanFacts?>(nil)

  init(
    path: String, settings: EncoderSettings, scratch: String, depth: Int,
    progress: @escaping @Sendable (EnhancementProgress) -> Void
  ) {
    self.path = path
    self.settings = settings
    self.scratch = scratch
    self.depth = depth
    self.progress = progress
  }

  var facts: ScanFacts? { found.withLock { $0 } }

  func run(from input: FrameChannel) async throws -> StageReport {
    guard case .opened(let shape) = try await input.next() else {
      preconditionFailure("the output opens first")
    }
    let media = shape.media
    var writer = try VideoWriter(
      path: path, like: media, width: shape.width, height: shape.height, format: media.format,
      timeBase: shape.timeBase, frameRate: shape.frameRate, settings: settings, pieces: nil,
      scratch: scratch)
    var facts = ScanFacts(shape: shape, depth: depth)
    while let message = try await input.next() {
      switch message {
      case .opened: preconditionFailure("the output opens once")
      case .packet: continue
      case .ended(let given): try PipelineError.expect(writer.frameCount, of: given, path: media.path)
      case .skipped: preconditionFailure("a scan skips nothing")
      case .frame(let frame):
        let time = writer.pass(
          presentationTimestamp: frame.presentationTimestamp, duration: frame.duration)
        facts.add(time, frame.inputs)
        let end = Double(frame.presentationTimestamp) + Double(frame.duration) - Double(shape.startTime)
        progress(
          EnhancementProgress(
            frames: writer.frameCount, estimatedFrames: shape.estimatedFrameCount,
            position: end * shape.timeBase.doubleValue, duration: media.duration))
      }
    }
    found.withLock { [facts] in $0 = facts }
    return .writing(
      EnhancementSummary(
        frames: writer.frameCount, width: writer.width, height: writer.height, format: writer.format.name,
        encoder: writer.encoderName, warnings: writer.warnings, leftOut: []))
  }
}

/// The facts collected by a scan, frame by frame.
private struct ScanFacts: Sendable {
  let shape: VideoShape
  private var presentations: [Int64] = []
  /// Lowest and highest number of each input, for all frames.
  private var first, last: [[Int32]]

  init(shape: VideoShape, depth: Int) {
    self.shape = shape
    first = Array(repeating: [], count: depth)
    last = first
  }

  mutating func add(_ time: FrameTime, _ inputs: FrameInputs) {
    presentations.append(time.presentation)
    for level in first.indices {
      first[level].append(Int32(clamping: inputs.first[level]))
      last[level].append(Int32(clamping: inputs.last[level]))
    }
  }

  func scan(length: SegmentLength, watch: SourceWatch, summary: EnhancementSummary, path: String) throws
    -> FilmScan
  {
    let times = watch.times
    guard let begin = times.first, let end = times.last, !presentations.isEmpty else {
      throw PipelineError.noFrames(path: path)
    }
    let base = shape.media.timeBase.doubleValue
    let seconds = Double(end.presentation - begin.presentation + end.duration) * base
    let step = length.length(frames: presentations.count, seconds: seconds)
    let segments = stride(from: 0, to: presentations.count, by: step).map { start in
      segment(start..<min(start + step, presentations.count), watch)
    }
    return FilmScan(
      segmentFrames: step, segments: segments, sourceFrames: times.count, frames: presentations.count,
      times: FrameTimes(times), sceneCuts: summary.sceneCuts, width: shape.width, height: shape.height,
      format: shape.media.format.name,
      sampleAspectRatio: [
        shape.media.sampleAspectRatio.numerator, shape.media.sampleAspectRatio.denominator,
      ], timeBase: [shape.timeBase.numerator, shape.timeBase.denominator],
      frameRate: [shape.frameRate.numerator, shape.frameRate.denominator], seconds: seconds,
      warnings: summary.warnings.map(\.description), leftOut: summary.leftOut.map(\.description))
  }

  private func segment(_ range: Range<Int>, _ watch: SourceWatch) -> FilmScan.Segment {
    let from = first.map { Int($0[range].min() ?? 0) }
    let to = last.map { Int($0[range].max() ?? 0) }
    return FilmScan.Segment(
      frames: range.count, first: presentations[range.lowerBound],
      last: presentations[range.upperBound - 1], needsFrom: from, needsTo: to,
      signature: watch.signature(from[0]...to[0]) ?? "")
  }
}
