// SPDX-License-Identifier: Apache-2.0
public import EnhancementModel

/// Finds the frames with which a new scene begins.
///
/// A cut is a jump between two frames that stands alone: what differs after blocks were moved to where they
/// fit best is large, and several times larger than between the frames before and after. So pans (much
/// changes, but evenly), fades (little changes at a time) and flashes (two jumps in a row) are none. For the
/// look ahead, decisions come one frame late.
public struct SceneCutDetector {
  /// Levels that must differ on average, whatever the neighbours do.
  static let leastDifference: Float = 6
  /// Times by which the difference must exceed those next to it.
  static let leastRatio: Float = 3
  /// Differences before a frame that are looked at.
  static let memory = 4

  private var last: LumaThumbnail?
  /// Differences between the frames of the scene so far, latest last; the one in question is not among them.
  private var history: [Float] = []
  private var pending: Step?
  private var frameCount = 0

  private struct Step {
    let difference: Float
    let histogramDifference: Float
  }

  /// A detector that has seen nothing.
  public init() {}

  /// Takes the next frame.
  /// - Returns: whether a scene begins with the frame *before* this one; nil if there was none before.
  public mutating func push(_ frame: PlanarFrame) -> Bool? {
    let thumbnail = LumaThumbnail(frame)
    let step = last.map {
      Step(difference: thumbnail.difference($0), histogramDifference: thumbnail.histogramDifference($0))
    }
    last = thumbnail
    frameCount += 1
    guard frameCount > 1 else { return nil }
    defer { pending = step }
    return decide(next: step)
  }

  /// Ends the stream.
  /// - Returns: whether a scene begins with the last frame; nil if there was none.
  public mutating func finish() -> Bool? {
    guard frameCount > 0 else { return nil }
    return decide(next: nil)
  }

  /// Whether the pending step is a cut; it moves into the history.
  private mutating func decide(next: Step?) -> Bool {
    guard let step = pending else { return false }
    let around = max(history.max() ?? 0, next?.difference ?? 0)
    let isCut = step.difference >= Self.leastDifference && step.difference >= Self.leastRatio * around
    if isCut {
      history.removeAll()
    } else {
      history = (history + [step.difference]).suffix(Self.memory)
    }
    return isCut
  }
}
