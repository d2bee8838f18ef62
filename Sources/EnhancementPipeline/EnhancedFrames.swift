// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// The enhanced frames of a video, one after another, for programs that do not want a file.
///
///     for try await frame in EnhancedFrames(of: "in.mp4", steps: [.superResolution()]) {
///       frame.withPlane(0) { luma, bytesPerRow in ... }
///     }
///
/// Each iteration opens the file anew. Work goes on while the loop's body runs, by a few frames and no more; leaving
/// the loop ends it. Times of the frames are in ticks of `EnhancedFrames.Iterator.timeBase`.
package struct EnhancedFrames: AsyncSequence, Sendable {
  /// A frame of the output.
  package typealias Element = VideoFrame

  private let input: String
  private let steps: [EnhancementStep]
  private let options: EnhancementJob.Options

  /// The frames of `path`, with these things done to them.
  /// - Precondition: there is at least one step.
  package init(
    of path: String, steps: [EnhancementStep], options: EnhancementJob.Options = EnhancementJob.Options()
  ) {
    precondition(!steps.isEmpty, "there is something to be done")
    input = path
    self.steps = steps
    self.options = options
  }

  /// Opens the file with the first frame that is asked for.
  package func makeAsyncIterator() -> Iterator {
    Iterator(EnhancementJob(input: input, output: "", options: options, steps: steps))
  }

  /// Takes the frames, in order of presentation.
  package struct Iterator: AsyncIteratorProtocol {
    private let run: Run
    private var shape: VideoShape?

    init(_ job: EnhancementJob) { run = Run(job) }

    /// Seconds per tick of the frames' times; unknown (0/1) before the first frame.
    package var timeBase: Rational { shape?.timeBase ?? Rational(0, 1) }

    /// The next frame; nil at the end.
    /// - Throws: `VideoIOError`, `PipelineError`, what a network throws, or `CancellationError`.
    package mutating func next() async throws -> VideoFrame? {
      while let message = try await run.next() {
        switch message {
        case .opened(let shape): self.shape = shape
        case .packet, .ended: continue
        case .frame(let frame):
          // Without segments all frames are made.
          if let video = frame.video { return video }
        }
      }
      return nil
    }
  }

  /// The work behind an iterator; it ends with it.
  private final class Run: Sendable {
    private let frames = FrameChannel.between(frames: EnhancementJob.outputCapacity)
    private let task: Task<Void, any Error>

    init(_ job: EnhancementJob) {
      let frames = frames
      task = Task {
        do {
          // Who takes is another task, which the group cannot cancel: it is told by the end of the channel.
          defer { frames.finish() }
          _ = try await job.surveyed().job.enhance(to: frames)
        }
      }
    }

    deinit { task.cancel() }

    func next() async throws -> StageMessage<VideoShape, StageFrame>? {
      try await withTaskCancellationHandler {
        if let message = try await frames.next() { return message }
        // The end of the channel may be that of a failure.
        try await task.value
        return nil
      } onCancel: {
        task.cancel()
      }
    }
  }
}
