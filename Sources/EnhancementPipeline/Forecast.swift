// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// Estimated cost of a job, measured by enhancing and encoding a few of its frames.
package struct Forecast: Sendable, Equatable {
  /// Number of output frames; nil if the source does not give its length.
  package var frames: Int?
  /// Size and layout of the output.
  package var width, height: Int
  package var format: String
  /// FFmpeg's name of the encoder.
  package var encoder: String
  /// Number of threads of the network.
  package var threads: Int
  /// Wall time in seconds until the first frame, and per frame, for network and encoder together.
  package var startSeconds, secondsPerFrame: Double
  /// Expected peak memory in bytes: the peak of the measurement, plus the pictures that the encoder will buffer beyond those of
  /// a trial. nil if the system does not report memory.
  package var memoryBytes: Int?
  /// Expected bytes of the video stream; nil if frames are not encoded sequentially, or their number is
  /// unknown.
  package var videoBytes: Int?
  /// Expected bytes if noise is removed first; nil if that was not tried.
  package var denoisedBytes: Int?
  /// Noise of the source in 8-bit levels.
  package var noise: Double?
  /// Number of frames made for the forecast, and the seconds taken.
  package var measuredFrames: Int
  package var measuringSeconds: Double

  /// Seconds for the whole job; nil if the number of frames is unknown.
  package var seconds: Double? { frames.map { startSeconds + secondsPerFrame * Double($0) } }
}

extension EnhancementJob {
  /// Options of a forecast.
  package struct ForecastOptions: Sendable {
    /// Number of output frames, if counted before; nil uses the length given by the file.
    package var frames: Int?
    /// Number of scenes in the source, if counted before.
    package var scenes: Int?
    /// Time limit in seconds. Two frames are made at each place even beyond it.
    package var seconds = 6.0
    /// The same steps with noise removed first, tried if the source is noisy; nil disables the trial.
    package var denoising: [EnhancementStep]?

    package init() {}

    /// Options with a short time limit, enough for two frames at each place if frames are slow.
    package static var brief: ForecastOptions {
      var result = ForecastOptions()
      result.seconds = 2
      return result
    }
  }

  /// Noise in 8-bit levels from which denoising is tried to reduce the file's size.
  package static let forecastNoise: Float = 3
  /// Default distance of key frames of encoders such as x264 and x265.
  private static let keyDistance = 250

  /// Enhances and encodes a few frames at up to three places of the source.
  ///
  /// Writes nothing but the beginning of a container in the temporary folder, and removes it.
  /// - Throws: the errors of `run`.
  package func forecast(_ choices: ForecastOptions = ForecastOptions()) async throws -> Forecast {
    let begin = ContinuousClock.now
    let (job, _) = try surveyed()
    let info = try VideoReader(
      path: input, threads: max(1, options.threads / 4), options: options.reading(rescues: true)
    ).info
    let places = Self.places(in: info)
    let look = try? SourceLook(path: input, options: options, threads: options.threads)
    // Half of the time is for the trials with noise removed, if there are any.
    let triesDenoising = choices.denoising != nil && (look?.noise ?? 0) >= Self.forecastNoise
    let share = choices.seconds / Double(places.count) / (triesDenoising ? 2 : 1)
    var trials: [Trial] = []
    for place in places {
      do {
        let trial = try await job.trial(at: place, seconds: share)
        if trial.frames > 0 { trials.append(trial) }
      } catch {
        // The length in a header is a hint: later places may not exist.
        if Task.isCancelled || trials.isEmpty { throw error }
      }
    }
    guard let first = trials.first, let shape = first.shape else {
      throw PipelineError.noFrames(path: input)
    }
    let made = trials.reduce(0) { $0 + $1.frames }
    let intervals = trials.reduce(0) { $0 + max($1.frames - 1, 0) }
    let steady = trials.reduce(0) { $0 + $1.steadySeconds }
    let flushing = trials.reduce(0) { $0 + $1.flushSeconds }
    // A single frame has no interval.
    let each = intervals > 0 ? steady / Double(intervals) : first.startSeconds
    let frames = choices.frames ?? Self.frames(of: shape, info: info)
    let sizes = trials.map(\.sizes).allSatisfy { $0 != nil } ? trials.compactMap(\.sizes) : []
    var result = Forecast(
      frames: frames, width: shape.width, height: shape.height, format: first.format, encoder: first.encoder,
      threads: options.threads, startSeconds: first.startSeconds,
      secondsPerFrame: each + flushing / Double(made),
      memoryBytes: ProcessMemory.peakBytes.map { $0 + heldBytes(trials, shape: shape, frames: frames) },
      videoBytes: frames.flatMap { bytes(sizes, frames: $0, scenes: choices.scenes) }, measuredFrames: made,
      measuringSeconds: 0)
    result.noise = look.map { Double($0.noise) }
    if triesDenoising { try await addDenoising(to: &result, choices, trials: trials) }
    result.measuringSeconds = (ContinuousClock.now - begin) / .seconds(1)
    return result
  }

  /// Samples per frame from which a job is costly: 4K.
  package static let largeFrame = 3840 * 2160

