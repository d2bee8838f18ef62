// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import TestSupport
import Testing
import VideoIO

@testable import EnhancementPipeline

/// Tests reading frames without a file.
@Suite struct EnhancedFramesTests {
  private let step = EnhancementStep { width, height, _ in BicubicNetwork(width: width, height: height) }

  private func luma(_ frame: VideoFrame) -> [UInt8] { frame.withPlane(0) { bytes, _ in Array(bytes) } }

  @Test func framesMatchTheFile() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg("-f lavfi -i testsrc2=size=64x48:rate=25:duration=0.4 -c:v ffv1", "in.mkv")
    var encoder = EncoderSettings()
    encoder.codec = "ffv1"
    _ = try await EnhancementJob(
      input: input, output: bench.path("out.mkv"), encoder: encoder, steps: [step]
    ).run()
    var reader = try VideoReader(path: bench.path("out.mkv"))
    var iterator = EnhancedFrames(of: input, steps: [step]).makeAsyncIterator()
    var count = 0
    while let item = try reader.next() {
      guard case .frame(let expected) = item else { continue }
      let frame = try #require(try await iterator.next())
      #expect(luma(frame) == luma(expected))
      #expect(
        abs(
          Double(frame.presentationTimestamp) * iterator.timeBase.doubleValue
            - Double(expected.presentationTimestamp) * reader.info.timeBase.doubleValue) < 1e-9)
      count += 1
    }
    #expect(count == 10)
    #expect(try await iterator.next() == nil)
  }

  /// Leaving the loop early neither waits nor leaves work running.
  @Test func leavingEarlyEndsTheWork() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg("-f lavfi -i testsrc2=size=64x48:rate=25:duration=8 -c:v ffv1", "in.mkv")
    var count = 0
    for try await _ in EnhancedFrames(of: input, steps: [step]) {
      count += 1
      if count == 3 { break }
    }
    #expect(count == 3)
  }

  @Test func errorsReachTheLoop() async throws {
    let bench = try Workbench()
    await #expect(throws: VideoIOError.self) {
      for try await _ in EnhancedFrames(of: bench.path("none.mkv"), steps: [step]) {}
    }
    let input = try bench.ffmpeg("-f lavfi -i testsrc2=size=64x48:rate=25:duration=0.4 -c:v ffv1", "in.mkv")
    let data = try Data(contentsOf: URL(fileURLWithPath: input))
    try data.prefix(data.count / 2).write(to: URL(fileURLWithPath: bench.path("cut.mkv")))
    await #expect(throws: VideoIOError.self) {
      for try await _ in EnhancedFrames(of: bench.path("cut.mkv"), steps: [step]) {}
    }
  }

  @Test func cancellingTheTaskEndsTheLoop() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg("-f lavfi -i testsrc2=size=64x48:rate=25:duration=20 -c:v ffv1", "in.mkv")
    let step = step
    let task = Task {
      for try await _ in EnhancedFrames(of: input, steps: [step]) {
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    try await Task.sleep(for: .milliseconds(200))
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }
}
