// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

// Relatives of the reported files: the same kinds of faults in other containers and codecs.
extension FileCaseTests {
  private static let short =
    "-f lavfi -i testsrc2=s=96x64:r=25:d=1 -f lavfi -i sine=d=1 -c:v libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p"

  /// As `run`, for encoders that have no presets.
  private func runPlain(_ input: String, _ output: String, _ more: [String] = []) throws -> Outcome {
    try Program.Run(
      [
        bench.path(input), bench.path(output), "--bits", "32", "--quiet", "--model-file",
        try bench.makeModel(),
      ]
        + more
    ).finish()
  }

  /// Without edit lists, reordered frames would be 80 ms late.
  @Test(arguments: ["mp4", "mov"]) func fragmentsKeepSoundWithThePicture(container: String) throws {
    try bench.ffmpeg(Self.short + " -c:a aac", "in.mp4")
    let command =
      "'\(Program.url.path)' '\(bench.path("in.mp4"))' - --container \(container) --bits 32 --quiet"
      + " --preset ultrafast --encoder-option bf=2 --model-file '\(try bench.makeModel())' > '\(bench.path("out.mp4"))'"
    let done = try Program.Run(["-c", command], program: "/bin/sh").finish()
    #expect(done.code == 0, "\(done.errors)")
    let (frames, sound) = (try times("out.mp4"), try soundTimes("out.mp4"))
    #expect(frames.count == 25)
    #expect(try abs(#require(frames.first)) < 0.001, "\(frames)")
    #expect(try abs(#require(sound.first) + 0.0232) < 0.001, "\(sound)")
  }

