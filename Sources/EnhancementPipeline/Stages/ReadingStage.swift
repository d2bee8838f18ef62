// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import VideoIO

/// Reads the file. The reader lives and dies in here.
struct ReadingStage: Sendable {
  let path: String
  let options: EnhancementJob.Options
  /// Whether what can be saved of a file is saved, and `leftOut` says that it is not all; if not, that is an error.
  let rescues: Bool
  /// Who sees the frames that are read; nil for nobody.
  var watch: SourceWatch?

  /// Frames from which on a file that cannot be worked on any further is ended there, and not refused.
  private static let framesWorthKeeping = 250

  func run(to output: FrameChannel) async throws -> StageReport {
    // Networks take many times longer for a frame than decoders do; a thread of these holds two frames more.
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
    var leftOut: [MediaRemark] = []
    reading: while let item = try options.profile.measure("decode", { try reader.next() }) {
      switch item {
      case .frame(let frame):
        let frames: [VideoFrame]
        do {
          frames = try fields.push(frame, profile: options.profile)
        } catch let error as PipelineError {
          // Fields that begin after hours of work are no reason to throw it away.
          guard case .interlaced = error, rescues, frameCount >= Self.framesWorthKeeping else { throw error }
          leftOut.append(MediaRemark(.rest, "what follows, as \(error)", remedy: .deinterlacing))
          break reading
        }
        try await send(frames)
      case .packet(let packet): try await output.send(.packet(packet))
      }
    }
    try await send(fields.finish())
    try await output.end(frames: frameCount)
    return .reading(warnings: reader.warnings, leftOut: leftOut + reader.leftOut)
  }

  private var readerOptions: VideoReader.Options { options.reading(rescues: rescues) }
}

extension EnhancementJob.Options {
  /// How the file is read.
  /// - Parameter rescues: whether what can be saved of a damaged file is saved.
  func reading(rescues: Bool) -> VideoReader.Options {
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

/// What stands between the decoder and the first step: a deinterlacer, or nothing but a look at each frame.
struct FieldHandling: ~Copyable {
  /// The frames that come out.
  let shape: VideoShape

  private let mode: Deinterlacing?
  private let media: MediaInfo
  private let threads: Int
  private let model: VideoFrame?
  /// Made for the first frame, which decides how much of what the file says is believed.
  private var deinterlacer: Deinterlacer?

  /// - Parameter model: the frame that decides instead of the first one that comes; nil lets that one.
  init(_ mode: Deinterlacing?, of media: MediaInfo, threads: Int, like model: VideoFrame? = nil) {
    self.mode = mode
    self.media = media
    self.threads = threads
    self.model = model
    shape = mode == .fields ? VideoShape(media).withFieldsAsFrames : VideoShape(media)
  }

  /// Takes a frame; returns those that are ready.
  /// - Throws: `PipelineError.interlaced` where fields were not expected; `VideoIOError`.
  mutating func push(_ frame: VideoFrame, profile: WorkProfile?) throws -> [VideoFrame] {
    guard let mode else {
      if frame.isInterlaced {
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

  /// Ends the stream; returns what was held back.
  mutating func finish() throws -> [VideoFrame] {
    guard var deinterlacer = deinterlacer.take() else { return [] }
    return try deinterlacer.finish()
  }
}
