// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// The enhanced frames of a video as an asynchronous sequence, for programs that do not write a file.
///
///     for try await frame in EnhancedFrames(of: "in.mp4", steps: [.superResolution()]) {
///       frame.withPlane(0) { luma, bytesPerRow in ... }
///     }
///
/// Each iteration opens the file again. Frames are processed slightly ahead of the loop, in bounded memory;
/// leaving the loop stops the work. Timestamps are in ticks of `EnhancedFrames.Iterator.timeBase`.
package struct EnhancedFrames: AsyncSequence, Sendable {
  /// An enhanced frame.
  package typealias Element = VideoFrame

  private let input: String
  private let steps: [EnhancementStep]
  private let options: EnhancementJob.Options
  private var supply: (any FrameSupply)?

  /// Creates a sequence of the frames of `path`, processed by `steps` in order.
  /// - Precondition: `steps` is not empty.
  package init(
    of path: String, steps: [EnhancementStep], options: EnhancementJob.Options = EnhancementJob.Options()
  ) {
    precondition(!steps.isEmpty, "there is something to be done")
    input = path
    self.steps = steps
    self.options = options
  }

  /// Creates a sequence of the frames of `supply`, processed by `steps` in order.
  /// - Precondition: `steps` is not empty.
  package init(from supply: any FrameSupply, steps: [EnhancementStep], options: EnhancementJob.Options) {
    // The name of standard input: a source that can be read only once is not surveyed.
    self.init(of: "-", steps: steps, options: options)
    self.supply = supply
  }

  /// Creates an iterator. The file is opened by its first call of `next()`.
  package func makeAsyncIterator() -> Iterator {
    Iterator(EnhancementJob(input: input, output: "", options: options, steps: steps), supply)
  }

  /// Iterates over the frames in presentation order.
  package struct Iterator: AsyncIteratorProtocol {
    private let run: Run
    private var shape: VideoShape?

    init(_ job: EnhancementJob, _ supply: (any FrameSupply)?) { run = Run(job, supply) }

    /// Seconds per tick of the timestamps; 0/1 (unknown) before the first frame.
    package var timeBase: Rational { shape?.timeBase ?? Rational(0, 1) }

    /// Returns the next frame; nil at the end.
    /// - Throws: `VideoIOError`, `PipelineError`, an error of a network, or `CancellationError`.
    package mutating func next() async throws -> VideoFrame? {
      while let message = try await run.next() {
        switch message {
        case .opened(let shape): self.shape = shape
        case .packet, .skipped, .ended: continue
        case .frame(let frame):
          // Frames lack a picture only in resumed work.
          if let video = frame.video { return video }
        }
      }
      return nil
    }
  }

  /// The tasks behind an iterator; cancelled when it is destroyed.
  private final class Run: Sendable {
    private let frames = FrameChannel.between(frames: EnhancementJob.outputCapacity)
    private let task: Task<Void, any Error>

    init(_ job: EnhancementJob, _ supply: (any FrameSupply)?) {
      let frames = frames
      task = Task(executorPreference: StageExecutor("survey")) {
        do {
          // The receiver is a task outside the group, which the group cannot cancel: end the channel in any
          // case.
          defer { frames.finish() }
          if let supply {
            let stage = SuppliedFramesStage(supply: supply)
            _ = try await job.enhance(to: frames, first: { try await stage.run(to: $0) })
          } else {
            _ = try await job.surveyed().job.enhance(to: frames)
          }
        }
      }
    }

    deinit { task.cancel() }

    func next() async throws -> StageMessage<VideoShape, StageFrame>? {
      try await withTaskCancellationHandler {
        if let message = try await frames.next() { return message }
        // The channel may have ended because of an error.
        try await task.value
        return nil
      } onCancel: {
        task.cancel()
      }
    }
  }
}
