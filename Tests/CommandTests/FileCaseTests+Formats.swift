// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

// Pixel formats, containers and picture files.
extension FileCaseTests {
  @Test func oddSizes() throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=176x96:r=25:d=0.4 -vf crop=161:91:exact=1,format=yuv420p -c:v libvpx-vp9 -deadline realtime -cpu-used 8",
      "odd.webm")
    let done = try runSameSize("odd.webm", "out.mp4")
    #expect(done.code == 0 && done.errorLines.count == 1, "\(done.errors)")
    #expect(done.errors.contains("the last column and row of 161x91 is left out"), "\(done.errors)")
    #expect(try bench.entries("out.mp4", "width,height") == "width=160\nheight=90\n")
    let webm = try runSameSize("odd.webm", "out.webm")
    #expect(webm.code == 0 && webm.errors == "", "\(webm.errors)")
    #expect(try bench.entries("out.webm", "width,height") == "width=161\nheight=91\n")
  }

  @Test func deepLayouts() throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=160x90:d=0.4 -c:v prores_ks -profile:v 4444 -pix_fmt yuv444p10le", "in.mov")
    let done = try run("in.mov", "out.mp4")
    #expect(done.code == 0 && done.errorLines.count <= 2, "\(done.errors)")
    #expect(try bench.entries("out.mp4", "pix_fmt") == "pix_fmt=yuv444p10le\n")
  }

  @Test func animationsBecomeVideosThatPlay() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=10:d=1", "in.gif")
    let done = try run("in.gif", "out.mp4")
    #expect(done.code == 0 && done.errors.contains("--pix-fmt"), "\(done.errors)")
    #expect(try bench.entries("out.mp4", "pix_fmt") == "pix_fmt=yuv420p\n")
    let full = try run("in.gif", "full.mp4", ["--pix-fmt", "yuv444p"])
    #expect(full.code == 0, "\(full.errors)")
    #expect(try bench.entries("full.mp4", "pix_fmt") == "pix_fmt=yuv444p\n")
  }

  /// Screen recordings are often lossless RGB, which hardly any player takes in mp4.
  @Test func rgbVideosBecomeVideosThatPlay() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=10:d=0.5 -pix_fmt bgr0 -c:v ffv1", "in.mkv")
    let done = try run("in.mkv", "out.mp4")
    #expect(done.code == 0 && done.errors.contains("--pix-fmt"), "\(done.errors)")
    #expect(try bench.entries("out.mp4", "pix_fmt") == "pix_fmt=yuv420p\n")
  }

  /// Creates numbered pictures, starting at any number.
  @Test func pictureSequences() throws {
    try FileManager.default.createDirectory(atPath: bench.path("frames"), withIntermediateDirectories: true)
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -start_number 37", "frames/%05d.png")
    let done = try run("frames/%05d.png", "out.mp4")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try times("out.mp4").count == 10)
    // FFmpeg ends at an empty one without an error.
    try write(Data(), "frames/00043.png")
    let short = try run("frames/%05d.png", "short.mp4")
    #expect(short.code == 2 && short.errors.contains("left out what is missing"), "\(short.errors)")
    let missing = try run("frames/%05d.jpg", "none.mp4")
    #expect(missing.code == 1 && missing.errorLines.count == 1, "\(missing.errors)")
  }

  /// FFmpeg ends these files at the joint, without an error.
  @Test(arguments: ["flv", "wmv", "mp4", "mov"]) func joinedFilesAreNamed(ending: String) throws {
    let sound = ending == "wmv" ? "-c:v wmv2 -c:a wmav2" : "-c:v libx264 -c:a aac"
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -f lavfi -i sine=d=0.4 \(sound)", "one.\(ending)")
    let one = try bytes("one.\(ending)")
    try write(one + one, "two.\(ending)")
    let whole = try run("one.\(ending)", "one.mkv")
    #expect(whole.code == 0, "\(whole.errors)")
    let joined = try run("two.\(ending)", "two.mkv")
    #expect(joined.code == 2 && joined.errorLines.count == 1, "\(joined.errors)")
    #expect(joined.errors.contains("(\(one.count) bytes): tail -c +\(one.count + 1)"), "\(joined.errors)")
    #expect(try times("two.mkv").count == 10)
  }

  /// A file of another kind behind the first.
  @Test(arguments: [("mp4", "mkv"), ("avi", "ts")]) func otherKindsBehindTheEnd(_ kinds: (String, String))
    throws
  {
    for ending in [kinds.0, kinds.1] {
      try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -c:v mpeg4", "one.\(ending)")
    }
    let first = try bytes("one.\(kinds.0)")
    try write(first + bytes("one.\(kinds.1)"), "two.\(kinds.0)")
    let done = try runSameSize("two.\(kinds.0)", "out.mkv")
    #expect(done.code == 2 && done.errors.contains("tail -c +\(first.count + 1)"), "\(done.errors)")
  }

  /// Reads from a pipe, if the container allows it.
  @Test(arguments: ["mkv", "ts", "mp4"]) func standardInput(ending: String) throws {
    try bench.ffmpeg(Self.base + (ending == "mp4" ? " -movflags faststart" : ""), "in.\(ending)")
    let done = try Program.Run(
      ["-c", "cat \"$1\" | \"$0\" - \"$2\" --bits 32 --model-file \"$3\" --quiet", Program.url.path]
        + [bench.path("in.\(ending)"), bench.path("out.mkv"), try bench.makeModel()], program: "/bin/sh"
    ).finish()
    #expect(done.code == 0, "\(done.errors)")
    #expect(try times("out.mkv").count == 50)
    #expect(try soundTimes("out.mkv").count > 80)
  }

  /// H.264 layouts that few players support cause a warning in mp4, with the option that avoids them.
  @Test(arguments: ["yuv420p10le", "yuv422p", "yuv444p"]) func layoutsThatFewPlayersSupport(layout: String)
    throws
  {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.2 -pix_fmt \(layout) -c:v ffv1", "in.mkv")
    let named = try run("in.mkv", "out.mp4")
    #expect(named.code == 0 && named.errorLines.count == 1, "\(named.errors)")
    #expect(
      named.errors.contains("few players support H.264 of \(layout); --pix-fmt yuv420p"), "\(named.errors)")
    let asked = try run("in.mkv", "asked.mp4", ["--pix-fmt", "yuv420p"])
    #expect(!asked.errors.contains("few players"), "\(asked.errors)")
    #expect(try bench.entries("asked.mp4", "pix_fmt") == "pix_fmt=yuv420p\n")
    let other = try run("in.mkv", "out.mkv")
    #expect(other.code == 0 && other.errors == "", "\(other.errors)")
  }

  @Test(arguments: ["avi", "mpg", "vob"]) func outdatedContainers(ending: String) throws {
    try bench.ffmpeg(Self.base, "in.mp4")
    let refused = try run("in.mp4", "out.\(ending)")
    #expect(refused.code == 1 && refused.errorLines.count == 1, "\(refused.errors)")
    #expect(refused.errors.contains("few players support H.264 in a file such as"), "\(refused.errors)")
    #expect(refused.errors.contains("(hint: use a name that ends in .mp4 or .mkv"), "\(refused.errors)")
    #expect(!bench.contents.contains { $0.hasPrefix("out") })
    let done = try Program.run(
      bench.path("in.mp4"), bench.path("out.\(ending)"), "--bits", "32", "--model-file",
      try bench.makeModel(),
      "--codec", "mpeg2video", "--quiet")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try bench.entries("out.\(ending)", "codec_name") == "codec_name=mpeg2video\n")
  }

  /// Codecs by their names: the best encoder that is present.
  @Test(arguments: [
    ("h264", "h264", "ultrafast"), ("hevc", "hevc", "ultrafast"), ("x265", "hevc", "ultrafast"),
    ("av1", "av1", "12"),
  ])
  func codecsByName(name: String, codec: String, preset: String) throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.2 -pix_fmt yuv420p -c:v ffv1", "in.mkv")
    let done = try run("in.mkv", "out.mp4", ["--codec", name, "--preset", preset])
    #expect(done.code == 0, "\(done.errors)")
    #expect(try bench.entries("out.mp4", "codec_name") == "codec_name=\(codec)\n")
    if name == "av1" {
      let verbose = try Program.run(
        bench.path("in.mkv"), bench.path("v.mkv"), "--bits", "32", "--model-file", try bench.makeModel(),
        "--codec",
        "av1", "--preset", "12", "--verbose")
      #expect(verbose.errors.contains("encoder libsvtav1"), "\(verbose.errors)")
    }
  }

  @Test func animatedGIF() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -pix_fmt yuv420p -c:v ffv1", "in.mkv")
    let done = try Program.run(
      bench.path("in.mkv"), bench.path("out.gif"), "--bits", "32", "--model-file", try bench.makeModel(),
      "--quiet")
    #expect(done.code == 0 && done.errors.contains("256 colours"), "\(done.errors)")
    #expect(try times("out.gif").count == 10)
    let found = try times("out.gif")
    #expect(zip(found, found.dropFirst()).allSatisfy { abs($1 - $0 - 0.04) < 0.001 }, "\(found)")
    // Near the frames of a lossless output.
    let lossless = try Program.run(
      bench.path("in.mkv"), bench.path("out.mkv"), "--bits", "32", "--model-file", try bench.makeModel(),
      "--codec", "ffv1", "--quiet")
    #expect(lossless.code == 0, "\(lossless.errors)")
    let text = try runProgram(
      "ffmpeg",
      ["-v", "error", "-nostdin", "-i", bench.path("out.gif"), "-i", bench.path("out.mkv"), "-lavfi"]
        + ["[0]format=yuv420p[a];[1]format=yuv420p[b];[a][b]psnr=stats_file=-", "-f", "null", "-"])
    let values = text.split(separator: "\n").compactMap { line in
      line.split(separator: " ").first { $0.hasPrefix("psnr_y:") }.flatMap { Double($0.dropFirst(7)) }
    }
    #expect(values.count == 10 && values.allSatisfy { $0 > 25 }, "\(values)")
  }

  /// Encoders without presets refuse them before any work.
  @Test(arguments: [
    ("out.gif", "auto"), ("out%02d.png", "auto"), ("out.mkv", "ffv1"), ("out.mov", "prores_ks"),
    ("out.webm", "libvpx-vp9"), ("out.webm", "auto"),
  ])
  func encodersWithoutPresets(name: String, codec: String) throws {
    let input = try bench.makeVideo()
    for option in ["--preset", "--encoder-preset"] {
      let done = try Program.run(
        input, bench.path(name), "--bits", "32", "--model-file", try bench.makeModel(), "--codec", codec,
        option, "veryfast", "--quiet")
      #expect(done.code == 64, "\(done.errors)")
      #expect(
        done.errors.contains("has no presets (hint: leave out --preset;")
          && done.errors.split(separator: "\n").count == 1, "\(done.errors)")
    }
    let left = try FileManager.default.contentsOfDirectory(atPath: bench.path("")).filter {
      $0.hasPrefix("out")
    }
    #expect(left == [])
  }

  /// Every frame as a picture of its own; nothing is left of a run that fails.
  @Test func numberedPictures() throws {
    let video = try bench.makeVideo()
    let model = try bench.makeModel()
    // A percent sign in a folder's name is not a pattern.
    let folder = "100%d shots"
    try FileManager.default.createDirectory(atPath: bench.path(folder), withIntermediateDirectories: true)
    func run(_ more: String...) throws -> Outcome {
      try Program.Run(
        [video, bench.path(folder + "/%04d.png"), "--bits", "32", "--model-file", model, "--quiet"] + more
      ).finish()
    }
    func pictures() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: bench.path(folder)).sorted()
    }
    let done = try run()
    #expect(done.code == 0, "\(done.errors)")
    #expect(try pictures() == (1...10).map { String(format: "%04d.png", $0) })
    let size = try runProgram(
      "ffprobe",
      ["-v", "error", "-pattern_type", "none", "-show_entries", "stream=width,height", "-of", "csv=p=0"]
        + [bench.path(folder + "/0010.png")])
    #expect(size == "192,128\n")
    let taken = try run()
    #expect(taken.code == 1 && taken.errors.contains("0001.png exists"), "\(taken.errors)")
    #expect(try run("--overwrite").code == 0)
    // A name that is taken later stops the run; what it made is removed.
    try FileManager.default.removeItem(atPath: bench.path(folder + "/0001.png"))
    try FileManager.default.removeItem(atPath: bench.path(folder + "/0002.png"))
    #expect(try run().code == 1)
    #expect(try pictures() == (3...10).map { String(format: "%04d.png", $0) })
    // They are read as they were written.
    let back = try Program.run(
      bench.path(folder + "/%04d.png"), bench.path("back.mkv"), "--bits", "32", "--model-file", model,
      "--quiet")
    #expect(back.code == 0, "\(back.errors)")
    #expect(try times("back.mkv").count == 8)
  }
}