  /// Whether output frames are 4K or larger, judged from the first frame alone.
  package var makesLargeFrames: Bool {
    guard input != "-",
      let info = try? VideoReader(path: input, threads: 1, options: options.reading(rescues: true)).info
    else { return false }
    var shape = VideoShape(info)
    for step in steps {
      if let goal = step.goal {
        guard let size = try? goal.size(of: shape) else { return false }
        shape.target = size
        shape = shape.resized
      } else {
        guard let scale = step.scale else { return false }
        (shape.width, shape.height) = (shape.width * scale, shape.height * scale)
      }
    }
    return shape.width * shape.height >= Self.largeFrame
  }

  /// Returns the places at which frames are made, in seconds after the start of the job's part of the source.
  private static func places(in info: MediaInfo) -> [Double] {
    guard let duration = info.duration, duration > 3, !info.isStillImage else { return [0] }
    return [0.1, 0.45, 0.8].map { $0 * duration }
  }

  private static func frames(of shape: VideoShape, info: MediaInfo) -> Int? {
    guard let count = info.estimatedFrameCount else { return nil }
    guard info.averageFrameRate.isPositive, shape.frameRate.isPositive else { return count }
    return Int((Double(count) * shape.frameRate.doubleValue / info.averageFrameRate.doubleValue).rounded())
  }

  /// Returns the bytes of a number of frames. Each trial begins with a key frame, so key frames are weighted
  /// by their frequency.
  private func bytes(_ trials: [EncodedSizes], frames: Int, scenes: Int?) -> Int? {
    let sum = trials.reduce(EncodedSizes(), +)
    guard sum.packets > 0, sum.keyPackets > 0 else { return nil }
    let keySize = Double(sum.keyBytes) / Double(sum.keyPackets)
    let others = sum.packets - sum.keyPackets
    guard others > 0 else { return Int(keySize * Double(frames)) }
    let otherSize = Double(sum.bytes - sum.keyBytes) / Double(others)
    // Encoders that insert further key frames in a trial do so throughout the file.
    let further = Double(sum.keyPackets - trials.count) / Double(max(1, sum.packets - trials.count))
    let distance =
      options.segments?.frames ?? encoder.options["g"].flatMap { Int($0) } ?? Self.keyDistance
    let regular = (Double(frames) / Double(max(1, distance))).rounded(.up)
    let keys = min(Double(frames), max(regular, Double(scenes ?? 0)) + further * Double(frames))
    return Int(keys * keySize + (Double(frames) - keys) * otherSize)
  }

  /// Returns the bytes of the pictures that the encoder will buffer in addition to those of the longest trial.
  private func heldBytes(_ trials: [Trial], shape: VideoShape, frames: Int?) -> Int {
    guard let longest = trials.max(by: { $0.frames < $1.frames }), longest.sizes != nil,
      let held = encoder.heldPictures(encoder: longest.encoder, width: shape.width, height: shape.height)
    else { return 0 }
    let more = max(0, min(held.count, frames ?? held.count) - longest.frames)
    let depth = shape.media.format.bitDepth > 8 ? 2.0 : 1
    return Int(Double(more * shape.width * shape.height) * held.bytesPerPixel * depth)
  }

  /// Measures the bytes after removing the noise, within half of the time limit.
  private func addDenoising(
    to forecast: inout Forecast, _ choices: ForecastOptions, trials: [Trial]
  ) async throws {
    guard let steps = choices.denoising, let whole = forecast.videoBytes else { return }
    var middle = trials[trials.count / 2]
    let job = try EnhancementJob(
      input: input, output: output, encoder: encoder, options: options, steps: steps
    ).surveyed().job
    let begin = ContinuousClock.now
    let trial = try await job.trial(at: middle.place, seconds: choices.seconds / 3, frames: middle.frames)
    forecast.measuredFrames += trial.frames
    if trial.frames < middle.frames {
      // Only equal numbers of frames compare: the first frame is a large one. Frames that keep the noise take less time.
      let taken = (ContinuousClock.now - begin) / .seconds(1)
      middle = try await surveyed().job.trial(
        at: middle.place, seconds: max(taken, choices.seconds / 3), frames: trial.frames)
      forecast.measuredFrames += middle.frames
    }
    guard let before = middle.sizes, let after = trial.sizes, before.bytes > 0,
      after.packets == before.packets
    else { return }
    forecast.denoisedBytes = Int(Double(whole) * Double(after.bytes) / Double(before.bytes))
  }

  /// Makes frames from a place until the time limit.
  /// - Parameter frames: the most frames; nil is those of about a second of the source.
  private func trial(at place: Double, seconds: Double, frames: Int? = nil) async throws -> Trial {
    var options = options
    options.segments = nil
    options.profile = nil
    let lead = Duration.microseconds(Int64(place * 1e6))
    if place > 0 {
      options.start = (options.start ?? .zero) + lead
      options.length = options.length.map { max(.milliseconds(1), $0 - lead) }
    }
    let job = EnhancementJob(
      input: input, output: output, encoder: encoder, options: options, steps: steps)
    let enhanced = FrameChannel.between(frames: Self.outputCapacity)
    let stage = TrialStage(
      path: output, settings: encoder, seconds: seconds, frames: frames, begin: ContinuousClock.now)
    do {
      _ = try await job.enhance(to: enhanced, last: { try await stage.run(from: enhanced) })
    } catch is TrialEnd {
    }
    var result = stage.result
    result.place = place
    return result
  }
}
