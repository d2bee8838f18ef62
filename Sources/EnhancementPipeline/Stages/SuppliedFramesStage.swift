// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// Frames supplied by the caller instead of a file.
package protocol FrameSupply: Sendable {
  /// Supplies all frames, in presentation order, with equal sizes and layouts.
  ///
  /// - Parameters:
  ///   - open: called once, before the first frame, with a sample frame and the seconds per tick of all
  ///     timestamps.
  ///   - frame: called for each frame; returns when there is room for the next one.
  func supply(
    open: (_ like: VideoFrame, _ timeBase: Rational) async throws -> Void,
    frame: (VideoFrame) async throws -> Void
  ) async throws
}

/// Replaces `ReadingStage` for frames that do not come from a file.
struct SuppliedFramesStage: Sendable {
  let supply: any FrameSupply

  func run(to output: FrameChannel) async throws -> StageReport {
    var count = 0
    try await supply.supply(
      open: { first, timeBase in
        try await output.send(.opened(VideoShape(MediaInfo(supplied: first, timeBase: timeBase))))
      },
      frame: { frame in
        try await output.send(.frame(StageFrame(frame)))
        count += 1
      })
    if count == 0 { throw PipelineError.noFrames(path: "the supplied sequence") }
    try await output.end(frames: count)
    return .reading(warnings: [], leftOut: [])
  }
}
