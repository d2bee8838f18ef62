// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Synchronization
package import VideoIO

/// What reading a film to its end has come to: all that a process must know to make any segment of the output by itself.
package struct FilmScan: Codable, Sendable, Equatable {
  /// A segment of the output.
  package struct Segment: Codable, Sendable, Equatable {
    /// Frames in it; only the last one has fewer than the others.
    package var frames: Int
    /// When its first and its last frame are shown, in ticks of the output.
    package var first, last: Int64
    /// The first and the last frame of the source that go into it, then of the outputs of each step before the last.
    package var needsFrom, needsTo: [Int]
    /// What these frames of the source look like (`SourceWatch`).
    package var signature: String
  }

  /// Frames in a segment.
  package var segmentFrames: Int
  package var segments: [Segment]
  /// Frames of the source and of the output.
  package var sourceFrames, frames: Int
  /// When the source's frames are shown.
  package var times: FrameTimes
  /// Numbers of the source's frames with which scenes begin.
  package var sceneCuts: [Int]
  /// Of the output: extents, layout, ticks and average rate as `numerator/denominator`.
  package var width, height: Int
  package var format: String
  /// Width over height of a pixel of the output, as numerator and denominator; nil for that of the source.
  package var sampleAspectRatio: [Int32]?
  package var timeBase, frameRate: [Int32]
  /// Seconds of the source as far as they were read.
  package var seconds: Double
  /// What was not quite right, and what of the source is not read, one line each.
  package var warnings, leftOut: [String]

  /// Ticks of the output.
  package var ticks: Rational { Rational(timeBase[0], timeBase[1]) }

  /// Checks what a file says, before it is worked with.
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

/// How a film is parted into segments.
package enum SegmentLength: Sendable {
  /// Frames of the output in each.
  case frames(Int)
  /// So that a number of shards gets as many of them each as can be.
  case shards(Int)
  /// So that a shard takes as many seconds of the source as can be.
  case seconds(Double)

  /// Shards of a film of so many frames and seconds.
  package func shards(frames: Int, seconds: Double) -> Int {
    switch self {
    case .frames(let length): (frames + length - 1) / length
    case .shards(let count): max(1, min(count, frames))
    case .seconds(let each): max(1, min(frames, Int((seconds / each).rounded(.up))))
    }
  }

  /// Frames of each segment. No more than usual: that is what a killed process loses.
  package func length(frames: Int, seconds: Double) -> Int {
    if case .frames(let length) = self { return length }
    let shards = shards(frames: frames, seconds: seconds)
    let least = max(
      1, (frames + shards * SegmentFolder.usualFrames - 1) / (shards * SegmentFolder.usualFrames))
    var best: (load: Int, length: Int)?
    // Where one number of segments for each shard does not come out even, another may.
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
  /// Reads the source to its end, and lets everything but the network and the encoder work on it.
  ///
  /// - Parameters:
  ///   - length: how segments are cut.
  ///   - scratch: the name of a file that is made and removed to see that the container takes the video.
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
      to: enhanced, made: steps.map { _ in Int.max..<Int.max }, watch: watch,
      last: { try await tally.run(from: enhanced) })
    guard let facts = tally.facts else { throw PipelineError.noFrames(path: input) }
    return try facts.scan(length: length, watch: watch, summary: summary, path: input)
  }
}

/// Takes the frames of a scan, which have times and no pictures.
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

/// What a scan has seen of the output, frame by frame.
private struct ScanFacts: Sendable {
  let shape: VideoShape
  private var presentations: [Int64] = []
  /// For each input of a frame, the lowest and the highest numbers of all frames.
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
      warnings: summary.warnings, leftOut: summary.leftOut)
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
