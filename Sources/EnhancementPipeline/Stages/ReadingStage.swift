// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
package import VideoIO

/// Reads the file. The reader is created and destroyed in this stage.
struct ReadingStage: Sendable {
  let path: String
  let options: EnhancementJob.Options
  /// Whether to end a damaged file early and report that in `leftOut`; otherwise damage is an error.
  let rescues: Bool
  /// Observes the frames that are read.
  var watch: SourceWatch?

  /// Minimum number of frames for which a file is ended early rather than refused.
  private static let framesWorthKeeping = 250

  func run(to output: FrameChannel) async throws -> StageReport {
    // Networks are many times slower than decoders, and each decoder thread holds two more frames.
    var reader = try VideoReader(path: path, threads: max(1, options.threads / 4), options: readerOptions)
    var fields = FieldHandling(options.deinterlacing, of: reader.info, threads: options.threads)
    try await output.send(.opened(fields.shape))
    var frameCount = 0
    func send(_ frames: [VideoFrame]) async throws {
      for frame in frames {
        watch?.note(frame)
        try await output.send(.frame(StageFrame(frame)))
      }
      frameCount += frames.count
    }
    var (leftOut, warnings) = ([String](), [String]())
    var combs = CombDetector()
    reading: while let item = try options.profile.measure("decode", { try reader.next() }) {
      switch item {
      case .frame(let frame):
        if options.deinterlacing == nil, !frame.isInterlaced, !combs.isDecided {
          combs.push(frame)
          if combs.isCombed, !options.notice(CombDetector.warning) { warnings.append(CombDetector.warning) }
        }
        let frames: [VideoFrame]
        do {
          frames = try fields.push(frame, profile: options.profile)
        } catch let error as PipelineError {
          // Do not discard hours of work because a late frame is interlaced.
          guard case .interlaced = error, rescues, frameCount >= Self.framesWorthKeeping else { throw error }
          leftOut.append("what follows, as \(error); --deinterlace takes all of it")
          break reading
        }
        try await send(frames)
      case .packet(let packet): try await output.send(.packet(packet))
      }
    }
    try await send(fields.finish())
    try await output.end(frames: frameCount)
    return .reading(warnings: warnings + reader.warnings, leftOut: leftOut + reader.leftOut)
  }

  private var readerOptions: VideoReader.Options { options.reading(rescues: rescues) }
}

extension EnhancementJob.Options {
  /// Returns the options of the reader.
  /// - Parameter rescues: whether to end a damaged file early rather than throw.
  package func reading(rescues: Bool) -> VideoReader.Options {
    var result = VideoReader.Options()
    result.start = start
    result.length = length
    result.stream = stream
    result.exportsQuantizers = true
    result.allowsPlaylists = allowsPlaylists
    result.ignoresDolbyVision = ignoresDolbyVision
    result.toleratesEarlyEnd = rescues
    return result
  }
}

extension EnhancementJob.Options {
  /// Reports something to the user before the work is done.
  /// - Returns: whether there is a handler.
  func notice(_ text: String) -> Bool {
    onNotice?(text)
    return onNotice != nil
  }
}

/// The stage between decoder and first step: a deinterlacer, or only a check that frames are progressive.
struct FieldHandling: ~Copyable {
  /// The shape of the output frames.
  let shape: VideoShape

  private let mode: Deinterlacing?
  private let media: MediaInfo
  private let threads: Int
  private let refusesFields: Bool
  private let model: VideoFrame?
  /// Created for the first frame, since some properties of the file are unreliable until then.
  private var deinterlacer: Deinterlacer?

  /// - Parameters:
  ///   - model: the frame to create the deinterlacer for; nil uses the first one pushed.
  ///   - refusesFields: whether interlaced frames are an error without a deinterlacer.
  init(
    _ mode: Deinterlacing?, of media: MediaInfo, threads: Int, like model: VideoFrame? = nil,
    refusesFields: Bool = true
  ) {
    self.mode = mode
    self.media = media
    self.threads = threads
    self.model = model
    self.refusesFields = refusesFields
    shape = mode == .fields ? VideoShape(media).withFieldsAsFrames : VideoShape(media)
  }

  /// Adds a frame; returns the completed frames.
  /// - Throws: `PipelineError.interlaced` for an interlaced frame without a deinterlacer; `VideoIOError`.
  mutating func push(_ frame: VideoFrame, profile: WorkProfile?) throws -> [VideoFrame] {
    guard let mode else {
      if frame.isInterlaced, refusesFields {
        let ticks = Double(frame.presentationTimestamp - media.startTime)
        throw PipelineError.interlaced(path: media.path, seconds: ticks * media.timeBase.doubleValue)
      }
      return [frame]
    }
    var deinterlacer =
      try self.deinterlacer.take()
      ?? Deinterlacer(mode, like: model ?? frame, timeBase: media.timeBase, threads: threads)
    let frames = try profile.measure("deinterlace") { try deinterlacer.push(frame) }
    self.deinterlacer = consume deinterlacer
    return frames
  }

  /// Ends the stream; returns the remaining frames.
  mutating func finish() throws -> [VideoFrame] {
    guard var deinterlacer = deinterlacer.take() else { return [] }
    return try deinterlacer.finish()
  }
}
