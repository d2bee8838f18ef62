// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Testing

@testable import VidenhanceTool

@Suite struct ProgressLineTests {
  private func text(_ progress: EnhancementProgress, elapsed: Double, columns: Int? = nil) -> String {
    ProgressText(progress, elapsed: elapsed).line(columns: columns)
  }

  @Test func estimatesFromTheTimeline() {
    // A quarter of the duration is done, regardless of the number of frames.
    let progress = EnhancementProgress(frames: 60, estimatedFrames: 400, position: 5, duration: 20)
    #expect(text(progress, elapsed: 30) == "25 % done, 60/400 frames, speed 2.0 fps, 1:30 left")
    #expect(
      text(progress, elapsed: 30, columns: 80)
        == "[======------------------] 25 % done, 60/400 frames, speed 2.0 fps, 1:30 left")
  }

  @Test func estimatesFromFramesWhereTheLengthIsUnknown() {
    let progress = EnhancementProgress(frames: 100, estimatedFrames: 200, position: 5, duration: nil)
    #expect(text(progress, elapsed: 50) == "50 % done, 100/200 frames, speed 2.0 fps, 0:50 left")
  }

  @Test func omitsUnknownValues() {
    let progress = EnhancementProgress(frames: 100, estimatedFrames: nil, position: 5, duration: nil)
    #expect(text(progress, elapsed: 50, columns: 80) == "100 frames, speed 2.0 fps")
    #expect(text(progress, elapsed: 0, columns: 80) == "100 frames")
  }

  @Test func survivesWrongLengths() {
    let beyond = EnhancementProgress(frames: 9, estimatedFrames: 3, position: 50, duration: 20)
    #expect(text(beyond, elapsed: 9) == "100 % done, 9/3 frames, speed 1.0 fps, 0:00 left")
    let before = EnhancementProgress(frames: 1, estimatedFrames: 0, position: -3, duration: 20)
    #expect(text(before, elapsed: 1) == "0 % done, 1/0 frames, speed 1.0 fps")
  }

  /// A line that wraps could not be erased, so one column always stays free.
  @Test func neverWraps() {
    let large = EnhancementProgress(
      frames: 1_234_567, estimatedFrames: 12_345_678, position: 36_000, duration: 360_000)
    let plain = EnhancementProgress(frames: 1_234_567, estimatedFrames: nil, position: 0, duration: nil)
    for progress in [large, plain] {
      for columns in 1...200 {
        let line = text(progress, elapsed: 123_456, columns: columns)
        #expect(line.count < max(columns, 2) && !line.isEmpty, "\(columns): \(line)")
      }
    }
    let usual = EnhancementProgress(frames: 60, estimatedFrames: 400, position: 5, duration: 20)
    #expect(text(usual, elapsed: 30, columns: 40) == "[====------------] 25 % done, 1:30 left")
    #expect(text(usual, elapsed: 30, columns: 24) == "[==---------] 25 % done")
    #expect(text(usual, elapsed: 30, columns: 12) == "25 % done")
  }

  /// Files that are processed concurrently share a line.
  @Test func filesAreSummedUp() {
    let half = EnhancementProgress(frames: 50, estimatedFrames: 100, position: 2, duration: 4)
    func sum(_ columns: Int?) -> String {
      BatchLine.text(
        finished: 1, of: 4, current: [half, half], finishedFrames: 100, elapsed: 20, columns: columns)
    }
    #expect(sum(nil) == "50 % done, 1/4 files, 2 at work, speed 10.0 fps, 0:20 left")
    #expect(sum(40) == "[========--------] 50 % done, 0:20 left")
    for columns in 2...120 { #expect(sum(columns).count < columns) }
  }

  @Test(arguments: [(0, "0:00"), (59.6, "1:00"), (3599.4, "59:59"), (3600, "1:00:00"), (-4, "0:00")])
  func formatsTimes(seconds: Double, text: String) {
    #expect(clockText(seconds) == text)
  }
}
