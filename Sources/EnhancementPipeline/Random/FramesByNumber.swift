// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import VideoIO

/// Enhances single frames of a clip in any order, for programs that ask for frames by number.
///
/// Each frame equals the one that `EnhancementJob` makes. Not thread-safe, except for `sources(of:)`: one call at a time.
package final class FramesByNumber {
  /// What came of a request.
  package enum Outcome {
    /// The frame, and whether a scene begins and ends with it; nil if scenes do not matter.
    case made(VideoFrame, startsScene: Bool?, endsScene: Bool?)
    /// Further source frames that it takes.
    case lacks([Int])
  }

  /// How many source frames an output frame takes the time of: 1 for networks that make a frame of each, 1/2 where there are
  /// twice as many.
  package struct Pace: Sendable, Equatable {
    package let numerator, denominator: Int

    /// - Precondition: the fraction is positive, and at most 1.
    package init(_ numerator: Int = 1, _ denominator: Int = 1) {
      precondition(numerator > 0 && numerator <= denominator, "no frame of the source is left out")
      self.numerator = numerator
      self.denominator = denominator
    }

    /// Frames in place of `count`; nil if that is too many for an integer.
    package func frames(for count: Int) -> Int? {
      let (product, overflow) = count.multipliedReportingOverflow(by: denominator)
      return overflow ? nil : product / numerator + (product % numerator == 0 ? 0 : 1)
    }

    /// The source frame at or before an output.
    package func source(of number: Int) -> Int { number * numerator / denominator }
    /// How many `denominator`ths of the source frame's time have passed then.
    package func part(of number: Int) -> Int { number * numerator % denominator }
    /// Whether an output is the first or the last one that belongs to its source frame.
    package func isFirst(_ number: Int) -> Bool {
      number == 0 || source(of: number - 1) != source(of: number)
    }
    package func isLast(_ number: Int) -> Bool { source(of: number + 1) != source(of: number) }
  }

  /// Frames of the clip, and of the output.
  package let sourceCount, count: Int
  /// See `Pace`.
  package let pace: Pace

  private let network: any WindowNetwork
  private let findsSceneCuts: Bool
  private let edge: WindowEdge
  private let before, after: Int
  private let enlarger: FrameEnlarger
  private let blender: FrameBlender
  private let census = FrameCensus()
  private var table: SceneCutTable
  /// Frames as networks see them, by number.
  private var prepared: [Int: PreparedFrame] = [:]
  private let mostPrepared: Int

  /// Frames of a clip of `sourceCount` frames, made by `network`.
  /// - Parameter pace: when frames are made, by a network for interpolation; 1 for others.
  /// - Parameter findsSceneCuts: whether windows end where scenes do.
  package init(
    _ network: any WindowNetwork, sourceCount: Int, pace: Pace = Pace(), findsSceneCuts: Bool = true,
    threads: Int
  ) {
    let isInterpolating = network.architecture.task == .interpolation
    precondition(pace == Pace() || isInterpolating, "only interpolation makes further frames")
    self.network = network
    self.sourceCount = sourceCount
    self.pace = pace
    let length = max(network.architecture.window, 1)
    self.findsSceneCuts = findsSceneCuts && length > 1
    count = pace.frames(for: sourceCount) ?? .max
    edge = isInterpolating ? .repeated : .opposite
    before = (length - 1) / 2
    after = length / 2
    enlarger = FrameEnlarger(scale: network.architecture.scale, threads: threads)
    blender = FrameBlender(threads: threads)
    table = SceneCutTable(frameCount: sourceCount)
    mostPrepared = EnhancementJob.preparedFrameLimit(window: length)
  }

  /// The source frames that output `number` takes at least, as a range that need not lie within the clip.
  package func sources(of number: Int) -> ClosedRange<Int> {
    let center = pace.source(of: number)
    // The frame before tells whether a scene begins with the centre, the one after it whether one ends.
    let margin = findsSceneCuts ? 1 : 0
    return center - max(before, margin)...center + max(after, margin)
  }

  /// Makes a frame, or says what that takes.
  /// - Parameters:
  ///   - told: whether a scene begins with a source frame of `sources(of:)`, if that is known; nil leaves it to the frames.
  ///   - source: the source frame of a number; nil if it is not there yet. Those of `sources(of:)` are.
  /// - Throws: `PipelineError`, `VideoIOError`, what the network or `source` throws.
  package func make(
    _ number: Int, given conditions: WindowConditions, told: (Int) -> Bool?,
    source: (Int) throws -> VideoFrame?
  ) throws -> Outcome {
    let center = pace.source(of: number)
    var starts: Set<Int> = []
    var lacking: Set<Int> = []
    if findsSceneCuts {
      for place in sources(of: number).dropFirst() where (1..<sourceCount).contains(place) {
        if try told(place) ?? startsScene(place, near: center, &lacking, source) == true {
          starts.insert(place)
        }
      }
    }
    if !lacking.isEmpty { return .lacks(lacking.sorted()) }
    let frame = try checked(number, window(around: center, starts, source), conditions)
    return .made(
      frame, startsScene: findsSceneCuts ? pace.isFirst(number) && starts.contains(center) : nil,
      endsScene: findsSceneCuts ? pace.isLast(number) && starts.contains(center + 1) : nil)
  }

  // MARK: - Windows

  /// See `SceneCutTable`; nil if frames are lacking.
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

  /// The window around a frame, which ends where its scene does.
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

  /// The frame of a number as networks see it; nil if it is not there yet.
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

  /// The frame, or what is shown instead if it came out wrong.
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
