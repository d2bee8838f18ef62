// SPDX-License-Identifier: Apache-2.0

/// What stands in a window where it would reach beyond the first or last frame of its scene.
package enum WindowEdge: Sendable {
  /// The nearest frame of the scene.
  case repeated
  /// The frame as far on the other side of the centre, or the farthest one of a scene shorter than that. The centre itself,
  /// repeated, would bring its own noise again, which a network takes for what is there (docs/lab/networks.md).
  case opposite
}

/// Makes a window of `length` frames around each frame of a stream.
///
/// Windows share frames; at most `length` frames are held.
package struct SlidingWindow<Frame> {
  /// The frames around one frame, in order of time.
  package struct Window {
    /// `length` frames.
    package let frames: [Frame]
    /// The frame in the middle; the first of two.
    package var center: Frame { frames[(frames.count - 1) / 2] }
  }

  /// Frames in a window. Of an even number, one more follows the centre than precedes it: two are a frame and the next.
  package let length: Int

  private let edge: WindowEdge
  private var before: Int { (length - 1) / 2 }
  private var after: Int { length / 2 }
  /// The last frames of the scene; the one that is next to be a centre is among them.
  private var held: [Frame] = []
  private var centerIndex = 0

  /// - Parameter length: frames in a window, at least one.
  package init(length: Int, edge: WindowEdge = .opposite) {
    precondition(length > 0, "a window has frames")
    self.length = length
    self.edge = edge
  }

  /// Takes the next frame; returns the windows that are complete with it, in order.
  /// - Parameter startsScene: whether a scene begins with this frame, so that the frames before it see none
  ///   of it.
  package mutating func push(_ frame: Frame, startsScene: Bool = false) -> [Window] {
    var windows = startsScene ? finish() : []
    held.append(frame)
    if held.count > centerIndex + after { windows.append(makeWindow()) }
    return windows
  }

  /// Ends the scene; returns the windows of the frames that have not had one. The next frame starts afresh.
  package mutating func finish() -> [Window] {
    var windows: [Window] = []
    while centerIndex < held.count { windows.append(makeWindow()) }
    held.removeAll(keepingCapacity: true)
    centerIndex = 0
    return windows
  }

  /// Where the frame is that stands `offset` frames after the centre.
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

  /// The window of the next centre.
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
