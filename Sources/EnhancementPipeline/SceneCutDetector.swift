// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel

/// Detects the frames that start a new scene.
///
/// A cut is an isolated, permanent change between two frames: the motion-compensated difference is large,
/// several times larger than before and after, and none of the following frames resembles the one before the
/// change. This excludes pans (large but steady changes), fades and dissolves (small changes at a time) and
/// flashes (the picture returns). The look-ahead delays decisions by `lookAhead` frames.
package struct SceneCutDetector {
  /// Smallest mean difference of a cut, in levels.
  static let leastDifference: Float = 7.5
  /// Smallest ratio of a cut's difference to the adjacent ones.
  static let leastRatio: Float = 3
  /// Smallest ratio of a cut's difference to those between the frame before it and the frames that follow it.
  static let leastRatioToReturn: Float = 2.5
  /// Number of preceding differences to compare; at least `lookAhead`, so that the end of a flash is
  /// recognized.
  static let memory = 4
  /// Number of following frames to compare: flashes of up to this length are not cuts.
  package static let lookAhead = 4

  /// The frame before the candidate, the candidate, and the frames after it.
  private var thumbnails: [LumaThumbnail] = []
  /// Differences between consecutive `thumbnails`.
  private var steps: [Float] = []
  /// Differences between consecutive frames of the current scene before the candidate, oldest first.
  private var history: [Float] = []
  private var frameCount = 0

  /// Creates a detector for the beginning of a stream.
  package init() {}

  /// Adds the next frame.
  /// - Returns: whether the frame `lookAhead` frames before this one starts a scene, false for the first
  ///   frame of the stream; nil if there is no such frame yet.
  package mutating func push(_ frame: PlanarFrame) -> Bool? {
    let thumbnail = LumaThumbnail(frame)
    if let last = thumbnails.last { steps.append(thumbnail.difference(last)) }
    thumbnails.append(thumbnail)
    frameCount += 1
    if frameCount <= Self.lookAhead { return nil }
    return frameCount == Self.lookAhead + 1 ? false : decide()
  }

  /// Ends the stream.
  /// - Returns: whether each of the remaining undecided frames starts a scene, in order.
  package mutating func finish() -> [Bool] {
    let isFirstSettled = frameCount > Self.lookAhead
    defer { self = SceneCutDetector() }
    return (isFirstSettled || frameCount == 0 ? [] : [false]) + steps.indices.map { _ in decide() }
  }

  /// Returns whether a step between two frames is a cut.
  /// - Parameters:
  ///   - around: the largest of the steps next to it.
  ///   - before: the frame before the step.
  ///   - later: the frames after the one behind the step.
  static func isCut(
    _ step: Float, around: Float, before: LumaThumbnail, later: some Sequence<LumaThumbnail>
  ) -> Bool {
    step >= leastDifference && step >= leastRatio * around
      && !later.contains { $0.difference(before) * leastRatioToReturn <= step }
  }

  /// Returns whether the oldest step is a cut, and moves it into the history.
  private mutating func decide() -> Bool {
    let before = thumbnails.removeFirst()
    let step = steps.removeFirst()
    let around = max(history.max() ?? 0, steps.first ?? 0)
    // Skip the candidate itself.
    let isCut = Self.isCut(step, around: around, before: before, later: thumbnails.dropFirst())
    if isCut {
      history.removeAll()
    } else {
      history = (history + [step]).suffix(Self.memory)
    }
    return isCut
  }
}