  @Test(arguments: [[5], [3, 9], [10]]) func missingNumbersOfPictures(missing: [Int]) throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -start_number 7", "p%03d.png")
    for number in missing {
      try FileManager.default.removeItem(atPath: bench.path(String(format: "p%03d.png", number + 6)))
    }
    // The names of others do not matter.
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64 -frames:v 1 -update 1", "p20.png")
    let done = try run("p%03d.png", "out.mkv", ["--pix-fmt", "yuv420p"])
    #expect(try times("out.mkv").count == missing[0] - 1)
    if missing == [10] {
      #expect(done.code == 0, "\(done.errors)")
    } else {
      let count = 10 - missing[0] - missing.count + 1
      #expect(
        done.code == 2 && done.errors.contains("left out \(count) pictures behind a gap: ")
          && done.errors.contains(String(format: "p%03d.png does not exist", missing[0] + 6)),
        "\(done.errors)")
    }
  }

  /// The parameters of sound that begins in the second part of a transport stream are found.
  @Test func soundOfALaterPart() throws {
    try bench.ffmpeg(Self.short + " -an", "a.ts")
    try bench.ffmpeg(Self.short + " -c:a aac", "b.ts")
    try write(bytes("a.ts") + bytes("b.ts"), "in.ts")
    let done = try run("in.ts", "out.mp4")
    #expect(done.code == 0, "\(done.errors)")
    let sound = try soundTimes("out.mp4")
    #expect(sound.count > 40 && sound[0] > 0.9, "\(sound)")
  }

  /// The edit list of an MP4 file is not at fault if the part has no frame.
  @Test(arguments: ["mkv", "mp4", "ts", "flv"]) func partsWithoutFrames(ending: String) throws {
    try bench.ffmpeg(Self.short + " -c:a aac", "in.\(ending)")
    for part in [["--start", "0.99"], ["--start", "0.333", "--duration", "0.001"]] {
      let done = try run("in.\(ending)", "out.\(ending)", part)
      #expect(done.code == 1 && done.errorLines.count == 1, "\(done.errors)")
      #expect(done.errors.contains("begins within the part to be read (hint:"), "\(done.errors)")
      #expect(!bench.contents.contains { $0.hasPrefix("out") })
    }
  }

  /// A cut without encoding, as many programs make it: packets before the beginning are hidden by an edit list.
  @Test(arguments: ["mkv", "ts"]) func soundThatAnEditListHides(to: String) throws {
    try bench.ffmpeg(Self.short + " -g 100 -c:a aac", "a.mp4")
    try bench.ffmpeg("-ss 0.6 -i DIR/a.mp4 -c copy", "in.mp4")
    let hidden = try soundTimes("in.mp4").filter { $0 < -0.2 }.count
    #expect(hidden > 10)
    let done = try run("in.mp4", "out.\(to)")
    #expect(done.code == 0 && done.errors == "", "\(done.errors)")
    let (frames, sound) = (try times("out.\(to)"), try soundTimes("out.\(to)"))
    #expect(frames.count == 10, "\(frames)")
    let lead = try #require(frames.first) - #require(sound.first)
    #expect((0...0.13).contains(lead), "\(sound)")
    let kept = try run("in.mp4", "out.mp4")
    #expect(kept.code == 0, "\(kept.errors)")
    #expect(try soundTimes("out.mp4").count == soundTimes("in.mp4").count)
  }

  @Test func gapsThatAVICloses() throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=3 -f lavfi -i sine=d=3 -af aselect='lt(t,1)+gt(t,2)' -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
      "gap.mkv")
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=1 -itsoffset 0.7 -f lavfi -i sine=d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
      "late.mkv")
    try bench.ffmpeg(Self.short + " -c:a aac", "whole.mkv")
    for name in ["gap", "late", "whole"] {
      let done = try run("\(name).mkv", "\(name).avi", ["--codec", "h264"])
      let other = try run("\(name).mkv", "\(name).mp4")
      #expect(other.code == 0 && other.errors == "", "\(other.errors)")
      if name == "whole" {
        #expect(done.code == 0 && done.errors == "", "\(done.errors)")
      } else {
        #expect(
          done.code == 2
            && done.errors.contains("left out gaps of stream 1 (audio, aac), which do not fit into avi"),
          "\(done.errors)")
      }
    }
  }

  /// Muxers accept these, but store too little of them.
  @Test(arguments: [
    ("adpcm_swf -ar 22050", "flv", "mkv", "aac"), ("wmav1", "mkv", "nut", "vorbis"),
    ("flac", "mkv", "avi", "pcm_s16le"),
  ])
  func soundThatCannotBeReadAgain(codec: String, from: String, to: String, result: String) throws {
    let video = from == "flv" ? "flv" : "libx264 -preset ultrafast -pix_fmt yuv420p"
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=1 -f lavfi -i sine=d=1 -c:v \(video) -c:a \(codec)", "in.\(from)")
    let encoder = to == "avi" ? ["--codec", "h264"] : []
    let left = try run("in.\(from)", "left.\(to)", ["--audio", "copy"] + encoder)
    #expect(left.code == 2 && left.errors.contains("left out stream 1 (audio"), "\(left.errors)")
    let done = try run("in.\(from)", "out.\(to)", encoder)
    #expect(done.code == 0 && done.errors.contains("and is converted to \(result)"), "\(done.errors)")
    #expect(try bench.entries("out.\(to)", "codec_name", stream: "a") == "codec_name=\(result)\n")
    let samples = try runProgram(
      "ffmpeg",
      ["-v", "error", "-nostdin", "-i", bench.path("out.\(to)"), "-map", "0:a", "-f", "framemd5", "-"])
    #expect(samples.split(separator: "\n").count > 10)
  }

  /// Codecs that the container holds well are copied.
  @Test(arguments: [
    ("wmav1", "mkv"), ("adpcm_ms", "mkv"), ("adpcm_ms", "nut"), ("wavpack", "mkv"), ("pcm_f32le", "mov"),
  ])
  func rareSoundIsCopied(codec: String, to: String) throws {
    try bench.ffmpeg(Self.short + " -c:a \(codec)", "in.mkv")
    let done = try run("in.mkv", "out.\(to)")
    #expect(done.code == 0 && done.errors == "", "\(done.errors)")
    #expect(try bench.entries("out.\(to)", "codec_name", stream: "a") == "codec_name=\(codec)\n")
  }

  @Test func colourThatDoesNotFit() throws {
    func make(_ color: String, _ name: String) throws {
      try bench.ffmpeg(
        "-f lavfi -i testsrc2=s=96x64:r=25:d=0.2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p \(color)",
        name)
    }
    try make(
      "-color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc -color_range tv", "hlg.mkv")
    try make(
      "-color_primaries smpte170m -color_trc smpte170m -colorspace smpte170m -color_range tv", "sd.mkv")
    let done = try runPlain("hlg.mkv", "hlg.avi", ["--codec", "ffv1"])
    #expect(
      done.code == 2
        && done.errors.contains(
          "left out colour bt2020, arib-std-b67, matrix bt2020nc, which does not fit into avi"),
      "\(done.errors)")
    for ending in ["mkv", "mp4", "ts"] {
      let kept = try run("hlg.mkv", "hlg2.\(ending)")
      #expect(kept.code == 0 && kept.errors == "", "\(kept.errors)")
    }
    // Players assume this colour.
    let usual = try runPlain("sd.mkv", "sd.avi", ["--codec", "ffv1"])
    #expect(usual.code == 0 && usual.errors == "", "\(usual.errors)")
  }

  /// The name in the file tells more than "none".
  @Test func codecsThatFFmpegDoesNotKnow() throws {
    try write(Data("1\n00:00:00,000 --> 00:00:01,000\nhello\n".utf8), "a.srt")
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=1 -i DIR/a.srt -c:v libx264 -pix_fmt yuv420p -c:s ttml", "in.mp4")
    let done = try run("in.mp4", "out.mkv")
    #expect(done.code == 2 && done.errors.contains("left out stream 1 (data, stpp"), "\(done.errors)")
  }

  /// H.264 fits into neither.
  @Test func encodersForOggAndWebP() throws {
    try bench.ffmpeg(Self.short + " -c:a libvorbis", "in.mkv")
    let done = try runPlain("in.mkv", "out.ogv")
    #expect(done.code == 0 && done.errors == "", "\(done.errors)")
    #expect(try bench.entries("out.ogv", "codec_name") == "codec_name=theora\n")
    #expect(try times("out.ogv").count == 25)
    let animation = try runPlain("in.mkv", "animation.webp", ["--pix-fmt", "yuv420p"])
    #expect(animation.code == 2 && animation.errorLines.count == 1, "\(animation.errors)")
    #expect(animation.errors.contains("left out stream 1 (audio, vorbis)"), "\(animation.errors)")
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64 -frames:v 1", "in.png")
    let picture = try runPlain("in.png", "out.webp", ["--pix-fmt", "yuv420p"])
    #expect(picture.code == 0, "\(picture.errors)")
    #expect(try bench.entries("out.webp", "codec_name,width") == "codec_name=webp\nwidth=192\n")
  }

  /// H.264 from Matroska cannot be written to AVI, nor read from a program stream.
  @Test(arguments: [("avi", "mpeg4"), ("mpg", "mpeg2video")]) func secondVideosThatDoNotFit(
    to: String, codec: String
  ) throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=1 -f lavfi -i testsrc=s=64x64:r=25:d=1 -map 0 -map 1 -c:v libx264 -pix_fmt yuv420p",
      "in.mkv")
    let done = try runPlain("in.mkv", "out.\(to)", ["--stream", "0", "--codec", codec])
    #expect(
      done.code == 2 && done.errorLines.count == 1
        && done.errors.contains("left out stream 1 (video, h264): it does not fit"),
      "\(done.errors)")
    #expect(try times("out.\(to)").count == 25)
  }

  /// Lost packets cost some sound, not the rest of it.
  @Test(arguments: ["mp4", "mkv"]) func soundWithLosses(to: String) throws {
    try bench.ffmpeg(Self.short.replacingOccurrences(of: "d=1", with: "d=4") + " -c:a aac", "whole.ts")
    let whole = try bytes("whole.ts")
    var rest = whole.prefix(188 * 20)
    for (number, start) in stride(from: 188 * 20, to: whole.count, by: 188).enumerated()
    where number % 19 != 7 {
      rest += whole[start..<start + 188]
    }
    try write(rest, "in.ts")
    let done = try run("in.ts", "out.\(to)")
    #expect(done.code == 2 && !done.errors.contains("is cut off"), "\(done.errors)")
    let sound = try soundTimes("out.\(to)")
    let end = try #require(times("out.\(to)").last)
    #expect(sound.count > 110)
    #expect(try abs(#require(sound.last) - end) < 0.3, "\(sound)")
  }

  /// A codec that changes within a stream is not damage.
  @Test func soundThatBecomesAnother() throws {
    for (name, codec) in [("a.ts", "aac"), ("b.ts", "mp2")] {
      try bench.ffmpeg(Self.short + " -c:a \(codec)", name)
    }
    try write(try bytes("a.ts") + bytes("b.ts"), "in.ts")
    let done = try run("in.ts", "out.mp4")
    #expect(
      done.code == 2 && done.errors.contains("stream 1 (audio, aac) is cut off at "), "\(done.errors)")
    #expect(try times("out.mp4").count == 50)
    #expect(try (40...50).contains(soundTimes("out.mp4").count))
  }

  /// Frames of a variable rate in containers with a constant one.
  @Test(arguments: [("mxf", "mpeg2video"), ("y4m", "auto"), ("avi", "mpeg4")]) func pausesOfTheVideo(
    to: String, codec: String
  ) throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=2 -vf select='lt(t,0.5)+gt(t,1.5)' -fps_mode passthrough -c:v libx264 -pix_fmt yuv420p",
      "gap.mkv")
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=1 -c:v libx264 -pix_fmt yuv420p", "even.mkv")
    let even = try runPlain("even.mkv", "even.\(to)", ["--codec", codec])
    #expect(even.code == 0 && even.errors == "", "\(even.errors)")
    let done = try runPlain("gap.mkv", "gap.\(to)", ["--codec", codec])
    if to == "avi" {
      #expect(done.code == 0 && done.errors == "", "\(done.errors)")
      #expect(try abs(#require(times("gap.avi").last) - 1.96) < 0.1)
    } else {
      #expect(done.code == 2 && done.errors.contains("left out pauses of the video, which"), "\(done.errors)")
      #expect(done.errors.contains("it is 1.0"), "\(done.errors)")
    }
  }

  @Test func sequencesDoNotReplaceThemselves() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.2", "p%d.png")
    let before = try bytes("p1.png")
    let done = try run("p%d.png", "p%d.png", ["--overwrite"])
    #expect(done.code == 1 && done.errors.contains("is the input"), "\(done.errors)")
    let isEqual = try bytes("p1.png") == before
    #expect(isEqual)
    let other = try runPlain("p%d.png", "p%02d.png")
    #expect(other.code == 0 && bench.contents.contains("p05.png"), "\(other.errors)")
  }

  @Test func sequencesResume() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.4", "p%03d.png")
    for (name, more) in [
      ("whole.mkv", ["--segment-frames", "4"]), ("out.mkv", ["--segment-frames", "4", "--resume"]),
    ] {
      let done = try run("p%03d.png", name, ["--pix-fmt", "yuv420p"] + more)
      #expect(done.code == 0, "\(done.errors)")
      #expect(try times(name).count == 10)
    }
    let isEqual = try bytes("whole.mkv") == bytes("out.mkv")
    #expect(isEqual)
  }

  @Test func emptyNames() throws {
    for (arguments, side) in [(["", "out.mp4"], "input"), (["in.mp4", ""], "output")] {
      let done = try Program.Run(arguments).finish()
      #expect(done.code == 64 && done.errors.contains("the name of the \(side) is empty"), "\(done.errors)")
    }
  }
}
