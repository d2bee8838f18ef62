// SPDX-License-Identifier: Apache-2.0

/// Makes a window of `length` frames around each frame of a stream.
///
/// Where a window would reach beyond the first or last frame of its scene, the nearest frame of the scene is
/// repeated. Windows share frames; at most `length` frames are held.
public struct SlidingWindow<Frame> {
  /// The frames around one frame, in order of time.
  public struct Window {
    /// `length` frames.
    public let frames: [Frame]
    /// The frame in the middle.
    public var center: Frame { frames[frames.count / 2] }
  }

  /// Frames in a window, odd.
  public let length: Int

  private var radius: Int { length / 2 }
  /// The last frames of the scene; the one that is next to be a centre is among them.
  private var held: [Frame] = []
  private var centerIndex = 0

  /// - Parameter length: frames in a window, odd.
  public init(length: Int) {
    precondition(length > 0 && length % 2 == 1, "a window has an odd number of frames")
    self.length = length
  }

  /// Takes the next frame; returns the windows that are complete with it, in order.
  /// - Parameter startsScene: whether a scene begins with this frame, so that the frames before it see none
  ///   of it.
  public mutating func push(_ frame: Frame, startsScene: Bool = false) -> [Window] {
    var windows = startsScene ? finish() : []
    held.append(frame)
    if held.count > centerIndex + radius { windows.append(makeWindow()) }
    return windows
  }

  /// Ends the scene; returns the windows of the frames that have not had one. The next frame starts afresh.
  public mutating func finish() -> [Window] {
    var windows: [Window] = []
    while centerIndex < held.count { windows.append(makeWindow()) }
    held.removeAll(keepingCapacity: true)
    centerIndex = 0
    return windows
  }

  /// The window of the next centre.
  private mutating func makeWindow() -> Window {
    let frames = (centerIndex - radius...centerIndex + radius).map { held[min(max($0, 0), held.count - 1)] }
    centerIndex += 1
    let surplus = max(centerIndex - radius, 0)
    held.removeFirst(surplus)
    centerIndex -= surplus
    return Window(frames: frames)
  }
}

extension SlidingWindow.Window: Sendable where Frame: Sendable {}
