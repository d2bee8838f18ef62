// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import VideoIO

/// Writes frames and their references to two lossless files of equal length, for external measuring programs.
final class FramePairFiles {
  /// The files: enhanced frames, and their references.
  let made, truth: String

  private let threads: Int
  private let writers: (made: Writer, truth: Writer)
  private var count: Int64 = 0

  init(folder: String, threads: Int) {
    (made, truth) = (folder + "/vmaf-made.mkv", folder + "/vmaf-truth.mkv")
    self.threads = threads
    writers = (Writer(), Writer())
  }

  deinit {
    for path in [made, truth] { try? FileManager.default.removeItem(atPath: path) }
  }

  func add(_ frame: VideoFrame, reference: VideoFrame) throws {
    try writers.made.write(frame, number: count, to: made, threads: threads)
    try writers.truth.write(reference, number: count, to: truth, threads: threads)
    count += 1
  }

  /// Completes both files.
  func finish() throws {
    try writers.made.finish()
    try writers.truth.finish()
  }

  /// One of the files, created with the first frame.
  private final class Writer {
    private var writer: VideoWriter?

    func write(_ frame: VideoFrame, number: Int64, to path: String, threads: Int) throws {
      if writer == nil {
        let info = try MediaInfo.blank(
          width: frame.width, height: frame.height, format: frame.format, color: frame.color,
          timeBase: Rational(1, 25), frameRate: Rational(25, 1))
        let made = try VideoWriter(
          path: path, like: info, width: frame.width, height: frame.height, format: frame.format,
          settings: EncoderSettings(codec: "ffv1", threads: threads))
        writer = consume made
      }
      try writer?.write(frame.retimed(presentationTimestamp: number, duration: 1))
    }

    func finish() throws {
      guard let finished = writer.take() else { return }
      _ = try finished.finish()
    }
  }
}
