// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Foundation
import TestSupport
import Testing

@testable import VidenhanceTool

/// Tests parts, streams, fields and pipes on the command line.
@Suite struct SourceCommandTests {
  @Test(arguments: [
    ("1.5", 1.5), ("90", 90), ("1:30", 90), ("01:02:03.25", 3723.25), ("0:0.000001", 0.000001),
    ("100:00", 6000),
  ])
  func times(text: String, seconds: Double) throws {
    let time = try #require(TimeOption(argument: text))
    #expect(abs(time.value.seconds - seconds) < 1e-9)
  }

  @Test(arguments: [
    "", ":", "1:", "-1", "1:60", "1:2:3:4", "1.2.3", "1e3", "ten", "1.", "1:99:00", "9999999999",
  ])
  func wrongTimes(text: String) { #expect(TimeOption(argument: text) == nil) }

  @Test(arguments: [
    ["--start", "soon"], ["--duration", "0"], ["--stream", "-1"], ["--deinterlace", "--deinterlace-fields"],
  ])
  func wrongUsageIsCode64(arguments: [String]) throws {
    let run = try Program.Run(["in.mkv", "out.mkv"] + arguments).finish()
    #expect(run.code == 64 && run.output == "")
  }

  private func run(_ bench: Workbench, _ input: String, _ output: String, _ more: String...) throws -> Outcome
  {
    try Program.Run(
      [bench.path(input), bench.path(output), "--bits", "32", "--model-file", bench.makeModel(), "--quiet"]
        + more
    ).finish()
  }

  @Test func partsStreamsAndFields() throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=96x64:rate=50:duration=2 -f lavfi -i testsrc=size=64x48:rate=25:duration=2 -filter_complex"
        + " [0]interlace[v] -map [v] -map 1 -flags +ildct+ilme -c:v:0 mpeg2video -c:v:1 ffv1", "in.mkv")
    var done = try run(bench, "in.mkv", "a.mkv", "--deinterlace", "--start", "0.4", "--duration", "0:01")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try bench.times("a.mkv").split(separator: "\n").count == 25)
    done = try run(bench, "in.mkv", "b.mkv", "--deinterlace-fields", "--duration", "1")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try bench.times("b.mkv").split(separator: "\n").count == 50)
    done = try run(bench, "in.mkv", "c.mkv", "--stream", "1")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try bench.entries("c.mkv", "width,height", stream: "1") == "width=128\nheight=96\n")
    done = try run(bench, "in.mkv", "d.mkv", "--stream", "2")
    #expect(done.code == 1)
    #expect(
      done.errors.contains(
        "stream 2 of \(bench.path("in.mkv")) is not video (hint: its videos are the streams 0, 1)"))
    done = try run(bench, "in.mkv", "e.mkv", "--start", "3")
    #expect(done.code == 1 && done.errorLines.count == 1)
    #expect(bench.contents == ["a.mkv", "b.mkv", "c.mkv", "in.mkv", "zero.safetensors"])
  }

  /// Pipelines with the ffmpeg program at both ends.
  @Test(arguments: [("nut", "nut"), ("yuv4mpegpipe", "nut"), ("nut", "matroska"), ("yuv4mpegpipe", "")])
  func pipes(from: String, to: String) throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=96x64:rate=24000/1001:duration=1 -f lavfi -i sine=duration=1 -pix_fmt yuv420p10le -c:v ffv1 -c:a flac",
      "in.mkv")
    let hasSound = from != "yuv4mpegpipe"
    let container = to.isEmpty ? "" : "--container \(to)"
    try runProgram(
      "sh",
      [
        "-c",
        """
        ffmpeg -v error -i $0 -c:v \(hasSound ? "rawvideo -c:a copy" : "wrapped_avframe -strict -1 -an") -f \(from) - |
        $1 - - \(container) --bits 32 --model-file $2 --quiet --start 0.25 --duration 0.5 |
        ffmpeg -v error -i - -c:v ffv1 -c:a copy -fps_mode passthrough $3
        """, bench.path("in.mkv"), Program.url.path, bench.makeModel(), bench.path("out.mkv"),
      ])
    #expect(
      try bench.entries("out.mkv", "width,height,pix_fmt") == "width=192\nheight=128\npix_fmt=yuv420p10le\n")
    #expect(try bench.times("out.mkv").split(separator: "\n").count == 12)
    #expect(try bench.entries("out.mkv", "codec_name", stream: "a") == (hasSound ? "codec_name=flac\n" : ""))
  }
}
