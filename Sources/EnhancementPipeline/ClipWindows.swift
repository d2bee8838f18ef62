// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
import VideoIO

/// Windows of a clip as a network sees them, spread evenly over its length, for calibration and the like.
package struct ClipWindows: Sendable {
  /// The clip.
  package let path: String
  /// Frames in a window.
  package let length: Int
  /// What windows have beyond the ends of a scene.
  package let edge: WindowEdge
  /// Most windows taken.
  package let limit: Int

  /// Windows of `length` frames, at most `limit`.
  package init(path: String, length: Int, limit: Int, edge: WindowEdge = .opposite) {
    self.path = path
    self.length = length
    self.limit = limit
    self.edge = edge
  }

  /// Calls `body` with each window in turn. Windows do not reach across scene cuts.
  /// - Returns: how many there were.
  /// - Throws: `VideoIOError`, `PipelineError.noFrames`, or what `body` throws.
  @discardableResult
  package func forEach(threads: Int, _ body: ([PlanarFrame]) throws -> Void) throws -> Int {
    var reader = try VideoReader(path: path, threads: threads)
    // Without a known length every window counts until there are enough.
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
