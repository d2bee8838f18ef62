// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// The progress of a job, reported after each written frame.
package struct EnhancementProgress: Sendable {
  /// Number of frames written.
  package let frames: Int
  /// Expected number of frames, from the container or its duration; nil if unknown.
  package let estimatedFrames: Int?
  /// End of the last frame on the video's timeline, in seconds from its beginning.
  package let position: Double
  /// Duration of the video in seconds according to the container; nil if unknown.
  package let duration: Double?

  /// The completed fraction, 0...1, by time if the duration is known, otherwise by frames; nil if neither is
  /// known.
  package var fraction: Double? {
    if let duration, duration > 0 { return min(max(position / duration, 0), 1) }
    if let estimatedFrames, estimatedFrames > 0 { return min(Double(frames) / Double(estimatedFrames), 1) }
    return nil
  }

  /// Creates a progress report.
  package init(frames: Int, estimatedFrames: Int?, position: Double, duration: Double?) {
    self.frames = frames
    self.estimatedFrames = estimatedFrames
    self.position = position
    self.duration = duration
  }
}

/// The results of a job.
package struct EnhancementSummary: Sendable {
  /// Number of frames written.
  package var frames = 0
  /// Number of these frames that an earlier run had written.
  package var resumedFrames = 0
  /// Number of frames equal to the previous one although the source's frames differ.
  package var repeatedFrames = 0
  /// Number of interpolated frames that failed the output check and were replaced by the nearest source
  /// frame.
  package var substitutedFrames = 0
  /// Levels of the noise that denoising estimated and removed; empty if the level was given.
  package var noise = NoiseTally()
  /// Width of the output in samples.
  package var width = 0
  /// Height of the output in samples.
  package var height = 0
  /// Pixel format of the output, such as `yuv420p`.
  package var format = ""
  /// FFmpeg's name of the encoder.
  package var encoder = ""
  /// Warnings.
  package var warnings: [MediaRemark] = []
  /// Parts of the source that are not in the output.
  package var leftOut: [MediaRemark] = []
  /// Numbers (from 0) of the frames at which scene cuts were detected.
  package var sceneCuts: [Int] = []
  /// The survey of the source, if a step was chosen by it.
  package var source: SourceSurvey?
  /// The highest number of source frames with 8-bit copies that were alive at once.
  package var peakFrames = 0
}
