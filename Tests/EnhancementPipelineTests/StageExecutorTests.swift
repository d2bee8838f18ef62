// SPDX-License-Identifier: Apache-2.0
import Dispatch
import EnhancementPipeline
import Foundation
import Synchronization
import TestSupport
import Testing
import VideoIO

@Suite struct StageExecutorTests {
  /// More stages than cooperative threads block on a task that needs one of these threads.
  @Test func stagesLeaveTheCooperativeThreadsFree() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg("-f lavfi -i testsrc2=size=32x32:rate=25:duration=0.08 -c:v ffv1", "in.mkv")
    let count = ProcessInfo.processInfo.activeProcessorCount + 2
    let gate = DispatchSemaphore(value: 0)
    let (waiting, late) = (Counter(), Counter())
    let step = EnhancementStep { width, height, _ in
      waiting.add()
      if gate.wait(timeout: .now() + 60) == .timedOut { late.add() }
      return BicubicNetwork(width: width, height: height)
    }
    let jobs = (0..<count).map { index in
      let job = EnhancementJob(
        input: input, output: bench.path("\(index).mkv"), encoder: EncoderSettings(codec: "ffv1"),
        options: .init(threads: 1), steps: [step])
      return Task { try await job.run().frames }
    }
    while waiting.value < count, late.value == 0 { try await Task.sleep(for: .milliseconds(5)) }
    for _ in jobs { gate.signal() }
    for job in jobs { #expect(try await job.value == 2) }
    #expect(late.value == 0)
  }
}

/// A counter shared by several threads.
private final class Counter: Sendable {
  private let count = Mutex(0)

  var value: Int { count.withLock { $0 } }
  func add() { count.withLock { $0 += 1 } }
}
