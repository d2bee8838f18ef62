// SPDX-License-Identifier: Apache-2.0

/// Groups frames into windows that end at scene cuts.
struct SceneSplitter {
  /// The source of scene cuts.
  enum Cuts {
    /// Scene cuts are ignored.
    case ignored
    /// Cuts are detected from the frames.
    case detected
    /// Cuts are marked in the frames, by a previous step.
    case marked
    /// Numbers of the frames that start scenes, detected earlier.
    case known(Set<Int>)
  }

  /// Number of frames received.
  private(set) var frameCount = 0
  /// Numbers of the frames that start scenes, without the first frame.
  private(set) var cuts: [Int] = []

  private var windows: SlidingWindow<PreparedFrame>
  private var detector: SceneCutDetector?
  private let usesMarks: Bool
  private let known: Set<Int>
  /// Frames waiting for the detector's look-ahead.
  private var waiting: [PreparedFrame] = []
  /// For each frame that has not been the centre of a window yet, whether it starts a scene.
  private var starts: [Bool] = []

  init(length: Int, cuts: Cuts, edge: WindowEdge) {
    windows = SlidingWindow(length: length, edge: edge)
    if case .detected = cuts { detector = SceneCutDetector() } else { detector = nil }
    if case .marked = cuts { usesMarks = true } else { usesMarks = false }
    if case .known(let numbers) = cuts { known = numbers } else { known = [] }
  }

  /// Adds the next frame; returns the completed windows.
  mutating func push(_ frame: PreparedFrame) throws(PipelineError) -> [SceneWindow] {
    frameCount += 1
    guard detector != nil else {
      return place(
        frame, startsScene: usesMarks && frame.frame.startsScene || known.contains(frameCount - 1))
    }
    let startsScene = detector?.push(try frame.planar)
    waiting.append(frame)
    return startsScene.map { placeWaiting(startsScene: $0) } ?? []
  }

  /// Ends the stream; returns the remaining windows.
  mutating func finish() -> [SceneWindow] {
    var result: [SceneWindow] = []
    for startsScene in detector?.finish() ?? [] { result += placeWaiting(startsScene: startsScene) }
    return result + marked(windows.finish())
  }

  /// Moves the oldest waiting frame into the windows.
  private mutating func placeWaiting(startsScene: Bool) -> [SceneWindow] {
    if startsScene { cuts.append(frameCount - waiting.count) }
    return place(waiting.removeFirst(), startsScene: startsScene)
  }

  private mutating func place(_ frame: PreparedFrame, startsScene: Bool) -> [SceneWindow] {
    starts.append(startsScene)
    return marked(windows.push(frame, startsScene: startsScene))
  }

  /// Marks windows that start a scene; windows arrive in the order of their centres.
  private mutating func marked(_ windows: [SlidingWindow<PreparedFrame>.Window]) -> [SceneWindow] {
    windows.map { SceneWindow(frames: $0.frames, startsScene: starts.removeFirst()) }
  }
}
