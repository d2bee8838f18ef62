// SPDX-License-Identifier: Apache-2.0

/// How far a job has come. Given after each frame that was written.
package struct EnhancementProgress: Sendable {
  /// Frames written.
  package let frames: Int
  /// Frames there will be, as the container announces or its length suggests; nil if unknown.
  package let estimatedFrames: Int?
  /// End of the last frame on the video's timeline, in seconds from its beginning.
  package let position: Double
  /// Length of the video in seconds as the container announces it; nil if it does not.
  package let duration: Double?

  /// The part that is done, 0...1, from the timeline where its length is known; nil if nothing is known.
  package var fraction: Double? {
    if let duration, duration > 0 { return min(max(position / duration, 0), 1) }
    if let estimatedFrames, estimatedFrames > 0 { return min(Double(frames) / Double(estimatedFrames), 1) }
    return nil
  }

  /// A state of work.
  package init(frames: Int, estimatedFrames: Int?, position: Double, duration: Double?) {
    self.frames = frames
    self.estimatedFrames = estimatedFrames
    self.position = position
    self.duration = duration
  }
}

/// What a job came to.
package struct EnhancementSummary: Sendable {
  /// Frames written.
  package var frames = 0
  /// Frames of these that an earlier run had finished.
  package var resumedFrames = 0
  /// Frames that are equal to the one before where the source's are not.
  package var repeatedFrames = 0
  /// Frames of interpolation that came out wrong and were replaced by the nearest of the source.
  package var substitutedFrames = 0
  /// Extents of the output.
  package var width = 0
  /// See `width`.
  package var height = 0
  /// Layout of the output, such as `yuv420p`.
  package var format = ""
  /// FFmpeg's name of the encoder.
  package var encoder = ""
  /// What was not quite right, one line each.
  package var warnings: [String] = []
  /// The source's streams that are not in the output, one line each.
  package var leftOut: [String] = []
  /// Numbers of the frames (from 0) with which a scene was found to begin.
  package var sceneCuts: [Int] = []
  /// What the source looked like, where a network was chosen by that.
  package var source: SourceSurvey?
  /// Source frames, with their 8-bit copies, that were alive at once at most.
  package var peakFrames = 0
}
