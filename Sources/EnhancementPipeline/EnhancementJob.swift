// SPDX-License-Identifier: Apache-2.0
public import EnhancementModel
internal import Foundation
public import VideoIO

/// Makes a network for frames of `width` x `height` (even) that works on `threads` threads.
public typealias NetworkFactory =
  @Sendable (_ width: Int, _ height: Int, _ threads: Int) throws -> any WindowNetwork

/// Enhances one video file.
///
/// Four tasks in a row, with bounded channels between them:
///
///     reader --> windows --> enhance --> writer
///
/// Memory is bounded whatever the length of the video. With T frames in a window and channels that hold R = 2
/// frames after the reader, W = 2 windows and O = 2 enhanced frames (and fewer than 48 packets each), at most
///
///     R + 2 source frames before they are prepared, being read or handed over
///     T + W + 2 source frames with their 8-bit copies (windows share frames: each one queued adds one)
///     O + 2 output frames
///
/// are alive, beside what decoder, network and encoder hold themselves. See `preparedFrameLimit(window:)`.
public struct EnhancementJob: Sendable {
  /// What else can be chosen.
  public struct Options: Sendable {
    /// Threads of decoder, network and encoder each.
    public var threads: Int
    /// Whether an existing output is replaced.
    public var overwrites = false
    /// Whether windows end where a scene does.
    public var findsSceneCuts = true

    /// Choices for `threads` threads; nil is for as many as there are cores.
    public init(threads: Int? = nil) {
      self.threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    }
  }

  /// The file to read.
  public let input: String
  /// The file to write.
  public let output: String
  /// How the video is encoded.
  public let encoder: EncoderSettings
  /// Further choices.
  public let options: Options

  private let makeNetwork: NetworkFactory

  static let readCapacity = 2
  static let windowCapacity = 2
  static let outputCapacity = 2

  /// Source frames, with their 8-bit copies, that are alive at once at most for windows of `window` frames:
  /// those of the window worked on, one more for each window queued and for the one handed over, and the one
  /// that is looked ahead to.
  public static func preparedFrameLimit(window: Int) -> Int { window + windowCapacity + 2 }

  /// A job. Nothing is opened yet.
  public init(
    input: String, output: String, encoder: EncoderSettings = EncoderSettings(), options: Options = Options(),
    network: @escaping NetworkFactory
  ) {
    self.input = input
    self.output = output
    self.encoder = encoder
    self.options = options
    makeNetwork = network
  }

  /// Does the job.
  ///
  /// The output appears under its name when it is complete; a job that throws or is cancelled leaves none.
  /// - Parameter progress: called after each written frame, on the writer's task.
  /// - Throws: `VideoIOError`, `PipelineError`, what the network throws, or `CancellationError`.
  public func run(progress: @escaping @Sendable (EnhancementProgress) -> Void = { _ in }) async throws
    -> EnhancementSummary
  {
    try VideoWriter.validate(
      path: output, input: input, overwrite: options.overwrites, container: encoder.container)
    let read = ReadChannel.between(frames: Self.readCapacity)
    let windows = WindowChannel.between(frames: Self.windowCapacity)
    let enhanced = OutputChannel.between(frames: Self.outputCapacity)
    let census = FrameCensus()
    let reader = ReadingStage(path: input, threads: options.threads)
    let windowing = WindowStage(
      threads: options.threads, findsSceneCuts: options.findsSceneCuts, census: census,
      makeNetwork: makeNetwork)
    let enhancing = EnhancingStage(threads: options.threads)
    let writing = WritingStage(
      path: output, settings: encoder, overwrites: options.overwrites, progress: progress)

    var summary = EnhancementSummary()
    try await withThrowingTaskGroup(of: StageReport.self) { group in
      group.addTask { try await reader.run(to: read) }
      group.addTask { try await windowing.run(from: read, to: windows) }
      group.addTask { try await enhancing.run(from: windows, to: enhanced) }
      group.addTask { try await writing.run(from: enhanced) }
      // The first failure leaves this loop, and thereby cancels the others; `waitForAll` would wait for them
      // first.
      for try await report in group { report.add(to: &summary) }
    }
    summary.peakFrames = census.peak
    return summary
  }
}
