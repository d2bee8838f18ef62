// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import EnhancementPipeline
public import Foundation
internal import VideoIO

/// Steps that are applied to videos or pictures, in order and in one pass.
///
///     let enhancement = try Enhancement([.denoising(), .superResolution(.x2)])
///     let summary = try await enhancement.run("in.mp4", to: "out.mp4")
///
/// A value can be used any number of times, also at the same time.
public struct Enhancement: Sendable {
  /// What is applied.
  public let steps: [Step]
  /// How the work is done.
  public let options: Options

  private let pipeline: [EnhancementStep]

  /// Creates an enhancement. No model is read yet.
  /// - Throws: `UsageError.noSteps`.
  public init(_ steps: [Step], options: Options = Options()) throws(UsageError) {
    guard !steps.isEmpty else { throw .noSteps }
    self.steps = steps
    self.options = options
    pipeline = steps.map { $0.resolved(options.models) }
  }

  /// Enhances a file.
  ///
  /// Sound, subtitles, tags, chapters and times are kept. The output appears under its name when it is complete; work
  /// that fails or is cancelled leaves none.
  /// - Parameters:
  ///   - input: the file to read.
  ///   - output: the file to write.
  ///   - encoding: how the output is written.
  ///   - progress: called after each written frame.
  /// - Throws: a `VidenhanceError`, or `CancellationError`.
  public func run(
    _ input: URL, to output: URL, encoding: Encoding = Encoding(),
    progress: @escaping @Sendable (Progress) -> Void = { _ in }
  ) async throws -> Summary {
    try await run(
      input.path(percentEncoded: false), to: output.path(percentEncoded: false), encoding: encoding,
      progress: progress)
  }

  /// Enhances a file given by its path; `-` is standard input or output.
  ///
  /// Like `run(_:to:encoding:progress:)` for URLs.
  public func run(
    _ input: String, to output: String, encoding: Encoding = Encoding(),
    progress: @escaping @Sendable (Progress) -> Void = { _ in }
  ) async throws -> Summary {
    let job = EnhancementJob(
      input: input, output: output, encoder: encoding.settings, options: options.pipeline(encoding),
      steps: pipeline)
    return Summary(try await job.run { progress(Progress($0)) })
  }

  /// The enhanced pictures of a file, one after another, without an output file.
  public func pictures(of input: URL) -> Pictures { pictures(of: input.path(percentEncoded: false)) }

  /// The enhanced pictures of the file at a path.
  public func pictures(of path: String) -> Pictures {
    Pictures(EnhancedFrames(of: path, steps: pipeline, options: options.pipeline()))
  }

  /// The enhanced pictures of other pictures, which must have one size and layout and come in order of time.
  ///
  /// Times are given in ticks of the first picture's timescale, or of a finer one after interpolation.
  /// - Throws: while iterating also what `pictures` throws, `UsageError.pictureChanges` and
  ///   `UsageError.timesNotIncreasing`.
  public func pictures<Source: AsyncSequence & Sendable>(from pictures: Source) -> Pictures
  where Source.Element == VideoPicture {
    Pictures(
      EnhancedFrames(
        from: PictureSupply(pictures), steps: pipeline, options: options.pipeline()))
  }
}

extension Enhancement {
  /// Choices that hold for all uses of an enhancement.
  public struct Options: Sendable {
    /// Threads of the networks; nil is one per core that this process may use.
    public var threads: Int?
    /// Whether windows of frames end where a scene does.
    public var findsSceneCuts = true
    /// Where the shipped models are.
    public var models = ModelLocation.besideProgram
    /// What is done with interlaced files.
    public var interlacing = Interlacing.refused
    /// The part of a file to enhance: how far behind its beginning, and how much of it; nil is all.
    public var start, length: Duration?

    /// Default choices.
    public init() {}

    func pipeline(_ encoding: Encoding? = nil) -> EnhancementJob.Options {
      var result = EnhancementJob.Options(threads: threads)
      result.findsSceneCuts = findsSceneCuts
      result.start = start
      result.length = length
      result.deinterlacing =
        switch interlacing {
        case .refused: nil
        case .frames: .frames
        case .fields: .fields
        }
      if let encoding {
        result.overwrites = encoding.overwrites
        if encoding.resumes {
          result.segments = EnhancementJob.Segments(resumes: true, version: PackageVersion.current)
        }
      }
      return result
    }
  }

