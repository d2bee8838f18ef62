// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation
import TestSupport
import Testing
import VideoIO

/// Tests parts, streams, fields, and videos that change midway.
@Suite struct SourceOptionTests {
  private func job(
    _ bench: Workbench, _ input: String, _ output: String, _ change: (inout EnhancementJob.Options) -> Void
  ) -> EnhancementJob {
    var options = EnhancementJob.Options(threads: 2)
    change(&options)
    return EnhancementJob(
      input: bench.path(input), output: bench.path(output), encoder: EncoderSettings(codec: "ffv1"),
      options: options, steps: [identityStep()])
  }

  private func seconds(_ bench: Workbench, _ name: String) throws -> [Double] {
    try bench.times(name).split(separator: "\n").compactMap { Double($0.trimmingCharacters(in: [","])) }
  }

  @Test func partOfAFile() async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=96x64:rate=25:duration=3 -f lavfi -i sine=duration=3 -c:v libx264 -g 20 -c:a flac",
      "in.mkv")
    let summary = try await job(bench, "in.mkv", "out.mkv") {
      $0.start = .milliseconds(1200)
      $0.length = .milliseconds(800)
    }.run()
    #expect(summary.frames == 20)
    let (before, after) = (try Probe(bench, "in.mkv"), try Probe(bench, "out.mkv"))
    #expect(after.pictures == Array(before.pictures[30..<50]))
    #expect(try seconds(bench, "out.mkv").first == 0)
    let sound = after.packets(of: 1).compactMap { $0.number("pts_time") }
    #expect(try #require(sound.first) < 0.1 && #require(sound.last) < 0.8 && #require(sound.last) > 0.65)
  }

  @Test func chosenStream() async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i sine=duration=0.4 -f lavfi -i testsrc2=size=96x64:rate=25:duration=0.4 -f lavfi -i testsrc=size=64x48:rate=10:duration=0.4"
        + " -map 0 -map 1 -map 2 -c:v libx264 -c:a flac", "in.mkv")
    let summary = try await job(bench, "in.mkv", "out.mkv") { $0.stream = 2 }.run()
    #expect(summary.frames == 4 && summary.width == 64 && summary.leftOut == [])
    let (before, after) = (try Probe(bench, "in.mkv", video: 2), try Probe(bench, "out.mkv", video: 2))
    #expect(after.pictures == before.pictures)
    #expect(
      after.packets(of: 1).map { $0.text("data_hash") } == before.packets(of: 1).map { $0.text("data_hash") })
    for wrong in [0, 7] {
      let path = bench.path("in.mkv")
      let error = await #expect(throws: VideoIOError.self) {
        try await job(bench, "in.mkv", "none.mkv") { $0.stream = wrong }.run()
      }
      #expect(error == .noSuchVideoStream(path: path, index: wrong, videos: [1, 2]))
      #expect(error?.description == "stream \(wrong) of \(path) is not video")
      #expect(error?.hint == "its videos are the streams 1, 2")
    }
  }

  @Test(arguments: [Deinterlacing.frames, .fields])
  func fieldsBecomeFrames(mode: Deinterlacing) async throws {
    let bench = try Workbench()
    // A picture that moves with every field.
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=96x64:rate=50:duration=0.8 -f lavfi -i sine=duration=0.8 -vf interlace"
        + " -flags +ildct+ilme -c:v mpeg2video -q:v 2 -c:a mp2", "in.mkv")
    let summary = try await job(bench, "in.mkv", "out.mkv") { $0.deinterlacing = mode }.run()
    let factor = mode == .frames ? 1 : 2
    #expect(summary.frames == 20 * factor && summary.leftOut == [] && summary.warnings == [])
    let times = try seconds(bench, "out.mkv")
    for (index, time) in times.enumerated() {
      #expect(abs(time - times[0] - 0.04 * Double(index) / Double(factor)) < 0.0011)
    }
    let after = try Probe(bench, "out.mkv")
    #expect(after.frames.allSatisfy { $0.text("interlaced_frame") == "0" })
    #expect(after.streams[0].number("avg_frame_rate") == 25 * Double(factor))
    #expect(Set(after.pictures).count == after.pictures.count)
    // Compare with the ffmpeg program.
    let wanted = try runProgram(
      "ffmpeg",
      [
        "-v", "error", "-i", bench.path("in.mkv"), "-vf",
        "bwdif=mode=\(mode == .frames ? "send_frame" : "send_field"):deint=interlaced,setpts=N", "-fps_mode",
        "passthrough",
        "-f", "framemd5", "-map", "0:v", "-",
      ]
    ).split(separator: "\n").filter { !$0.hasPrefix("#") }
      .compactMap { $0.split(separator: ",").last?.trimmingCharacters(in: .whitespaces) }
    #expect(after.pictures == wanted)
  }

  @Test func deinterlacingKeepsTimesOfProgressiveFrames() async throws {
    let bench = try Workbench()
    // Unmarked frames: with the option, all of them are deinterlaced.
    try bench.ffmpeg("-f lavfi -i testsrc2=size=96x64:rate=25:duration=0.4 -c:v ffv1", "in.mkv")
    let summary = try await job(bench, "in.mkv", "out.mkv") { $0.deinterlacing = .frames }.run()
    #expect(summary.frames == 10)
    #expect(try seconds(bench, "out.mkv") == seconds(bench, "in.mkv"))
    // Too small to have fields.
    try bench.ffmpeg("-f lavfi -i testsrc2=size=2x2:rate=25:duration=0.4 -c:v ffv1", "tiny.mkv")
    await #expect(throws: VideoIOError.self) {
      try await job(bench, "tiny.mkv", "none.mkv") { $0.deinterlacing = .frames }.run()
    }
    #expect(!bench.contents.contains { $0.hasPrefix("none") })
  }

  /// When size or format changes, the frames before are kept, and the loss is reported.
  @Test(arguments: [
    ("size=96x64", "size=64x48", "yuv420p", "yuv420p"), ("size=96x64", "size=96x64", "yuv420p", "yuv422p"),
  ])
  func sizeOrFormatChangesMidStream(first: String, second: String, from: String, to: String) async throws {
    let bench = try Workbench()
    for (name, size, format) in [("a.ts", first, from), ("b.ts", second, to)] {
      try bench.ffmpeg(
        "-f lavfi -i testsrc2=\(size):rate=25:duration=0.4 -c:v libx264 -pix_fmt \(format)", name)
    }
    let joined = try ["a.ts", "b.ts"].reduce(Data()) {
      $0 + (try Data(contentsOf: URL(fileURLWithPath: bench.path($1))))
    }
    try joined.write(to: URL(fileURLWithPath: bench.path("in.ts")))
    let summary = try await job(bench, "in.ts", "out.mkv") { _ in }.run()
    #expect((1...10).contains(summary.frames))
    #expect(summary.leftOut.contains { $0.description.contains("what follows") }, "\(summary.leftOut)")
  }

  @Test func videoWithoutFrames() async throws {
    let bench = try Workbench()
    // A declared stream without packets.
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=96x64:rate=25:duration=0.4 -f lavfi -i sine=duration=0.4 -c:v libx264 -c:a flac",
      "a.mkv")
    try bench.ffmpeg("-i DIR/a.mkv -map 0 -c copy -bsf:v noise=drop=1", "in.mkv")
    let error = await #expect(throws: VideoIOError.self) {
      try await job(bench, "in.mkv", "out.mkv") { _ in }.run()
    }
    guard case .noFrames = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(error?.description.hasPrefix("no frame could be decoded from \(bench.path("in.mkv"))") == true)
  }

  /// Interpolated frames do not repeat captions.
  @Test func captionsAreWrittenOnce() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=size=96x64:rate=25:duration=0.4 -c:v mpeg2video -bf 0", "a.m2v")
    let url = URL(fileURLWithPath: bench.path("a.m2v"))
    try Data(captioned([UInt8](try Data(contentsOf: url)))).write(to: url)
    try bench.ffmpeg("-f mpegvideo -i DIR/a.m2v -c copy -bsf:v setts=ts=N/25/TB", "in.ts")
    let interpolation = EnhancementStep(rate: .factor(3)) {
      try zeroNetwork(.interpolation, width: $0, height: $1, threads: $2)
    }
    let summary = try await EnhancementJob(
      input: bench.path("in.ts"), output: bench.path("out.mkv"),
      encoder: EncoderSettings(preset: "ultrafast"),
      options: .init(threads: 2), steps: [interpolation]
    ).run()
    #expect(summary.frames == 30 && summary.leftOut == [])
    let captioned = try Probe(bench, "out.mkv").frames.map { frame in
      frame.entries("side_data_list").contains {
        $0.text("side_data_type")?.contains("Closed Captions") == true
      }
    }
    #expect(captioned == (0..<30).map { $0 % 3 == 0 })
  }
}
