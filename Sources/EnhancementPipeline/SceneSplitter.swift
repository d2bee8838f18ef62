// SPDX-License-Identifier: Apache-2.0

/// Groups frames into windows that end where a scene does.
struct SceneSplitter {
  /// How it is known where scenes begin.
  enum Cuts {
    /// Nothing is cut.
    case ignored
    /// By looking at the frames.
    case detected
    /// The frames say so: they come from a step before, which has seen the source.
    case told
    /// Numbers of the frames with which scenes begin, found earlier.
    case known(Set<Int>)
  }

  /// Frames taken so far.
  private(set) var frameCount = 0
  /// Numbers of the frames with which a scene was found to begin, the first one's excepted.
  private(set) var cuts: [Int] = []

  private var windows: SlidingWindow<PreparedFrame>
  private var detector: SceneCutDetector?
  private let isTold: Bool
  private let known: Set<Int>
  /// The frames that wait for the detector, which looks ahead.
  private var waiting: [PreparedFrame] = []
  /// Whether a scene begins with the frames that have not been the centre of a window yet.
  private var starts: [Bool] = []

  init(length: Int, cuts: Cuts, edge: WindowEdge) {
    windows = SlidingWindow(length: length, edge: edge)
    if case .detected = cuts { detector = SceneCutDetector() } else { detector = nil }
    if case .told = cuts { isTold = true } else { isTold = false }
    if case .known(let numbers) = cuts { known = numbers } else { known = [] }
  }

  /// Takes the next frame; returns the windows that are complete.
  mutating func push(_ frame: PreparedFrame) throws(PipelineError) -> [SceneWindow] {
    frameCount += 1
    guard detector != nil else {
      return place(
        frame, startsScene: isTold && frame.frame.startsScene || known.contains(frameCount - 1))
    }
    let startsScene = detector?.push(try frame.planar)
    waiting.append(frame)
    return startsScene.map { placeWaiting(startsScene: $0) } ?? []
  }

  /// Ends the stream; returns the windows that remain.
  mutating func finish() -> [SceneWindow] {
    var result: [SceneWindow] = []
    for startsScene in detector?.finish() ?? [] { result += placeWaiting(startsScene: startsScene) }
    return result + marked(windows.finish())
  }

  /// Moves the frame that has waited longest into the windows.
  private mutating func placeWaiting(startsScene: Bool) -> [SceneWindow] {
    if startsScene { cuts.append(frameCount - waiting.count) }
    return place(waiting.removeFirst(), startsScene: startsScene)
  }

  private mutating func place(_ frame: PreparedFrame, startsScene: Bool) -> [SceneWindow] {
    starts.append(startsScene)
    return marked(windows.push(frame, startsScene: startsScene))
  }

  /// Windows come in the order of their centres.
  private mutating func marked(_ windows: [SlidingWindow<PreparedFrame>.Window]) -> [SceneWindow] {
    windows.map { SceneWindow(frames: $0.frames, startsScene: starts.removeFirst()) }
  }
}
