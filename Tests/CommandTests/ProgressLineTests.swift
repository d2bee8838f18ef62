// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Testing

@testable import VidenhanceTool

@Suite struct ProgressLineTests {
  @Test func estimatesFromTheTimeline() {
    // A quarter of the duration is done, regardless of the number of frames.
    let progress = EnhancementProgress(frames: 60, estimatedFrames: 400, position: 5, duration: 20)
    #expect(
      ProgressLine.text(progress, elapsed: 30, hasBar: false) == "25 %, 60/400 frames, 2.0 fps, 1:30 left")
    #expect(
      ProgressLine.text(progress, elapsed: 30, hasBar: true)
        == "[======------------------] 25 %, 60/400 frames, 2.0 fps, 1:30 left")
  }

  @Test func estimatesFromFramesWhereTheLengthIsUnknown() {
    let progress = EnhancementProgress(frames: 100, estimatedFrames: 200, position: 5, duration: nil)
    #expect(
      ProgressLine.text(progress, elapsed: 50, hasBar: false) == "50 %, 100/200 frames, 2.0 fps, 0:50 left")
  }

  @Test func omitsUnknownValues() {
    let progress = EnhancementProgress(frames: 100, estimatedFrames: nil, position: 5, duration: nil)
    #expect(ProgressLine.text(progress, elapsed: 50, hasBar: true) == "100 frames, 2.0 fps")
    #expect(ProgressLine.text(progress, elapsed: 0, hasBar: true) == "100 frames")
  }

  @Test func survivesWrongLengths() {
    let beyond = EnhancementProgress(frames: 9, estimatedFrames: 3, position: 50, duration: 20)
    #expect(
      ProgressLine.text(beyond, elapsed: 9, hasBar: false) == "100 %, 9/3 frames, 1.0 fps, 0:00 left")
    let before = EnhancementProgress(frames: 1, estimatedFrames: 0, position: -3, duration: 20)
    #expect(ProgressLine.text(before, elapsed: 1, hasBar: false) == "0 %, 1/0 frames, 1.0 fps")
  }

  @Test(arguments: [(0, "0:00"), (59.6, "1:00"), (3599.4, "59:59"), (3600, "1:00:00"), (-4, "0:00")])
  func formatsTimes(seconds: Double, text: String) {
    #expect(clockText(seconds) == text)
  }
}
