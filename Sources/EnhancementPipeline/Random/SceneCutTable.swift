// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel

/// Finds scene cuts in a clip whose frames arrive in any order; the cuts are those of the sequential
/// `SceneCutDetector`.
///
/// A cut depends on the frames around it and, if it is a candidate, on the cuts a few frames before. Memory
/// is bounded for any length of the clip.
struct SceneCutTable {
  /// Number of frames of the clip.
  let frameCount: Int

  private var thumbnails: [Int: LumaThumbnail] = [:]
  /// Differences between successive frames, by the later frame's number.
  private var steps: [Int: Float] = [:]
  /// Decisions made so far.
  private var cuts: [Int: Bool] = [:]

  /// Most thumbnails (of 4 KB) and numbers kept on either side of the latest frame.
  private static let thumbnailReach = 256
  private static let numberReach = 16384
  /// Most successive candidates, each within `SceneCutDetector.memory` frames of the one before, that are
  /// traced back. In longer undecided runs, a step next to a larger one is not a cut.
  private static let mostInRow = 32

  init(frameCount: Int) { self.frameCount = frameCount }

  /// Adds a frame.
  mutating func add(_ frame: PlanarFrame, number: Int) {
    if thumbnails[number] == nil { thumbnails[number] = LumaThumbnail(frame) }
    func isNear(_ other: Int, _ reach: Int) -> Bool { abs(other - number) < reach }
    if thumbnails.count > 2 * Self.thumbnailReach {
      thumbnails = thumbnails.filter { isNear($0.key, Self.thumbnailReach) }
    }
    if steps.count > 2 * Self.numberReach { steps = steps.filter { isNear($0.key, Self.numberReach) } }
    if cuts.count > 2 * Self.numberReach { cuts = cuts.filter { isNear($0.key, Self.numberReach) } }
  }

  /// Returns whether a scene begins with a frame other than the first; nil if the `missing` frames are
  /// required first.
  mutating func startsScene(_ number: Int, missing: inout Set<Int>) -> Bool? {
    startsScene(number, depth: 0, &missing)
  }

  private mutating func startsScene(_ number: Int, depth: Int, _ missing: inout Set<Int>) -> Bool? {
    guard (1..<frameCount).contains(number) else { return false }
    if let known = cuts[number] { return known }
    guard let result = decide(number, depth: depth, &missing) else { return nil }
    cuts[number] = result
    return result
  }

  private mutating func decide(_ number: Int, depth: Int, _ missing: inout Set<Int>) -> Bool? {
    let last = min(number + SceneCutDetector.lookAhead, frameCount - 1)
    guard has(number - 1...last, &missing), let before = thumbnails[number - 1] else { return nil }
    let step = step(to: number)
    let next = number < last ? self.step(to: number + 1) : 0
    let later = (number...last).dropFirst().compactMap { thumbnails[$0] }
    guard SceneCutDetector.isCut(step, around: next, before: before, later: later) else { return false }

    let earlier = max(1, number - SceneCutDetector.memory)..<number
    guard has(earlier.lowerBound - 1...number - 1, &missing) else { return nil }
    let areSmall = earlier.map { SceneCutDetector.leastRatio * self.step(to: $0) <= step }
    if areSmall.allSatisfy({ $0 }) { return true }
    if depth == Self.mostInRow { return false }
    // Frames before another cut do not count.
    for (place, isSmall) in zip(earlier, areSmall).reversed() {
      guard let isCut = startsScene(place, depth: depth + 1, &missing) else { return nil }
      if isCut { return true }
      if !isSmall { return false }
    }
    return true
  }

  private func has(_ frames: ClosedRange<Int>, _ missing: inout Set<Int>) -> Bool {
    let lacking = frames.filter { thumbnails[$0] == nil }
    missing.formUnion(lacking)
    return lacking.isEmpty
  }

  /// Returns the difference between a frame and the one before; both must be available.
  private mutating func step(to number: Int) -> Float {
    if let known = steps[number] { return known }
    guard let frame = thumbnails[number], let before = thumbnails[number - 1] else {
      preconditionFailure("frames are there before they are compared")
    }
    let step = frame.difference(before)
    steps[number] = step
    return step
  }
}
