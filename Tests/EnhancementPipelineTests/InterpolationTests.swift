// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Kernels
import TestSupport
import Testing
import VideoIO

@testable import EnhancementPipeline

/// A network that adds nothing to the blend of the warped frames.
private final class BlendingNetwork: WindowNetwork {
  let architecture = Architecture.balancedInterpolation
  private let zero: Residual

  init(width: Int, height: Int) {
    zero = Residual(gridWidth: width / 2, gridHeight: height / 2, channels: 6)
    zero.values.update(repeating: 0, count: width / 2 * (height / 2) * 6)
  }

  func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) -> Prediction {
    precondition(window.count == 2)
    let pyramids = window.map { MotionPyramid(luma: $0.luma, width: $0.width, height: $0.height) }
    let motion = BetweenMotion(from: pyramids[0], to: pyramids[1], instant: instant)
    return Prediction(residual: zero, alignment: FrameAlignment(motion: motion, warped: []))
  }
}

@Suite struct InterpolationTests {
  private func job(
    _ input: String, _ output: String, rate: InterpolationRate = .factor(2), threads: Int = 2,
    then steps: [EnhancementStep] = []
  ) -> EnhancementJob {
    let interpolation = EnhancementStep(rate: rate) { width, height, _ in
      BlendingNetwork(width: width, height: height)
    }
    return EnhancementJob(
      input: input, output: output, encoder: EncoderSettings(codec: "ffv1"), options: .init(threads: threads),
      steps: [interpolation] + steps)
  }

