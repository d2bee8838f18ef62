// SPDX-License-Identifier: Apache-2.0

/// Errors between reading and writing.
package enum PipelineError: Error, Equatable, CustomStringConvertible {
  /// A frame is interlaced.
  case interlaced(path: String, seconds: Double)
  /// The file contains no frames.
  case noFrames(path: String)
  /// An enhanced frame is flat although the source is not, or far darker or brighter than the source.
  case implausibleOutput(path: String, frame: Int, detail: String)
  /// The network's residual has another shape than its architecture requires.
  case badResidual(expected: String, found: String)
  /// The source's timestamps are too large, or too far apart, for interpolation.
  case timesTooLarge
  /// A frame is needed whose picture was skipped because of an earlier run.
  case missingFrame(Int)
  /// A stage received another number of frames than the previous stage sent.
  case framesLost(path: String, taken: Int, given: Int)
  /// Pictures to be compared differ in extents.
  case extentsDiffer(found: String, expected: String)
  /// The source's frames differ from those of the plan.
  case otherFrames(path: String, detail: String)
  /// Frames would not become larger.
  case notLarger(path: String, size: String, goal: String)
  /// Frames would exceed the size that encoders accept.
  case tooLarge(path: String, size: String)
  /// No 32-bit time base represents both the source's timestamps and the new frames'.
  case timeBaseTooFine(path: String, timeBase: String)

  /// One lower-case line.
  package var description: String {
    switch self {
    case .interlaced(let path, let seconds): "\(path) is interlaced (detected at \(Self.text(seconds)))"
    case .noFrames(let path): "no frames in \(path)"
    case .implausibleOutput(let path, let frame, let detail):
      "frame \(frame) of \(path) came out wrong: \(detail)"
    case .badResidual(let expected, let found): "the network returned \(found) instead of \(expected)"
    case .timesTooLarge:
      "the timestamps of the source are too large or too far apart to place frames between them"
    case .missingFrame(let index): "frame \(index) is needed again, which contradicts the unfinished work"
    case .framesLost(let path, let taken, let given): "\(taken) of \(given) frames of \(path) came through"
    case .extentsDiffer(let found, let expected):
      "pictures of \(found) cannot be compared with those of \(expected)"
    case .otherFrames(let path, let detail): "\(path) is read differently than planned: \(detail)"
    case .notLarger(let path, let size, let goal):
      "\(path) is \(size) already, which \(goal) would not enlarge"
    case .tooLarge(let path, let size):
      "\(path) would become \(size), which is more than \(SizeGoal.most) samples across"
    case .timeBaseTooFine(let path, let timeBase):
      "\(path) counts time in ticks of \(timeBase) s, too fine to place further frames in between exactly"
    }
  }

  /// A remedy in one lower-case line; nil if there is none.
  package var hint: String? {
    switch self {
    case .interlaced: "deinterlace it, with bwdif for example"
    case .implausibleOutput: "the model does not fit this video, or its file is damaged"
    case .timeBaseTooFine:
      "copy it to another container first, for example with ffmpeg -i in.mkv -c copy out.mp4"
    case .notLarger: "choose a larger size, or a task that keeps it, such as --task denoise"
    case .tooLarge: "choose a smaller size"
    case .missingFrame: "delete the folder of its segments"
    case .framesLost: "this is a fault of the program, not of the video: please report it"
    case .otherFrames:
      "plan and all shards need the same file and the same build of FFmpeg; make a new plan if it changed"
    case .noFrames, .badResidual, .timesTooLarge, .extentsDiffer: nil
    }
  }

  /// Throws `framesLost` if a stage received another number of frames than the previous stage sent.
  static func expect(_ taken: Int, of given: Int, path: String) throws(PipelineError) {
    if taken != given { throw .framesLost(path: path, taken: taken, given: given) }
  }

  private static func text(_ seconds: Double) -> String {
    let hundredths = Int((min(max(seconds, 0), 1e9) * 100).rounded())
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) s"
  }
}
