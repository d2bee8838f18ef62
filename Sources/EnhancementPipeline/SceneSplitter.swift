// SPDX-License-Identifier: Apache-2.0

/// Groups frames into windows that end where a scene does.
struct SceneSplitter {
  /// Frames taken so far.
  private(set) var frameCount = 0
  /// Numbers of the frames with which a scene was found to begin, the first one's excepted.
  private(set) var cuts: [Int] = []

  private var windows: SlidingWindow<PreparedFrame>
  private var detector: SceneCutDetector?
  /// The frame that waits for the detector, which looks one frame ahead.
  private var waiting: PreparedFrame?

  init(length: Int, findsCuts: Bool) {
    windows = SlidingWindow(length: length)
    detector = findsCuts ? SceneCutDetector() : nil
  }

  /// Takes the next frame; returns the windows that are complete.
  mutating func push(_ frame: PreparedFrame) -> [SlidingWindow<PreparedFrame>.Window] {
    frameCount += 1
    guard detector != nil else { return windows.push(frame) }
    let startsScene = detector?.push(frame.planar) ?? false
    defer { waiting = frame }
    return placeWaiting(frameCount - 2, startsScene: startsScene)
  }

  /// Ends the stream; returns the windows that remain.
  mutating func finish() -> [SlidingWindow<PreparedFrame>.Window] {
    let startsScene = detector?.finish() ?? false
    defer { waiting = nil }
    return placeWaiting(frameCount - 1, startsScene: startsScene) + windows.finish()
  }

  /// Moves the waiting frame, of the number given, into the windows.
  private mutating func placeWaiting(_ number: Int, startsScene: Bool) -> [SlidingWindow<PreparedFrame>
    .Window]
  {
    guard let frame = waiting else { return [] }
    if startsScene { cuts.append(number) }
    return windows.push(frame, startsScene: startsScene)
  }
}
