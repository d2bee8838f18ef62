// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Synchronization
internal import VideoIO

/// Ends a trial that has enough frames by cancelling the other stages.
struct TrialEnd: Error {}

/// Result of a trial.
struct Trial: Sendable {
  var shape: VideoShape?
  /// Start of the trial in seconds of the source.
  var place = 0.0
  /// Layout and encoder of the output.
  var format = ""
  var encoder = ""
  /// Number of frames made.
  var frames = 0
  /// Seconds to the first frame, from the first to the last, and to flush the encoder.
  var startSeconds = 0.0
  var steadySeconds = 0.0
  var flushSeconds = 0.0
  /// Sizes of the packets; nil if frames are not encoded sequentially.
  var sizes: EncodedSizes?
}

/// Takes the first frames of a job, encodes them with the job's settings, and ends the job.
final class TrialStage: Sendable {
  private let path: String
  private let settings: EncoderSettings
  private let seconds: Double
  private let wanted: Int?
  private let begin: ContinuousClock.Instant
  private let state = Mutex(Trial())

  /// Fewest frames, made regardless of the time, and most frames.
  private static let least = 2
  /// Counted in frames of the source: made frames between them show the same part of it, which would be too short to
  /// stand for the rest.
  private static let most = 24

  /// - Parameters:
  ///   - seconds: time limit, after which no further frame is made.
  ///   - frames: the most frames; nil is 24 of the source.
  init(
    path: String, settings: EncoderSettings, seconds: Double, frames: Int?, begin: ContinuousClock.Instant
  ) {
    self.path = path
    self.settings = settings
    self.seconds = seconds
    wanted = frames
    self.begin = begin
  }

  var result: Trial { state.withLock { $0 } }

  func run(from input: FrameChannel) async throws -> StageReport {
    guard case .opened(let shape) = try await input.next() else {
      preconditionFailure("the output opens first")
    }
    var encoder = try TrialEncoder.open(path: path, settings: settings, shape: shape)
    var trial = Trial(shape: shape, format: encoder.format, encoder: encoder.name)
    let group = Self.group(of: shape)
    var (first, last) = (begin, begin)
    while let message = try await input.next() {
      guard case .frame(let frame) = message, let video = frame.video else { continue }
      last = ContinuousClock.now
      if trial.frames == 0 { first = last }
      try encoder.write(video)
      trial.frames += 1
      if isEnough(trial.frames, group: group) { break }
    }
    trial.startSeconds = (first - begin) / .seconds(1)
    trial.steadySeconds = (last - first) / .seconds(1)
    let flush = ContinuousClock.now
    trial.sizes = try encoder.finish()
    trial.flushSeconds = (ContinuousClock.now - flush) / .seconds(1)
    state.withLock { [trial] in $0 = trial }
    throw TrialEnd()
  }

  /// Returns the output frames per source frame: only interpolated ones take significant time.
  private static func group(of shape: VideoShape) -> Int {
    let source = shape.media.averageFrameRate
    guard source.isPositive, shape.frameRate.isPositive else { return 1 }
    return min(16, max(1, Int((shape.frameRate.doubleValue / source.doubleValue).rounded())))
  }

  private func isEnough(_ frames: Int, group: Int) -> Bool {
    if let wanted, frames >= wanted { return true }
    // Between the first and the last frame there are only whole groups.
    guard frames > Self.least - 1, (frames - 1) % group == 0 else { return false }
    return wanted == nil && frames >= Self.most * group
      || (ContinuousClock.now - begin) / .seconds(1) >= seconds
  }
}

/// Encodes frames and discards the packets.
private struct TrialEncoder: ~Copyable {
  /// Layout of the frames, and FFmpeg's name of the encoder.
  let format, name: String
  private var writer: VideoWriter?

  private init(format: String, name: String, writer: consuming VideoWriter?) {
    self.format = format
    self.name = name
    self.writer = writer
  }

  static func open(path: String, settings: EncoderSettings, shape: VideoShape) throws(VideoIOError)
    -> TrialEncoder
  {
    let media = shape.media
    let scratch = FileManager.default.temporaryDirectory
      .appendingPathComponent("videnhance-forecast-\(UUID().uuidString)").path
    do throws(VideoIOError) {
      let writer = try VideoWriter(
        path: path, like: media, width: shape.width, height: shape.height, format: media.format,
        timeBase: shape.timeBase, frameRate: shape.frameRate, settings: settings, pieces: nil,
        scratch: scratch)
      let (format, name) = (writer.encodedFormat, writer.encoderName)
      return TrialEncoder(format: format, name: name, writer: writer)
    } catch {
      // Pictures and raw frames have no size to measure.
      guard case .segmentsImpossible = error else { throw error }
      return TrialEncoder(format: media.format.name, name: settings.codec, writer: nil)
    }
  }

  mutating func write(_ frame: VideoFrame) throws {
    guard var writer = writer.take() else { return }
    try writer.write(frame)
    self.writer = consume writer
  }

  mutating func finish() throws -> EncodedSizes? {
    guard let writer = writer.take() else { return nil }
    return try writer.finishTrial()
  }
}
