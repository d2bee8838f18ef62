// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import TestSupport
import Testing
import VideoIO

@testable import EnhancementPipeline

/// Tests that a frame lost between stages fails the run before the file gets its name.
@Suite struct FrameCountTests {
  /// Returns a channel with ten frames of a file that announces `announced` frames.
  private func source(_ bench: Workbench, announced: Int) async throws -> FrameChannel {
    let path = try makeSource(bench)
    let channel = FrameChannel.between(frames: 20)
    try await channel.send(.opened(VideoShape(try VideoReader(path: path).info)))
    for frame in try readFrames(path) { try await channel.send(.frame(StageFrame(frame))) }
    try await channel.end(frames: announced)
    return channel
  }

  private func expectLoss(_ bench: Workbench, announced: Int, _ work: () async throws -> Void) async throws {
    do {
      try await work()
      #expect(announced == 10)
    } catch let error as PipelineError {
      #expect(error == .framesLost(path: bench.path("in.mkv"), taken: 10, given: announced))
      #expect(announced != 10)
    }
  }

  @Test(arguments: [9, 10, 11]) func lossIsFoundByTheWriter(announced: Int) async throws {
    let bench = try Workbench()
    let channel = try await source(bench, announced: announced)
    let stage = WritingStage(
      path: bench.path("out.mkv"), settings: EncoderSettings(codec: "ffv1"), overwrites: false, segments: nil,
      profile: nil, progress: { _ in })
    try await expectLoss(bench, announced: announced) { _ = try await stage.run(from: channel) }
    #expect(bench.contents == (announced == 10 ? ["in.mkv", "out.mkv"] : ["in.mkv"]))
  }

  @Test(arguments: [9, 10, 11]) func lossIsFoundByTheWindowStage(announced: Int) async throws {
    let bench = try Workbench()
    let channel = try await source(bench, announced: announced)
    let stage = WindowStage(
      threads: 1, findsSceneCuts: false, step: 0, stepCount: 1, census: FrameCensus(), profile: nil
    ) { width, height, _ in BicubicNetwork(width: width, height: height, scale: 2, window: 3) }
    try await expectLoss(bench, announced: announced) {
      _ = try await stage.run(from: channel, to: WindowChannel.between(frames: 20))
    }
  }

  @Test(arguments: [9, 10, 11]) func lossIsFoundByTheEnhancingStage(announced: Int) async throws {
    let bench = try Workbench()
    let shape = VideoShape(try VideoReader(path: try makeSource(bench)).info)
    let network = BicubicNetwork(width: 64, height: 48, scale: 2, window: 1)
    let windows = WindowChannel.between(frames: 20)
    try await windows.send(.opened(WindowOpening(shape: shape, handoff: NetworkHandoff(network: network))))
    let census = FrameCensus()
    for (index, frame) in try readFrames(bench.path("in.mkv")).enumerated() {
      let prepared = try PreparedFrame(StageFrame(frame), index: index, census: census)
      try await windows.send(.frame(SceneWindow(frames: [prepared], startsScene: index == 0)))
    }
    try await windows.end(frames: announced)
    let stage = EnhancingStage(
      threads: 1, rate: .factor(2), conditions: WindowConditions(), made: 0..<Int.max, profile: nil)
    try await expectLoss(bench, announced: announced) {
      _ = try await stage.run(from: windows, to: FrameChannel.between(frames: 20))
    }
  }

  private func makeSource(_ bench: Workbench) throws -> String {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=25:duration=0.4 -pix_fmt yuv420p -c:v ffv1", "in.mkv")
  }
}
