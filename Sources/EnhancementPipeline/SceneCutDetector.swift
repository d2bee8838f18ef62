// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel

/// Finds the frames with which a new scene begins.
///
/// A cut is a jump between two frames that stands alone and stays: what differs after blocks were moved to where they
/// fit best is large, several times larger than between the frames before and after, and none of the next frames is like
/// the one before the jump. So pans (much changes, but evenly), fades and dissolves (little changes at a time) and flashes
/// (the picture comes back) are none. For the look ahead, decisions come `lookAhead` frames late.
package struct SceneCutDetector {
  /// Levels that must differ on average, whatever the neighbours do.
  static let leastDifference: Float = 7.5
  /// Times by which the difference must exceed those next to it.
  static let leastRatio: Float = 3
  /// Times by which it must exceed that between the frame before it and each of those that follow.
  static let leastRatioToReturn: Float = 2.5
  /// Differences before a frame that are looked at; not less than `lookAhead`, so that the end of a flash is seen as such.
  static let memory = 4
  /// Frames behind the one in question that are looked at: flashes of so many frames are told from cuts.
  package static let lookAhead = 4

  /// The frame before the one in question, that one, and what follows.
  private var thumbnails: [LumaThumbnail] = []
  /// Differences between neighbours among `thumbnails`.
  private var steps: [Float] = []
  /// Differences between the frames of the scene so far, latest last; the one in question is not among them.
  private var history: [Float] = []
  private var frameCount = 0

  /// A detector that has seen nothing.
  package init() {}

  /// Takes the next frame.
  /// - Returns: whether a scene begins with the frame `lookAhead` frames before this one; nil if there is none. Of the
  ///   first frame it is not said.
  package mutating func push(_ frame: PlanarFrame) -> Bool? {
    let thumbnail = LumaThumbnail(frame)
    if let last = thumbnails.last { steps.append(thumbnail.difference(last)) }
    thumbnails.append(thumbnail)
    frameCount += 1
    if frameCount <= Self.lookAhead { return nil }
    return frameCount == Self.lookAhead + 1 ? false : decide()
  }

  /// Ends the stream.
  /// - Returns: whether scenes begin with the frames that nothing was said of yet, in their order.
  package mutating func finish() -> [Bool] {
    let isFirstSettled = frameCount > Self.lookAhead
    defer { self = SceneCutDetector() }
    return (isFirstSettled || frameCount == 0 ? [] : [false]) + steps.indices.map { _ in decide() }
  }

  /// Whether the oldest step is a cut; it moves into the history.
  private mutating func decide() -> Bool {
    let before = thumbnails.removeFirst()
    let step = steps.removeFirst()
    let around = max(history.max() ?? 0, steps.first ?? 0)
    let isCut =
      step >= Self.leastDifference && step >= Self.leastRatio * around
      // The frame after the jump is first; what follows it counts.
      && !thumbnails.dropFirst().contains { $0.difference(before) * Self.leastRatioToReturn <= step }
    if isCut {
      history.removeAll()
    } else {
      history = (history + [step]).suffix(Self.memory)
    }
    return isCut
  }
}
