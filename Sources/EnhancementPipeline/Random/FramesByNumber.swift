// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import VideoIO

/// Enhances single frames of a clip in any order, for programs that request frames by number.
///
/// Each frame equals the one made by `EnhancementJob`. Not thread-safe, except for `sources(of:)`: one call
/// at a time.
package final class FramesByNumber {
  /// Result of a request.
  package enum Outcome {
    /// The frame, and whether a scene begins and ends with it; nil if scenes are not tracked.
    case made(VideoFrame, startsScene: Bool?, endsScene: Bool?)
    /// Further source frames required.
    case lacks([Int])
  }

  /// Duration of an output frame in source frames: 1 for networks that make one frame of each, 1/2 for twice
  /// the frame rate.
  package struct Pace: Sendable, Equatable {
    package let numerator, denominator: Int

    /// - Precondition: the fraction is positive and at most 1.
    package init(_ numerator: Int = 1, _ denominator: Int = 1) {
      precondition(numerator > 0 && numerator <= denominator, "no frame of the source is left out")
      self.numerator = numerator
      self.denominator = denominator
    }

    /// Returns the number of output frames for `count` source frames; nil on overflow.
    package func frames(for count: Int) -> Int? {
      let (product, overflow) = count.multipliedReportingOverflow(by: denominator)
      return overflow ? nil : product / numerator + (product % numerator == 0 ? 0 : 1)
    }

    /// Returns the source frame at or before an output frame.
    package func source(of number: Int) -> Int { number * numerator / denominator }
    /// Returns the time since that source frame, in `denominator`ths of its duration.
    package func part(of number: Int) -> Int { number * numerator % denominator }
    /// Returns whether the output is the first or the last one of its source frame.
    package func isFirst(_ number: Int) -> Bool {
      number == 0 || source(of: number - 1) != source(of: number)
    }
    package func isLast(_ number: Int) -> Bool { source(of: number + 1) != source(of: number) }
  }

  /// Number of frames of the clip, and of the output.
  package let sourceCount, count: Int
  /// Duration of an output frame in source frames.
  package let pace: Pace

  private let network: any WindowNetwork
  private let findsSceneCuts: Bool
  private let edge: WindowEdge
  private let before, after: Int
  private let enlarger: FrameEnlarger
  private let blender: FrameBlender
  private let census = FrameCensus()
  private var table: SceneCutTable
  /// Frames in the network's input format, by number.
  private var prepared: [Int: PreparedFrame] = [:]
  private let mostPrepared: Int
  private let smoothing: TemporalSmoothing?
  /// The latest outputs before smoothing, by number.
  private var outputs: [Int: Output] = [:]

  /// An output before smoothing, and what counts as a change of it.
  private struct Output {
    var video: VideoFrame
    var change: TemporalSmoothing.Change?
  }

  /// Creates the frames of a clip of `sourceCount` frames, made by `network`.
  /// - Parameters:
  ///   - pace: output times for interpolation; 1 for other tasks.
  ///   - findsSceneCuts: whether windows end at scene cuts.
  ///   - smooths: see `EnhancementStep.smooths`.
  package init(
    _ network: any WindowNetwork, sourceCount: Int, pace: Pace = Pace(), findsSceneCuts: Bool = true,
    smooths: Bool = true, threads: Int
  ) {
    let architecture = network.architecture
    let isInterpolating = architecture.task == .interpolation
    precondition(pace == Pace() || isInterpolating, "only interpolation makes further frames")
    self.network = network
    self.sourceCount = sourceCount
    self.pace = pace
    let length = max(architecture.window, 1)
    self.findsSceneCuts = findsSceneCuts && length > 1
    count = pace.frames(for: sourceCount) ?? .max
    edge = isInterpolating ? .repeated : .opposite
    before = (length - 1) / 2
    after = length / 2
    enlarger = FrameEnlarger(scale: architecture.scale, threads: threads)
    blender = FrameBlender(threads: threads)
    let isSmoothed = smooths && TemporalSmoothing.change(after: architecture, noiseCode: nil) != nil
    smoothing = isSmoothed ? TemporalSmoothing(threads: threads) : nil
    table = SceneCutTable(frameCount: sourceCount)
    mostPrepared = EnhancementJob.preparedFrameLimit(window: length) + (isSmoothed ? 2 : 0)
  }

  /// Returns the source frames always required for output `number`, as a range that may exceed the clip.
  package func sources(of number: Int) -> ClosedRange<Int> {
    let own = windowSources(of: number)
    return smoothing == nil ? own : own.lowerBound - 1...own.upperBound + 1
  }

  /// Makes a frame, or returns the source frames that it still requires.
  /// - Parameters:
  ///   - conditions: returns what is known of a source frame of `sources(of:)`; always the same.
  ///   - known: whether a scene begins with a source frame of `sources(of:)`, if known; nil detects it from
  ///     the frames.
  ///   - source: returns the source frame of a number, or nil if it is not available yet. Those of
  ///     `sources(of:)` are available.
  /// - Throws: `PipelineError`, `VideoIOError`, or an error of the network or of `source`.
  package func make(
    _ number: Int, given conditions: (Int) throws -> WindowConditions, known: (Int) -> Bool?,
    source: (Int) throws -> VideoFrame?
  ) throws -> Outcome {
    let center = pace.source(of: number)
    var starts: Set<Int> = []
    var lacking: Set<Int> = []
    if findsSceneCuts {
      for place in sources(of: number).dropFirst() where (1..<sourceCount).contains(place) {
        if try known(place) ?? startsScene(place, near: center, &lacking, source) == true {
          starts.insert(place)
        }
      }
    }
    if !lacking.isEmpty { return .lacks(lacking.sorted()) }
    var frame = try output(number, starts, conditions, source)
    if let smoothing, let change = frame.change, change > 0 {
      var neighbours: [(VideoFrame, FrameDifference)] = []
      for other in [number - 1, number + 1] where (0..<count).contains(other) {
        let video = try output(other, starts, conditions, source).video
        if let difference = smoothing.difference(of: frame.video, and: video) {
          neighbours.append((video, difference))
        }
      }
      frame.video = try smoothing.smooth(frame.video, by: neighbours, change: change)
    }
    return .made(
      frame.video, startsScene: findsSceneCuts ? pace.isFirst(number) && starts.contains(center) : nil,
      endsScene: findsSceneCuts ? pace.isLast(number) && starts.contains(center + 1) : nil)
  }

  /// Returns the source frames of the window around output `number`.
  private func windowSources(of number: Int) -> ClosedRange<Int> {
    let center = pace.source(of: number)
    // Whether a scene begins with the centre depends on the frame before, whether one ends on the frame after.
    let margin = findsSceneCuts ? 1 : 0
    return center - max(before, margin)...center + max(after, margin)
  }

  /// Returns an output before smoothing, which needs each three times.
  private func output(
    _ number: Int, _ starts: Set<Int>, _ conditions: (Int) throws -> WindowConditions,
    _ source: (Int) throws -> VideoFrame?
  ) throws -> Output {
    if let known = outputs[number] { return known }
    let center = pace.source(of: number)
    let video = try checked(number, window(around: center, starts, source), conditions(center))
    guard smoothing != nil else { return Output(video: video) }
    let result = Output(
      video: video,
      change: TemporalSmoothing.change(after: network.architecture, noiseCode: network.noiseCode))
    if outputs.count > 3, let farthest = outputs.keys.max(by: { abs($0 - number) < abs($1 - number) }) {
      outputs[farthest] = nil
    }
    outputs[number] = result
    return result
  }

  // MARK: - Windows

  /// Returns whether a scene begins with the frame, as `SceneCutTable` does; nil if frames are missing.
  private func startsScene(
    _ place: Int, near center: Int, _ lacking: inout Set<Int>, _ source: (Int) throws -> VideoFrame?
  ) throws -> Bool? {
    while true {
      var missing: Set<Int> = []
      if let answer = table.startsScene(place, missing: &missing) { return answer }
      var isNew = false
      for number in missing.sorted() {
        guard let frame = try prepare(number, near: center, source) else { continue }
        table.add(try frame.planar, number: number)
        isNew = true
      }
      if !isNew {
        lacking.formUnion(missing)
        return nil
      }
    }
  }

  /// Returns the window around a frame, limited to its scene.
  private func window(
    around center: Int, _ starts: Set<Int>, _ source: (Int) throws -> VideoFrame?
  ) throws -> SceneWindow {
    let first = max(center - before, starts.filter { $0 <= center }.max() ?? 0, 0)
    let last = min(center + after, (starts.filter { $0 > center }.min() ?? sourceCount) - 1)
    var sliding = SlidingWindow<PreparedFrame>(length: before + after + 1, edge: edge)
    var windows: [SlidingWindow<PreparedFrame>.Window] = []
    for number in first...last {
      guard let frame = try prepare(number, near: center, source) else {
        throw PipelineError.missingFrame(number)
      }
      windows += sliding.push(frame)
    }
    windows += sliding.finish()
    return SceneWindow(frames: windows[center - first].frames, startsScene: starts.contains(center))
  }

  /// Returns a frame in the network's input format; nil if it is not available yet.
  private func prepare(
    _ number: Int, near center: Int, _ source: (Int) throws -> VideoFrame?
  ) throws -> PreparedFrame? {
    if let known = prepared[number] { return known }
    guard let video = try source(number) else { return nil }
    if prepared.count >= mostPrepared,
      let farthest = prepared.keys.max(by: { abs($0 - center) < abs($1 - center) })
    {
      prepared[farthest] = nil
    }
    let frame = try PreparedFrame(
      StageFrame(video), index: number, census: census, keepsMemory: false)
    prepared[number] = frame
    return frame
  }

  // MARK: - Frames

  /// Returns the frame, or its replacement if the network's output is invalid.
  private func checked(
    _ number: Int, _ window: SceneWindow, _ conditions: WindowConditions
  ) throws -> VideoFrame {
    let instant = FrameInstant(
      presentationTimestamp: 0, duration: 0,
      position: InterpolationTimeline.position(pace.part(of: number), of: pace.denominator))
    let isInterpolating = network.architecture.task == .interpolation
    let frame =
      isInterpolating
      ? try InterpolatedFrameMaker.frame(at: instant, of: window, by: network, given: conditions, blender)
      : try EnlargedFrameMaker.frame(of: window, by: network, given: conditions, enlarger)
    let sources = try isInterpolating ? window.frames.map { try $0.video } : [window.center.video]
    var check = OutputCheck(path: "the clip", scale: network.architecture.scale)
    do {
      try check.check(frame, sources: sources, frame: number)
    } catch {
      guard isInterpolating else { throw error }
      return try InterpolatedFrameMaker.nearest(to: instant, of: window)
    }
    return frame
  }
}
