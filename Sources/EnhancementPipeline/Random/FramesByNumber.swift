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

  /// Frames of the clip, and of the output.
  package let sourceCount, count: Int

  private let network: any WindowNetwork
  private let factor: Int
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
  /// - Parameter factor: frames for each one of the source, by a network for interpolation; else 1.
  /// - Parameter findsSceneCuts: whether windows end where scenes do.
  package init(
    _ network: any WindowNetwork, sourceCount: Int, factor: Int = 1, findsSceneCuts: Bool = true, threads: Int
  ) {
    let isInterpolating = network.architecture.task == .interpolation
    precondition(factor == 1 || isInterpolating, "only interpolation makes further frames")
    self.network = network
    self.sourceCount = sourceCount
    self.factor = factor
    let length = max(network.architecture.window, 1)
    self.findsSceneCuts = findsSceneCuts && length > 1
    count = sourceCount * factor
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
    let center = number / factor
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
    let center = number / factor
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
    let part = number % factor
    let frame = try checked(number, part, window(around: center, starts, source), conditions)
    return .made(
      frame, startsScene: findsSceneCuts ? part == 0 && starts.contains(center) : nil,
      endsScene: findsSceneCuts ? part == factor - 1 && starts.contains(center + 1) : nil)
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
    _ number: Int, _ part: Int, _ window: SceneWindow, _ conditions: WindowConditions
  ) throws -> VideoFrame {
    let instant = FrameInstant(
      presentationTimestamp: 0, duration: 0, position: InterpolationTimeline.position(part, of: factor))
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
