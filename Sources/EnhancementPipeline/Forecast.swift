// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// What a job will come to, by enhancing and encoding a few of its frames.
package struct Forecast: Sendable, Equatable {
  /// Frames of the output; nil where the source does not tell its length.
  package var frames: Int?
  /// Extents and layout of the output.
  package var width, height: Int
  package var format: String
  /// FFmpeg's name of the encoder.
  package var encoder: String
  /// Of the network.
  package var threads: Int
  /// Wall time until the first frame is there, and for each frame: network and encoder together.
  package var startSeconds, secondsPerFrame: Double
  /// The most memory that the measurement took; an encoder that looks further ahead takes more. nil where the system does not
  /// tell.
  package var memoryBytes: Int?
  /// Expected bytes of the video alone; nil where the frames are not encoded one after the other, or are not counted.
  package var videoBytes: Int?
  /// The same if noise is removed first; nil where that was not tried.
  package var denoisedBytes: Int?
  /// Noise of the source in 8-bit levels.
  package var noise: Double?
  /// Frames that were made for this, and the seconds that took.
  package var measuredFrames: Int
  package var measuringSeconds: Double

  /// Seconds of all the work; nil where frames are not counted.
  package var seconds: Double? { frames.map { startSeconds + secondsPerFrame * Double($0) } }
}

extension EnhancementJob {
  /// How a forecast is made.
  package struct ForecastOptions: Sendable {
    /// Frames of the output if they were counted before; nil goes by what the file says.
    package var frames: Int?
    /// Scenes of the source if they were counted before.
    package var scenes: Int?
    /// Seconds after which measuring ends. Two frames at each place are made however long they take.
    package var seconds = 6.0
    /// Steps that do the same with noise removed first, tried where the source is noisy; nil tries nothing.
    package var denoising: [EnhancementStep]?

    package init() {}

    /// Of two frames at each place where they take long.
    package static var brief: ForecastOptions {
      var result = ForecastOptions()
      result.seconds = 2
      return result
    }
  }

  /// From this noise on, in 8-bit levels, it is tried whether removing it makes the file smaller.
  package static let forecastNoise: Float = 3
  /// Distance of key frames that encoders put where nothing else is said (x264, x265).
  private static let keyDistance = 250

  /// Enhances and encodes a few frames at up to three places of the source.
  ///
  /// Nothing is written but the beginning of a container in the folder for temporary files, which is removed.
  /// - Throws: what `run` throws.
  package func forecast(_ choices: ForecastOptions = ForecastOptions()) async throws -> Forecast {
    let begin = ContinuousClock.now
    let (job, _) = try surveyed()
    let info = try VideoReader(
      path: input, threads: max(1, options.threads / 4), options: options.reading(rescues: true)
    ).info
    let places = Self.places(in: info)
    let share = choices.seconds / Double(places.count)
    var trials: [Trial] = []
    for place in places {
      do {
        let trial = try await job.trial(at: place, seconds: share)
        if trial.frames > 0 { trials.append(trial) }
      } catch {
        // The length that a header tells is a hint: later places may not be there.
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
    // A film of one frame has no interval.
    let each = intervals > 0 ? steady / Double(intervals) : first.startSeconds
    let frames = choices.frames ?? Self.frames(of: shape, info: info)
    let sizes = trials.map(\.sizes).allSatisfy { $0 != nil } ? trials.compactMap(\.sizes) : []
    var result = Forecast(
      frames: frames, width: shape.width, height: shape.height, format: first.format, encoder: first.encoder,
      threads: options.threads, startSeconds: first.startSeconds,
      secondsPerFrame: each + flushing / Double(made), memoryBytes: ProcessMemory.peakBytes,
      videoBytes: frames.flatMap { bytes(sizes, frames: $0, scenes: choices.scenes) }, measuredFrames: made,
      measuringSeconds: 0)
    try await addNoise(to: &result, choices, trials: trials)
    result.measuringSeconds = (ContinuousClock.now - begin) / .seconds(1)
    return result
  }

  /// Samples of a frame from which on work is costly: 4K.
  package static let largeFrame = 3840 * 2160

  /// Whether frames come out at 4K or larger, as far as that is known before anything is read but the first frame.
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

  /// Times of the source, in seconds from where the work begins, at which frames are made.
  private static func places(in info: MediaInfo) -> [Double] {
    guard let duration = info.duration, duration > 6, !info.isStillImage else { return [0] }
    return [0.1, 0.45, 0.8].map { $0 * duration }
  }

  private static func frames(of shape: VideoShape, info: MediaInfo) -> Int? {
    guard let count = info.estimatedFrameCount else { return nil }
    guard info.averageFrameRate.isPositive, shape.frameRate.isPositive else { return count }
    return Int((Double(count) * shape.frameRate.doubleValue / info.averageFrameRate.doubleValue).rounded())
  }

  /// Bytes of so many frames. Each trial begins with a key frame, so those are weighed by how often they come.
  private func bytes(_ trials: [EncodedSizes], frames: Int, scenes: Int?) -> Int? {
    let sum = trials.reduce(EncodedSizes(), +)
    guard sum.packets > 0, sum.keyPackets > 0 else { return nil }
    let keySize = Double(sum.keyBytes) / Double(sum.keyPackets)
    let others = sum.packets - sum.keyPackets
    guard others > 0 else { return Int(keySize * Double(frames)) }
    let otherSize = Double(sum.bytes - sum.keyBytes) / Double(others)
    // Encoders that put further key frames into a trial put as many everywhere.
    let further = Double(sum.keyPackets - trials.count) / Double(max(1, sum.packets - trials.count))
    let distance =
      options.segments?.frames ?? encoder.options["g"].flatMap { Int($0) } ?? Self.keyDistance
    let regular = (Double(frames) / Double(max(1, distance))).rounded(.up)
    let keys = min(Double(frames), max(regular, Double(scenes ?? 0)) + further * Double(frames))
    return Int(keys * keySize + (Double(frames) - keys) * otherSize)
  }

  /// Measures the noise, and what removing it makes of the bytes.
  private func addNoise(
    to forecast: inout Forecast, _ choices: ForecastOptions, trials: [Trial]
  ) async throws {
    guard let look = try? SourceLook(path: input, options: options, threads: options.threads) else { return }
    forecast.noise = Double(look.noise)
    guard look.noise >= Self.forecastNoise, let steps = choices.denoising, let whole = forecast.videoBytes
    else { return }
    let middle = trials[trials.count / 2]
    guard let before = middle.sizes, before.bytes > 0 else { return }
    let job = try EnhancementJob(
      input: input, output: output, encoder: encoder, options: options, steps: steps
    ).surveyed().job
    let trial = try await job.trial(at: middle.place, seconds: 0, frames: middle.frames)
    guard let after = trial.sizes, after.packets == before.packets else { return }
    forecast.denoisedBytes = Int(Double(whole) * Double(after.bytes) / Double(before.bytes))
    forecast.measuredFrames += trial.frames
  }

  /// Makes frames from a place on, until the time is over.
  /// - Parameter frames: how many are made; nil goes by the time.
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
