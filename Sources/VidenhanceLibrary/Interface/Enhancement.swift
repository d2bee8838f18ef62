// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import EnhancementPipeline
public import Foundation
internal import VideoIO

/// Steps applied to videos or pictures, in order and in one pass.
///
///     let enhancement = try Enhancement([.denoising(), .superResolution(.x2)])
///     let summary = try await enhancement.run("in.mp4", to: "out.mp4")
///
/// A value can be used repeatedly and concurrently.
public struct Enhancement: Sendable {
  /// Steps, in order.
  public let steps: [Step]
  /// Options for all runs.
  public let options: Options

  private let pipeline: [EnhancementStep]

  /// Creates an enhancement without loading any model.
  /// - Throws: `UsageError.noSteps`.
  public init(_ steps: [Step], options: Options = Options()) throws(UsageError) {
    guard !steps.isEmpty else { throw .noSteps }
    self.steps = steps
    self.options = options
    pipeline = steps.map { $0.resolved(options.models) }
  }

  /// Enhances a file.
  ///
  /// Audio, subtitles, tags, chapters and timestamps are kept. The output appears under its name when it is
  /// complete; failed or cancelled work leaves no output.
  /// - Parameters:
  ///   - input: the file to read.
  ///   - output: the file to write.
  ///   - encoding: settings of the output.
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
  /// Equivalent to `run(_:to:encoding:progress:)` with URLs.
  public func run(
    _ input: String, to output: String, encoding: Encoding = Encoding(),
    progress: @escaping @Sendable (Progress) -> Void = { _ in }
  ) async throws -> Summary {
    let job = EnhancementJob(
      input: input, output: output, encoder: encoding.settings, options: options.pipeline(encoding),
      steps: pipeline)
    return Summary(try await job.run { progress(Progress($0)) })
  }

  /// Returns the enhanced pictures of a file, one after another, without an output file.
  public func pictures(of input: URL) -> Pictures { pictures(of: input.path(percentEncoded: false)) }

  /// Returns the enhanced pictures of the file at a path.
  public func pictures(of path: String) -> Pictures {
    Pictures(EnhancedFrames(of: path, steps: pipeline, options: options.pipeline()))
  }

  /// Returns the enhanced pictures of a sequence of pictures, which must have equal sizes and layouts and
  /// increasing times.
  ///
  /// Times are in ticks of the first picture's timescale, or of a finer one after interpolation.
  /// - Throws: while iterating, also the errors of `pictures`, `UsageError.pictureChanges` and
  ///   `UsageError.timesNotIncreasing`.
  public func pictures<Source: AsyncSequence & Sendable>(from pictures: Source) -> Pictures
  where Source.Element == VideoPicture {
    Pictures(
      EnhancedFrames(
        from: PictureSupply(pictures), steps: pipeline, options: options.pipeline()))
  }
}

extension Enhancement {
  /// Options for all runs of an enhancement.
  public struct Options: Sendable {
    /// Number of threads of the networks; nil uses one per core available to this process.
    public var threads: Int?
    /// Whether windows of frames end at scene cuts.
    public var findsSceneCuts = true
    /// Location of the shipped models.
    public var models = ModelLocation.besideProgram
    /// Handling of interlaced files.
    public var interlacing = Interlacing.refused
    /// The part of a file to enhance: its start after the beginning of the file, and its duration; nil
    /// selects everything.
    public var start, length: Duration?

    /// Creates default options.
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

  /// Handling of interlaced files.
  public enum Interlacing: Sendable, Hashable {
    /// Throws an error.
    case refused
    /// Deinterlaces each frame.
    case frames
    /// Makes a frame of each field.
    case fields
  }

  /// Settings of an output file.
  public struct Encoding: Sendable, Hashable {
    /// FFmpeg's name of the encoder, such as `libx265`, or of a codec, such as `hevc`.
    public var codec = "libx264"
    /// Constant quality, lower is better; nil uses the default of the encoder (16 for libx264).
    public var quality: Double?
    /// The encoder's preset; nil uses `medium` if the encoder supports it.
    public var preset: String?
    /// Further encoder options by FFmpeg's names.
    public var options: [String: String] = [:]
    /// FFmpeg's name of the container; nil derives it from the file name.
    public var container: String?
    /// Layout of the output; nil keeps the source's.
    public var layout: PictureLayout?
    /// Whether to replace an existing output.
    public var overwrites = false
    /// Whether to keep finished parts in a folder beside the output, from which a later call with equal
    /// settings resumes interrupted work. The folder is removed when the output is complete.
    public var resumes = false

    /// Creates default settings: H.264, visually near lossless.
    public init() {}

    var settings: EncoderSettings {
      EncoderSettings(
        codec: codec, crf: quality, preset: preset, options: options, container: container,
        pixelFormat: layout?.description)
    }
  }

  /// Progress of a file, after each written frame.
  public struct Progress: Sendable {
    /// Number of frames written.
    public let frames: Int
    /// Expected number of frames; nil if unknown.
    public let estimatedFrames: Int?
    /// Part done, 0...1; nil if unknown.
    public let fraction: Double?

    init(_ progress: EnhancementProgress) {
      frames = progress.frames
      estimatedFrames = progress.estimatedFrames
      fraction = progress.fraction
    }
  }

  /// Result of enhancing a file.
  public struct Summary: Sendable {
    /// Number of frames written.
    public let frames: Int
    /// Width and height of the output in pixels.
    public let width, height: Int
    /// FFmpeg's name of the encoder.
    public let encoder: String
    /// Warnings about the source or the output.
    public let warnings: [Remark]
    /// Parts of the source missing from the output.
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

  /// A warning about a file, or a part of it that is missing from the output.
  public struct Remark: Sendable, Hashable, CustomStringConvertible {
    /// Subject of a remark.
    public enum Kind: Sendable, Hashable {
      /// The output has another layout.
      case layout
      /// The picture is smaller than requested.
      case size
      /// The picture's alpha channel.
      case transparency
      /// The picture's size, aspect ratio or colours change within the file.
      case change
      /// Timestamps.
      case times
      /// Damaged parts of the source.
      case damage
      /// The remainder of the source after some point.
      case rest
      /// Repeated, replaced or dropped frames.
      case frames
      /// Interlaced frames flagged as progressive.
      case fields
      /// The stream of this index in the source.
      case stream(Int)
      /// Tags, chapters and other metadata.
      case metadata
      /// The source was modified by another program while being read.
      case source
      /// The file system, or files of an earlier run.
      case storage
    }

    /// Subject of the remark.
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
