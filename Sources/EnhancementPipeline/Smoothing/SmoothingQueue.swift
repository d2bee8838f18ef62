// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// Delays the outputs of a step by one frame, so that each can be averaged with those before and after it.
struct SmoothingQueue {
  /// An output before smoothing.
  struct Entry {
    var frame: StageFrame
    /// See `TemporalSmoothing.Change`; nil if the frame has no picture.
    var change: TemporalSmoothing.Change?
  }

  private let smoothing: TemporalSmoothing
  private let made: Range<Int>
  private let profile: WorkProfile?
  /// The last output returned, and the one after it, before smoothing.
  private var previous, current: Entry?
  private var difference: FrameDifference?
  /// The number of `current`.
  private var number = -1

  /// The outputs whose pictures are needed for those in `made`.
  static func needed(for made: Range<Int>) -> Range<Int> {
    if made.isEmpty { return made }
    return max(0, made.lowerBound - 1)..<(made.upperBound == .max ? .max : made.upperBound + 1)
  }

  /// - Parameter made: the outputs to return with a picture.
  init(threads: Int, made: Range<Int>, profile: WorkProfile?) {
    smoothing = TemporalSmoothing(threads: threads)
    self.made = made
    self.profile = profile
  }

  /// Takes the next output; returns the one before it, smoothed.
  /// - Throws: `PipelineError.missingFrame` if a picture is missing for it; `VideoIOError`.
  mutating func push(_ entry: Entry) throws -> StageFrame? {
    var next: FrameDifference?
    // Film without noise has no use for it.
    if let first = current?.frame.video, let second = entry.frame.video,
      max(current?.change ?? 0, entry.change ?? 0) > 0
    {
      next = profile.measure("smooth") { smoothing.difference(of: first, and: second) }
    }
    let result = try current.map { try smoothed($0, next: entry, next) }
    (previous, current, difference) = (current, entry, next)
    number += 1
    return result
  }

  /// Returns the last output; nil if there is none. Later outputs have no neighbour before them.
  mutating func finish() throws -> StageFrame? {
    let result = try current.map { try smoothed($0, next: nil, nil) }
    (previous, current, difference) = (nil, nil, nil)
    return result
  }

  /// Continues with an output of another number.
  mutating func skip(to number: Int) { self.number = number - 1 }

  private func smoothed(
    _ entry: Entry, next: Entry?, _ nextDifference: FrameDifference?
  ) throws -> StageFrame {
    let neighbours = [(previous, difference), (next, nextDifference)]
    var inputs = entry.frame.inputs
    for neighbour in neighbours {
      if let other = neighbour.0?.frame.inputs { inputs.formUnion(other) }
    }
    guard made.contains(number) else {
      return StageFrame(
        skipped: entry.frame.presentationTimestamp, duration: entry.frame.duration,
        startsScene: entry.frame.startsScene, inputs: inputs)
    }
    guard let video = entry.frame.video, let change = entry.change else {
      throw PipelineError.missingFrame(number)
    }
    for (offset, neighbour) in zip([-1, 1], neighbours) {
      if let neighbour = neighbour.0, neighbour.frame.video == nil {
        throw PipelineError.missingFrame(number + offset)
      }
    }
    let result = try profile.measure("smooth") {
      try smoothing.smooth(
        video,
        by: neighbours.compactMap { neighbour, difference in
          guard let frame = neighbour?.frame.video, let difference else { return nil }
          return (frame, difference)
        }, change: change)
    }
    return StageFrame(result, startsScene: entry.frame.startsScene, inputs: inputs)
  }
}

extension FrameInputs {
  /// Includes the frames that another output was made from.
  mutating func formUnion(_ other: FrameInputs) {
    first = zip(first, other.first).map(min)
    last = zip(last, other.last).map(max)
  }
}