  /// What is done with interlaced files.
  public enum Interlacing: Sendable, Hashable {
    /// They are an error.
    case refused
    /// Each frame is deinterlaced.
    case frames
    /// Each field becomes a frame.
    case fields
  }

  /// How an output file is written.
  public struct Encoding: Sendable, Hashable {
    /// FFmpeg's name of the encoder, such as `libx265`, or of a codec, such as `hevc`.
    public var codec = "libx264"
    /// Constant quality, lower is better; nil is the default for the encoder (16 for libx264).
    public var quality: Double?
    /// The encoder's preset; nil is `medium` where the encoder has it.
    public var preset: String?
    /// Further options of the encoder by FFmpeg's names.
    public var options: [String: String] = [:]
    /// FFmpeg's name of the container; nil derives it from the file's name.
    public var container: String?
    /// Layout to encode; nil keeps the source's.
    public var layout: PictureLayout?
    /// Whether an existing output is replaced.
    public var overwrites = false
    /// Whether finished parts are kept in a folder beside the output, so that a later call with equal choices continues
    /// work that was cut short. The folder is removed when the output is complete.
    public var resumes = false

    /// Default choices: H.264 near transparency.
    public init() {}

    var settings: EncoderSettings {
      EncoderSettings(
        codec: codec, crf: quality, preset: preset, options: options, container: container,
        pixelFormat: layout?.description)
    }
  }

  /// The state of work on a file, after a frame was written.
  public struct Progress: Sendable {
    /// Frames written.
    public let frames: Int
    /// Frames to be expected; nil if unknown.
    public let estimatedFrames: Int?
    /// The part that is done, 0...1; nil if unknown.
    public let fraction: Double?

    init(_ progress: EnhancementProgress) {
      frames = progress.frames
      estimatedFrames = progress.estimatedFrames
      fraction = progress.fraction
    }
  }

  /// Results of work on a file.
  public struct Summary: Sendable {
    /// Frames written.
    public let frames: Int
    /// Columns and rows of the output.
    public let width, height: Int
    /// FFmpeg's name of the encoder.
    public let encoder: String
    /// What was not quite right with the source or the output.
    public let warnings: [Remark]
    /// Parts of the source that the output lacks.
    public let leftOut: [Remark]

    init(_ summary: EnhancementSummary) {
      frames = summary.frames
      width = summary.width
      height = summary.height
      encoder = summary.encoder
      warnings = summary.warnings.map(Remark.init)
      leftOut = summary.leftOut.map(Remark.init)
    }
  }

  /// Something about a file that its owner may want to know.
  public struct Remark: Sendable, Hashable, CustomStringConvertible {
    /// What a remark is about.
    public enum Kind: Sendable, Hashable {
      /// Samples are encoded in another layout.
      case layout
      /// The picture is smaller than it should be.
      case size
      /// The picture's alpha channel.
      case transparency
      /// The shape or colour of the picture changes within the file.
      case change
      /// Timestamps.
      case times
      /// Damaged parts of the source.
      case damage
      /// The rest of the source, from some place on.
      case rest
      /// Frames that are repeated, replaced or dropped.
      case frames
      /// Interlaced frames that are flagged as progressive.
      case fields
      /// The stream of this index in the source.
      case stream(Int)
      /// Tags, chapters and other metadata.
      case metadata
      /// The source was changed by another program.
      case source
      /// The file system, or what an earlier run left in it.
      case storage
    }

    /// What it is about.
    public let kind: Kind
    /// One lower-case line.
    public let description: String

    init(_ remark: MediaRemark) {
      description = remark.description
      kind =
        switch remark.kind {
        case .layout: .layout
        case .size: .size
        case .transparency: .transparency
        case .change: .change
        case .times: .times
        case .damage: .damage
        case .rest: .rest
        case .frames: .frames
        case .fields: .fields
        case .stream(let index): .stream(index)
        case .metadata: .metadata
        case .source: .source
        case .storage: .storage
        }
    }
  }
}