  /// The last piece of a film is the same if it is made alone: then frames before it pass without pictures, in several
  /// batches.
  @Test(arguments: [InterpolationRate.factor(2), .framesPerSecond(Rational(30000, 1001))])
  func framesBeforeAPieceAreNumberedAndTimed(rate: InterpolationRate) async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=32x32:rate=25:duration=52 -vf select=not(eq(mod(n\\,7)\\,5)) -fps_mode vfr "
        + "-pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 50", "in.mkv")
    let following = EnhancementStep { width, height, _ in
      BicubicNetwork(width: width, height: height, window: 3)
    }
    let work = job(bench.path("in.mkv"), bench.path("out.mkv"), rate: rate, then: [following])
    let film = try await work.scan(length: .frames(100), scratch: bench.path("scratch"))
    let last = film.segments.count - 1
    #expect(film.segments[last].needsFrom[0] > 1000, "\(film.segments[last])")
    func make(_ segments: Range<Int>, in folder: String) async throws -> PieceRecord {
      let pieces = PieceFolder(
        path: bench.path(folder), plan: "plan", settings: [:], segmentFrames: 100,
        input: bench.path("in.mkv"))
      let pieceJob = PieceJob(job: work, film: film, folder: pieces)
      _ = try await pieceJob.make(segments)
      guard case .whole(var record) = pieceJob.state(of: last, readsAll: true) else {
        throw PipelineError.missingFrame(last)
      }
      // Side data that only the film's first frame has.
      record.frameData = []
      return record
    }
    #expect(try await make(0..<last + 1, in: "all") == make(last..<last + 1, in: "alone"))
  }

  private func equal(_ a: VideoFrame, _ b: VideoFrame) -> Bool {
    (0..<a.format.planeCount).allSatisfy { samples(a, $0) == samples(b, $0) }
  }

  @Test(arguments: [("yuv420p", 2), ("yuv420p10le", 3), ("yuv422p", 2), ("yuv444p", 4), ("gray", 2)])
  func sourceFramesAndTimesAreKept(format: String, factor: Int) async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=99x66:rate=25:duration=0.4 -f lavfi -i sine=duration=0.4 -pix_fmt \(format) "
        + "-c:v ffv1 -c:a flac", "in.mkv")
    let summary = try await job(bench.path("in.mkv"), bench.path("out.mkv"), rate: .factor(factor)).run()
    #expect(summary.frames == 10 * factor && summary.warnings == [])
    #expect(try bench.packetHash("in.mkv", stream: "a:0") == bench.packetHash("out.mkv", stream: "a:0"))
    let (before, after) = (try readFrames(bench.path("in.mkv")), try readFrames(bench.path("out.mkv")))
    for (index, frame) in before.enumerated() { #expect(equal(frame, after[index * factor])) }
    // Frames in between differ from both neighbours and from each other.
    #expect(!equal(after[1], after[0]) && !equal(after[1], after[factor]))
    let old = try bench.times("in.mkv").split(separator: "\n").compactMap { Double($0) }
    let new = try bench.times("out.mkv").split(separator: "\n").compactMap { Double($0) }
    for (index, time) in new.enumerated() {
      #expect(abs(time - old[0] - 0.04 * Double(index) / Double(factor)) < 0.0011)
    }
    // The last frame is repeated.
    #expect(equal(after[after.count - 1], before[before.count - 1]))
  }

  @Test func resultDoesNotDependOnThreads() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=size=150x98:rate=25:duration=0.2 -c:v ffv1", "in.mkv")
    _ = try await job(bench.path("in.mkv"), bench.path("a.mkv"), threads: 1).run()
    _ = try await job(bench.path("in.mkv"), bench.path("b.mkv"), threads: 3).run()
    #expect(try bench.packetHash("a.mkv", stream: "v:0") == bench.packetHash("b.mkv", stream: "v:0"))
  }

  @Test func nothingIsMadeAcrossCutsNorBetweenEqualFrames() async throws {
    let bench = try Workbench()
    let scene = { (name: String) in "-f lavfi -i \(name)=size=160x96:rate=25:duration=0.32" }
    // Two static scenes: every output frame equals one of two pictures.
    try bench.ffmpeg(
      "\(scene("smptebars")) \(scene("rgbtestsrc")) -filter_complex [0][1]concat,format=yuv420p -c:v ffv1",
      "in.mkv")
    let summary = try await job(bench.path("in.mkv"), bench.path("out.mkv"), rate: .factor(4)).run()
    #expect(summary.sceneCuts == [8])
    let (before, after) = (try readFrames(bench.path("in.mkv")), try readFrames(bench.path("out.mkv")))
    #expect(after.count == 64)
    for (index, frame) in after.enumerated() { #expect(equal(frame, before[index < 32 ? 0 : 8])) }
  }

  @Test func variableRatesBecomeConstant() async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=24000/1001:duration=1 -vf select=not(eq(mod(n\\,5)\\,3)) -fps_mode vfr -c:v libx264",
      "in.mp4")
    let rate = InterpolationRate.framesPerSecond(Rational(60000, 1001))
    let summary = try await job(bench.path("in.mp4"), bench.path("out.mkv"), rate: rate).run()
    let times = try bench.times("out.mkv").split(separator: "\n").compactMap { Double($0) }
    #expect(summary.frames == times.count && times.count >= 57)
    for (index, time) in times.enumerated() {
      #expect(abs(time - times[0] - Double(index) * 1001 / 60000) < 0.0011)
    }
  }

  @Test func tasksRunInSequence() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=size=64x48:rate=25:duration=0.2 -c:v ffv1", "in.mkv")
    let doubling = EnhancementStep { width, height, _ in BicubicNetwork(width: width, height: height) }
    let summary = try await job(bench.path("in.mkv"), bench.path("out.mkv"), then: [doubling]).run()
    #expect(summary.frames == 10 && summary.width == 128 && summary.height == 96)
    // Equal to running the tasks one after the other.
    _ = try await job(bench.path("in.mkv"), bench.path("half.mkv")).run()
    _ = try await bicubicJob(bench.path("half.mkv"), bench.path("whole.mkv"), window: 1).run()
    let (once, twice) = (try readFrames(bench.path("out.mkv")), try readFrames(bench.path("whole.mkv")))
    #expect(once.count == twice.count && zip(once, twice).allSatisfy { equal($0, $1) })
  }

  /// Frames warped by the network's packer are reused where the result is the same.
  @Test(arguments: [(98, 66), (99, 66)]) func warpedFramesAreReused(_ width: Int, _ height: Int) throws {
    let frames = try [0, 3].map { shift in
      try VideoFrame.make(width: width, height: height, format: .yuv420p) { plane, bytes, bytesPerRow in
        for i in 0..<bytes.count {
          let (x, y) = (i % bytesPerRow + shift, i / bytesPerRow)
          bytes[i] = UInt8(128 + 50 * sin(Double(x * (plane + 1)) * 0.2) * cos(Double(y) * 0.13))
        }
      }
    }
    let window = frames.map { PlanarFrame($0) }
    let packer = WindowPacker(.balancedInterpolation)
    let alignment = try #require(packer.prepare(window, at: 100).alignment)
    let blender = FrameBlender(threads: 2)
    func blend(_ warped: [PlanarFrame]) throws -> VideoFrame {
      try blender.blend(
        frames[0], frames[1], aligned: FrameAlignment(motion: alignment.motion, warped: warped), adding: nil,
        presentationTimestamp: 0, duration: 1)
    }
    #expect(alignment.motion.instant == 100 && alignment.warped.count == 2)
    #expect(equal(try blend(alignment.warped), try blend([])))
  }

  // MARK: - Timeline

  @Test func factorsDivideEachFrameExactly() throws {
    var timeline = try InterpolationTimeline(
      rate: .factor(3), timeBase: Rational(1, 1000), frameRate: Rational(25, 1), path: "in")
    #expect(timeline.timeBase == Rational(1, 3000) && timeline.frameRate == Rational(75, 1))
    let instants = try timeline.instants(from: 40, length: 41)
    #expect(instants.map(\.presentationTimestamp) == [120, 161, 202])
    #expect(instants.map(\.position) == [0, 85, 171])
    #expect(instants.allSatisfy { $0.duration == 41 })
  }

  @Test func constantRatesHaveEqualIntervals() throws {
    var timeline = try InterpolationTimeline(
      rate: .framesPerSecond(Rational(60, 1)), timeBase: Rational(1, 12800), frameRate: Rational(25, 1),
      path: "in")
    #expect(timeline.timeBase == Rational(1, 38400))
    let all = try (0..<5).flatMap { try timeline.instants(from: 1000 + 512 * Int64($0), length: 512) }
    #expect(all.map(\.presentationTimestamp) == (0..<12).map { 3000 + 640 * $0 })
    #expect(all[0].position == 0 && all[1].position == 107 && all[2].position == 213)
    // Fewer frames than in the source: some are dropped.
    var slow = try InterpolationTimeline(
      rate: .framesPerSecond(Rational(10, 1)), timeBase: Rational(1, 100), frameRate: Rational(25, 1),
      path: "in")
    #expect(try (0..<5).flatMap { try slow.instants(from: 4 * $0, length: 4) }.map(\.position) == [0, 128])
  }

  @Test func tooFineTimeBasesAreRefused() {
    #expect(throws: PipelineError.timeBaseTooFine(path: "in", timeBase: "1/1000000000")) {
      _ = try InterpolationTimeline(
        rate: .factor(3), timeBase: Rational(1, 1_000_000_000), frameRate: Rational(25, 1), path: "in")
    }
  }
}
