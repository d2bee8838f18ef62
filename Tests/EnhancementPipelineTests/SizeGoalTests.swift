// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import TestSupport
import Testing
import VideoIO

@testable import EnhancementPipeline

/// Sizes that the networks alone do not produce.
@Suite struct SizeGoalTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var goal: SizeGoal
    var width, height: Int
    var aspect = Rational(1, 1)
    var rotation = 0.0
    var format = "yuv420p"
    var result: [Int]
    var testDescription: String { "\(width)x\(height) \(aspect) \(rotation) \(goal)" }
  }

  @Test(arguments: [
    Case(goal: .shortSide(1080), width: 1280, height: 720, result: [1920, 1080]),
    Case(goal: .shortSide(1080), width: 854, height: 480, result: [1922, 1080]),
    // Upright video, stored upright or rotated by players.
    Case(goal: .shortSide(1080), width: 480, height: 854, result: [1080, 1922]),
    Case(goal: .shortSide(1080), width: 1280, height: 720, rotation: -90, result: [1920, 1080]),
    Case(goal: .height(1920), width: 1280, height: 720, rotation: 90, result: [1920, 1080]),
    Case(goal: .width(1080), width: 1280, height: 720, rotation: 270, result: [1920, 1080]),
    Case(goal: .height(1080), width: 1280, height: 720, rotation: 180, result: [1920, 1080]),
    // Pixels become square.
    Case(
      goal: .shortSide(1080), width: 720, height: 576, aspect: Rational(16, 15), result: [1440, 1080]),
    Case(
      goal: .shortSide(1080), width: 720, height: 480, aspect: Rational(32, 27), result: [1920, 1080]),
    Case(goal: .width(1440), width: 720, height: 576, aspect: Rational(64, 45), result: [1440, 810]),
    Case(goal: .shortSide(1080), width: 640, height: 480, aspect: Rational(0, 1), result: [1440, 1080]),
    // Subsampled chroma needs even sizes; gray does not.
    Case(goal: .height(721), width: 640, height: 360, result: [1282, 722]),
    Case(goal: .height(721), width: 640, height: 360, format: "yuv444p", result: [1282, 721]),
    Case(goal: .height(721), width: 640, height: 360, format: "yuv422p10le", result: [1282, 721]),
    Case(goal: .factor(1.5), width: 101, height: 51, format: "gray", result: [152, 76]),
    Case(goal: .factor(3), width: 320, height: 240, aspect: Rational(8, 9), result: [960, 720]),
    Case(goal: .source, width: 161, height: 91, aspect: Rational(8, 9), rotation: 90, result: [161, 91]),
    Case(goal: .factor(2.25), width: 854, height: 480, result: [1922, 1080]),
  ]) func sizesKeepTheShape(of given: Case) throws {
    let format = try #require(PixelFormat(name: given.format))
    let size = given.goal.size(
      width: given.width, height: given.height, sampleAspectRatio: given.aspect, rotation: given.rotation,
      format: format)
    #expect([size.width, size.height] == given.result)
    let keepsPixels =
      switch given.goal {
      case .factor, .source: true
      case .shortSide, .width, .height: false
      }
    let kept = keepsPixels || !given.aspect.isPositive
    #expect(size.sampleAspectRatio == (kept ? given.aspect : Rational(1, 1)))
  }

  @Test func networksOfTwoAndFour() {
    func scale(_ width: Int, _ height: Int) -> Int {
      FrameSize(width: width, height: height, sampleAspectRatio: Rational(1, 1))
        .networkScale(width: 640, height: 360)
    }
    #expect(scale(960, 540) == 2 && scale(1280, 720) == 2 && scale(1282, 720) == 2)
    #expect(scale(1920, 1080) == 4 && scale(2560, 1440) == 4 && scale(3840, 2160) == 4)
  }

  @Test func descriptionsAreParsedBack() {
    for goal: SizeGoal in [.shortSide(1080), .width(333), .height(16), .factor(2.25)] {
      #expect(SizeGoal("\(goal)") == goal)
    }
    for text in [
      "", "to", "to 1080", "to 0p", "width -3", "scale 1", "scale nan", "scale 17", "height 16385",
    ] {
      #expect(SizeGoal(text) == nil, "\(text)")
    }
  }

  /// Returns a step with a network that adds nothing, and a size goal.
  private func step(_ goal: SizeGoal, scale: Int) -> EnhancementStep {
    var step = EnhancementStep { width, height, _ in
      BicubicNetwork(width: width, height: height, scale: scale, window: 1)
    }
    step.goal = goal
    return step
  }

  private func run(
    _ bench: Workbench, _ goal: SizeGoal, scale: Int, threads: Int = 2, to name: String = "out.mkv"
  )
    async throws -> EnhancementSummary
  {
    try await EnhancementJob(
      input: bench.path("in.mkv"), output: bench.path(name), encoder: EncoderSettings(codec: "ffv1"),
      options: EnhancementJob.Options(threads: threads), steps: [step(goal, scale: scale)]
    ).run()
  }

  /// Equal to resampling of the network's output by the ffmpeg program.
  @Test(arguments: ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p12le", "gray"])
  func resamplesAsFFmpeg(format: String) async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=25:duration=0.12 -pix_fmt \(format) -c:v ffv1", "in.mkv")
    let summary = try await run(bench, .factor(1.5), scale: 2)
    #expect(summary.width == 96 && summary.height == 72 && summary.frames == 3)
    #expect(summary.format == format)
    _ = try await bicubicJob(bench.path("in.mkv"), bench.path("twice.mkv"), window: 1).run()
    // The filter assumes centred chroma if the location is unspecified.
    let place = format.hasPrefix("yuv42") ? ":in_h_chr_pos=0:out_h_chr_pos=0" : ""
    try bench.ffmpeg(
      "-i DIR/twice.mkv -vf scale=96:72:flags=lanczos+accurate_rnd+bitexact+full_chroma_inp+full_chroma_int"
        + "\(place) -c:v ffv1", "expected.mkv")
    let pairs = zip(try readFrames(bench.path("out.mkv")), try readFrames(bench.path("expected.mkv")))
    for (frame, expected) in pairs {
      #expect(frame.format == expected.format)
      for plane in 0..<frame.format.planeCount {
        let differences = zip(samples(frame, plane), samples(expected, plane)).map { abs(Int($0) - Int($1)) }
        #expect(differences.count == frame.planeWidth(plane) * frame.planeHeight(plane))
        #expect(differences.allSatisfy { $0 <= 1 << (frame.format.bitDepth - 8) }, "plane \(plane)")
      }
    }
  }

  /// A gradient in all planes stays the same gradient: chroma neither shifts nor loses depth.
  @Test(arguments: ["yuv420p10le", "yuv422p10le", "yuv444p10le"])
  func chromaStaysWhereItLies(format: String) async throws {
    let bench = try Workbench()
    let step = format == "yuv444p10le" ? 1 : 2
    try bench.ffmpeg(
      "-f lavfi -i nullsrc=size=64x32:rate=25:duration=0.04 -vf "
        + "format=\(format),geq=lum=64+12*X:cb=64+\(12 * step)*X:cr=64+\(12 * step)*X -c:v ffv1", "in.mkv")
    let summary = try await run(bench, .factor(1.5), scale: 1)
    #expect(summary.width == 96 && summary.height == 48)
    let frame = try #require(try readFrames(bench.path("out.mkv")).first)
    for plane in 0..<3 {
      let width = frame.planeWidth(plane)
      let values = samples(frame, plane)
      for x in 8..<width - 8 {
        // Chroma is co-sited with the left of two luma samples.
        let position = Double(plane == 0 ? x : x * step)
        let expected = 64 + 12 * ((position + 0.5) / 1.5 - 0.5)
        #expect(abs(Double(values[width * 8 + x]) - expected) <= 1, "plane \(plane), column \(x)")
      }
    }
  }

  @Test func theSameOnAnyNumberOfThreads() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=size=96x54:rate=25:duration=0.2 -c:v ffv1", "in.mkv")
    _ = try await run(bench, .height(90), scale: 2, threads: 1, to: "one.mkv")
    _ = try await run(bench, .height(90), scale: 2, threads: 3, to: "three.mkv")
    #expect(try bench.packetHash("one.mkv", stream: "v") == bench.packetHash("three.mkv", stream: "v"))
  }

  @Test func pixelsBecomeSquareOrStay() async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=72x58:rate=25:duration=0.12 -vf setsar=16/15 -pix_fmt yuv420p -c:v ffv1",
      "in.mkv")
    _ = try await run(bench, .height(87), scale: 2, to: "square.mkv")
    #expect(
      try bench.entries("square.mkv", "width,height,sample_aspect_ratio")
        == "width=116\nheight=88\nsample_aspect_ratio=1:1\n")
    _ = try await run(bench, .factor(1.5), scale: 2, to: "kept.mkv")
    #expect(
      try bench.entries("kept.mkv", "width,height,sample_aspect_ratio")
        == "width=108\nheight=88\nsample_aspect_ratio=16:15\n")
  }

  @Test func neitherSmallerNorTooLarge() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=size=96x54:rate=25:duration=0.12 -c:v ffv1", "in.mkv")
    for goal: SizeGoal in [.shortSide(54), .height(40), .width(96), .width(32)] {
      let error = await #expect(throws: PipelineError.self) { try await run(bench, goal, scale: 2) }
      guard case .notLarger? = error else {
        Issue.record("\(goal): \(String(describing: error))")
        continue
      }
      #expect(error?.hint != nil)
    }
    await #expect(throws: PipelineError.tooLarge(path: bench.path("in.mkv"), size: "28444x16000")) {
      try await run(bench, .height(16000), scale: 2)
    }
    #expect(bench.contents == ["in.mkv"])
  }
}
