// SPDX-License-Identifier: Apache-2.0

/// How far a job has come. Given after each frame that was written.
public struct EnhancementProgress: Sendable {
  /// Frames written.
  public let frames: Int
  /// Frames there will be, as the container announces or its length suggests; nil if unknown.
  public let estimatedFrames: Int?
  /// End of the last frame on the video's timeline, in seconds from its beginning.
  public let position: Double
  /// Length of the video in seconds as the container announces it; nil if it does not.
  public let duration: Double?

  /// The part that is done, 0...1, from the timeline where its length is known; nil if nothing is known.
  public var fraction: Double? {
    if let duration, duration > 0 { return min(max(position / duration, 0), 1) }
    if let estimatedFrames, estimatedFrames > 0 { return min(Double(frames) / Double(estimatedFrames), 1) }
    return nil
  }

  /// A state of work.
  public init(frames: Int, estimatedFrames: Int?, position: Double, duration: Double?) {
    self.frames = frames
    self.estimatedFrames = estimatedFrames
    self.position = position
    self.duration = duration
  }
}

/// What a job came to.
public struct EnhancementSummary: Sendable {
  /// Frames written.
  public var frames = 0
  /// Frames of these that an earlier run had finished.
  public var resumedFrames = 0
  /// Frames that are equal to the one before where the source's are not.
  public var repeatedFrames = 0
  /// Frames of interpolation that came out wrong and were replaced by the nearest of the source.
  public var substitutedFrames = 0
  /// Extents of the output.
  public var width = 0
  /// See `width`.
  public var height = 0
  /// Layout of the output, such as `yuv420p`.
  public var format = ""
  /// FFmpeg's name of the encoder.
  public var encoder = ""
  /// What was not quite right, one line each.
  public var warnings: [String] = []
  /// The source's streams that are not in the output, one line each.
  public var leftOut: [String] = []
  /// Numbers of the frames (from 0) with which a scene was found to begin.
  public var sceneCuts: [Int] = []
  /// What the source looked like, where a network was chosen by that.
  public var source: SourceSurvey?
  /// Source frames, with their 8-bit copies, that were alive at once at most.
  public var peakFrames = 0
}
