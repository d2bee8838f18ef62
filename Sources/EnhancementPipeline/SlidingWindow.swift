// SPDX-License-Identifier: Apache-2.0

/// The frames that fill a window beyond the first or last frame of its scene.
package enum WindowEdge: Sendable {
  /// The nearest frame of the scene.
  case repeated
  /// The frame at the same distance on the other side of the centre, or the farthest one in a shorter scene.
  /// Repeating the centre itself would repeat its noise, which networks mistake for detail
  /// (docs/lab/networks.md).
  case opposite
}

/// Creates a window of `length` frames around each frame of a stream.
///
/// Windows share frames; at most `length` frames are held.
package struct SlidingWindow<Frame> {
  /// The frames around one frame, in order of time.
  package struct Window {
    /// `length` frames.
    package let frames: [Frame]
    /// The middle frame; the first of two.
    package var center: Frame { frames[(frames.count - 1) / 2] }
  }

  /// Frames per window. If even, one more frame follows the centre than precedes it: a window of two is a
  /// frame and the next.
  package let length: Int

  private let edge: WindowEdge
  private var before: Int { (length - 1) / 2 }
  private var after: Int { length / 2 }
  /// The last frames of the scene, including the next centre.
  private var held: [Frame] = []
  private var centerIndex = 0

  /// - Parameter length: frames per window, at least one.
  package init(length: Int, edge: WindowEdge = .opposite) {
    precondition(length > 0, "a window has frames")
    self.length = length
    self.edge = edge
  }

  /// Adds the next frame; returns the windows it completes, in order.
  /// - Parameter startsScene: whether the frame starts a scene and so is excluded from the windows of
  ///   preceding frames.
  package mutating func push(_ frame: Frame, startsScene: Bool = false) -> [Window] {
    var windows = startsScene ? finish() : []
    held.append(frame)
    if held.count > centerIndex + after { windows.append(makeWindow()) }
    return windows
  }

  /// Ends the scene; returns the windows of the remaining frames. The next frame starts a new scene.
  package mutating func finish() -> [Window] {
    var windows: [Window] = []
    while centerIndex < held.count { windows.append(makeWindow()) }
    held.removeAll(keepingCapacity: true)
    centerIndex = 0
    return windows
  }

  /// Returns the index in `held` of the frame at `offset` from the centre.
  private func place(offset: Int) -> Int {
    if edge == .repeated { return min(max(centerIndex + offset, 0), held.count - 1) }
    var offset = offset
    while offset != 0 {
      for place in [centerIndex + offset, centerIndex - offset] where held.indices.contains(place) {
        return place
      }
      offset -= offset.signum()
    }
    return centerIndex
  }

  /// Returns the window of the next centre.
  private mutating func makeWindow() -> Window {
    let frames = (-before...after).map { held[place(offset: $0)] }
    centerIndex += 1
    let surplus = max(centerIndex - before, 0)
    held.removeFirst(surplus)
    centerIndex -= surplus
    return Window(frames: frames)
  }
}

extension SlidingWindow.Window: Sendable where Frame: Sendable {}
