// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
import VideoIO

/// Windows of a clip, spread evenly over its length, in the form networks receive them. Used for calibration.
package struct ClipWindows: Sendable {
  /// Path of the clip.
  package let path: String
  /// Frames per window.
  package let length: Int
  /// The frames that fill windows beyond the ends of a scene.
  package let edge: WindowEdge
  /// Maximum number of windows.
  package let limit: Int

  /// Creates a source of at most `limit` windows of `length` frames.
  package init(path: String, length: Int, limit: Int, edge: WindowEdge = .opposite) {
    self.path = path
    self.length = length
    self.limit = limit
    self.edge = edge
  }

  /// Calls `body` with each window in order. Windows do not cross scene cuts.
  /// - Returns: the number of windows.
  /// - Throws: `VideoIOError`, `PipelineError.noFrames`, or an error of `body`.
  @discardableResult
  package func forEach(threads: Int, _ body: ([PlanarFrame]) throws -> Void) throws -> Int {
    var reader = try VideoReader(path: path, threads: threads)
    // If the length is unknown, take the first `limit` windows.
    let step = max(1, (reader.info.estimatedFrameCount ?? 1) / max(1, limit))
    var splitter = SceneSplitter(length: length, cuts: length > 1 ? .detected : .ignored, edge: edge)
    let census = FrameCensus()
    var (seen, taken) = (0, 0)
    func offer(_ windows: [SceneWindow]) throws {
      for window in windows {
        if seen % step == step / 2 && taken < limit {
          try body(window.frames.map { try $0.planar })
          taken += 1
        }
        seen += 1
      }
    }
    while taken < limit, let item = try reader.next() {
      if case .frame(let frame) = item {
        try offer(splitter.push(PreparedFrame(StageFrame(frame), index: splitter.frameCount, census: census)))
      }
    }
    if splitter.frameCount == 0 { throw PipelineError.noFrames(path: path) }
    if taken < limit { try offer(splitter.finish()) }
    return taken
  }
}
