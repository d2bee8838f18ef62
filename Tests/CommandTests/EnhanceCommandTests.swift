// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite struct EnhanceCommandTests {
  @Test func enhances() throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(), try bench.makeModel())
    let run = try Program.run(
      video, bench.path("out.mp4"), "--bits", "32", "--model-file", model, "--crf", "20", "--preset",
      "ultrafast",
      "--encoder-option", "g=5", "--encoder-option", "x264-params=bframes=0:scenecut=0", "--threads", "1")
    #expect(run.code == 0, "\(run.errors)")
    #expect(run.output == "")
    #expect(run.errorLines.count == 1)
    #expect(run.errors.hasPrefix("\(bench.path("out.mp4")): 10 frames, 192x128, "))
    #expect(
      try bench.entries("out.mp4", "codec_name,width,height") == "codec_name=h264\nwidth=192\nheight=128\n")
    let keys = try bench.ffprobe("out.mp4", "-select_streams v:0 -show_entries packet=flags -of csv=p=0")
    #expect(keys.split(separator: "\n").filter { $0.hasPrefix("K") }.count == 2)
  }

  @Test func quietPrintsNothing() throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(), try bench.makeModel())
    let run = try Program.run(
      "enhance", video, bench.path("out.mkv"), "--bits", "32", "--model-file", model, "--quiet",
      "--no-scene-cut")
    #expect(run.code == 0)
    #expect(run.errors == "" && run.output == "")
  }

  @Test func profilePrintsTimes() throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(), try bench.makeModel())
    let run = try Program.run(
      video, bench.path("out.mkv"), "--bits", "32", "--model-file", model, "--profile")
    #expect(run.code == 0)
    // Total seconds, milliseconds per call, and the name of the part.
    let parts = run.errorLines.filter { $0.contains(" ms each  ") }.map { $0.split(separator: "each  ")[1] }
    #expect(
      parts.sorted() == [
        "check", "convert, scene cuts", "decode", "encode, write", "enlarge", "finish the file",
        "motion, packing", "network",
      ])
    #expect(run.errorLines.last?.contains(" s in all, ") == true && run.errors.contains(" MB\n"))
    // Only for single videos.
    let folder = try Program.run("batch", bench.path(""), bench.path("out"), "--profile")
    #expect(folder.code == 64 && folder.errors.contains("--profile is for one video, not for a folder"))
  }

  @Test func verbosePrintsSceneCuts() throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=96x64:rate=25 -f lavfi -i mandelbrot=size=96x64:rate=25 -filter_complex "
        + "[0]trim=end_frame=5,setsar=1,format=yuv420p[a];[1]trim=end_frame=5,setsar=1,format=yuv420p[b];"
        + "[a][b]concat=n=2 -c:v ffv1", "in.mkv")
    let run = try Program.run(
      bench.path("in.mkv"), bench.path("out.mkv"), "--bits", "32", "--model-file", try bench.makeModel(),
      "--verbose")
    #expect(run.code == 0)
    #expect(run.errors.contains("scene cut at frame 5\n"))
    #expect(run.errors.contains("encoder libx264, yuv420p, at most "))
  }

  /// `--verbose` prints the level that is removed, which `--strength` scales.
  @Test func strengthScalesTheNoiseThatIsRemoved() throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i color=gray:size=96x64:rate=25:duration=0.32 -vf noise=c0s=20:c0f=t:all_seed=5 -c:v ffv1",
      "in.mkv")
    func run(_ options: String...) throws -> (level: Double?, errors: String) {
      let run = try Program.Run(
        [bench.path("in.mkv"), bench.path("out.mkv"), "--task", "denoise", "--overwrite", "--verbose"]
          + ["--codec", "ffv1"] + options
      ).finish()
      #expect(run.code == 0)
      let words = run.errorLines.first { $0.hasPrefix("noise removed: level ") }?.split(separator: " ")
      return (words.flatMap { Double($0[3]) }, run.errors)
    }
    let whole = try #require(try run().level)
    let half = try #require(try run("--strength", "0.5").level)
    #expect(whole > 6 && abs(half - whole / 2) <= 0.5, "\(whole), \(half)")
    #expect(try run("--noise", "9").level == nil)
    // Without strength, the noise of a film of one picture stays; with it, it becomes weaker.
    func noise() throws -> Int {
      try bench.ffmpeg("-i DIR/out.mkv -frames:v 1 -pix_fmt gray -f rawvideo", "out.raw")
      let samples = try Data(contentsOf: URL(fileURLWithPath: bench.path("out.raw")))
      let mean = samples.reduce(0) { $0 + Int($1) } / samples.count
      return samples.reduce(0) { $0 + abs(Int($1) - mean) }
    }
    _ = try run("--strength", "0")
    let rough = try noise()
    _ = try run()
    #expect(try noise() * 4 < rough * 3)
  }

  @Test func overwritesOnlyOnRequest() throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(), try bench.makeModel())
    let output = bench.path("out.mkv")
    try Data("kept".utf8).write(to: URL(fileURLWithPath: output))
    let refused = try Program.run(video, output, "--bits", "32", "--model-file", model)
    #expect(refused.code == 1)
    #expect(
      refused.errors
        == "videnhance: output \(output) exists (hint: choose another name, or pass --overwrite)\n")
    #expect(try String(contentsOfFile: output, encoding: .utf8) == "kept")
    let done = try Program.run(video, output, "--bits", "32", "--model-file", model, "--overwrite")
    #expect(done.code == 0)
    #expect(try bench.times("out.mkv").split(separator: "\n").count == 10)
  }

  @Test func readsAndWritesPipes() throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(), try bench.makeModel())
    try runProgram(
      "sh",
      [
        "-c", "ffmpeg -v error -i $0 -f yuv4mpegpipe - | $1 - - --bits 32 --model-file $2 --quiet > $3",
        video,
        Program.url.path, model, bench.path("out"),
      ])
    #expect(try bench.ffprobe("out", "-show_entries format=format_name -of csv=p=0") == "yuv4mpegpipe\n")
    #expect(try bench.entries("out", "width,height") == "width=192\nheight=128\n")
    #expect(try bench.times("out").split(separator: "\n").count == 10)
  }

  @Test func containerMayBeNamed() throws {
    let bench = try Workbench()
    let run = try Program.run(
      try bench.makeVideo(), bench.path("out.bin"), "--bits", "32", "--model-file", try bench.makeModel(),
      "--container", "matroska", "--codec", "ffv1")
    #expect(run.code == 0, "\(run.errors)")
    #expect(try bench.ffprobe("out.bin", "-show_entries format=format_name").contains("=matroska,webm\n"))
    #expect(try bench.entries("out.bin", "codec_name") == "codec_name=ffv1\n")
  }

  @Test func leftOutStreamExitsWithTwo() throws {
    let bench = try Workbench()
    try Data("1\n00:00:00,000 --> 00:00:00,300\nhello\n".utf8).write(
      to: URL(fileURLWithPath: bench.path("a.srt")))
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=96x64:rate=25:duration=0.4 -i DIR/a.srt -map 0 -map 1 -c:v ffv1 -c:s srt",
      "in.mkv")
    let run = try Program.run(
      bench.path("in.mkv"), bench.path("out.mp4"), "--bits", "32", "--model-file", try bench.makeModel(),
      "--subtitles", "copy")
    #expect(run.code == 2)
    #expect(run.errors.contains("videnhance: warning: \(bench.path("out.mp4")): left out stream 1 (subtitle"))
    #expect(try bench.times("out.mp4").split(separator: "\n").count == 10)
  }

  @Test(arguments: [SIGINT, SIGTERM]) func signalLeavesNothing(signal: Int32) throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(size: "640x360", seconds: 30), try bench.makeModel())
    let before = bench.contents
    let run = try Program.Run([
      video, bench.path("out.mkv"), "--bits", "32", "--model-file", model, "--quiet",
    ])
    // Other tests may block the threads that would resume a sleeping task for longer than the run takes.
    for _ in 0..<600 where bench.contents == before { usleep(50_000) }
    #expect(bench.contents == ["in.mkv", "out.mkv.part", "zero.safetensors"])
    kill(run.process.processIdentifier, signal)
    let outcome = run.finish()
    #expect(outcome.code == 130)
    #expect(outcome.errors == "videnhance: \(bench.path("out.mkv")): interrupted, nothing is left of it\n")
    #expect(bench.contents == before)
  }

  /// If the container does not support H.264, its default encoder is used; if it does not support the codec of the
  /// named encoder, the error contains a hint.
  @Test func containersGetASupportedEncoder() throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(), try bench.makeModel())
    let codecs = ["out.webm": "vp9", "out.mp4": "h264", "out.ts": "h264", "out.ogv": "theora"]
    for (name, codec) in codecs {
      let run = try Program.run(video, bench.path(name), "--bits", "32", "--model-file", model)
      #expect(run.code == 0, "\(run.errors)")
      #expect(try bench.entries(name, "codec_name").hasPrefix("codec_name=\(codec)\n"))
    }
    let refused = try Program.run(
      video, bench.path("new.ogv"), "--bits", "32", "--model-file", model, "--codec", "libx264")
    #expect(refused.code == 1 && refused.errorLines.count == 1, "\(refused.errors)")
    #expect(
      refused.errors.contains("file \(bench.path("new.ogv")) cannot hold h264 video"), "\(refused.errors)")
    #expect(refused.errors.contains("(hint: choose another container, such as .mkv, or another encoder)"))
  }
}
