// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import TestSupport
import Testing

/// Tests real-world files, each modelled on a public report: the output can be played, and everything missing
/// in it is reported.
@Suite struct FileCaseTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  static let base =
    "-f lavfi -i testsrc2=s=160x90:r=25:d=2 -f lavfi -i sine=d=2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac"

  func run(_ input: String, _ output: String, _ more: [String] = []) throws -> Outcome {
    try Program.Run(
      [
        "-s", "KILL", "100", Program.url.path, bench.path(input), bench.path(output), "--bits", "32",
        "--model-file",
      ]
        + [try bench.makeModel(), "--preset", "ultrafast", "--quiet"] + more, program: "/usr/bin/timeout"
    ).finish()
  }

  /// Denoises with a network that adds nothing; extents do not change.
  func runSameSize(_ input: String, _ output: String, _ more: [String] = []) throws -> Outcome {
    let architecture = Architecture(
      task: .denoising, scale: 1, window: 3, alignment: .block, encoderChannels: 8, channels: 8, blocks: 0)
    let layers = architecture.graph.layers
    let weights = NetworkWeights(
      architecture: architecture, weights: layers.map { [Float](repeating: 0, count: $0.weightCount) },
      biases: layers.map { [Float](repeating: 0, count: $0.outputChannels) }, recipe: "zeros")
    try weights.file.write(path: bench.path("denoise.safetensors"))
    return try Program.Run(
      [bench.path(input), bench.path(output), "--task", "denoise", "--bits", "32", "--quiet", "--model-file"]
        + [bench.path("denoise.safetensors")] + more
    ).finish()
  }

  func times(_ name: String) throws -> [Double] {
    try bench.times(name).split(separator: "\n").compactMap {
      Double($0.trimmingCharacters(in: CharacterSet(charactersIn: ", ")))
    }
  }

  func soundTimes(_ name: String) throws -> [Double] {
    try bench.ffprobe(name, "-select_streams a:0 -show_entries packet=pts_time -of csv=p=0").split(
      separator: "\n"
    )
    .compactMap { Double($0.trimmingCharacters(in: CharacterSet(charactersIn: ", "))) }
  }

  func bytes(_ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: bench.path(name)))
  }

  func write(_ data: Data, _ name: String) throws {
    try data.write(to: URL(fileURLWithPath: bench.path(name)))
  }

  // MARK: - Announced lengths

  @Test(arguments: ["mkv", "ts", "flv", "avi"]) func truncatedFilesAreSaved(ending: String) throws {
    try bench.ffmpeg("\(Self.base.replacingOccurrences(of: "d=2", with: "d=6")) -g 10", "whole.\(ending)")
    let whole = try bytes("whole.\(ending)")
    try write(whole.prefix(whole.count * 2 / 3), "cut.\(ending)")
    let done = try run("cut.\(ending)", "out.mkv")
    let count = try times("out.mkv").count
    #expect((60...120).contains(count), "\(count)")
    // A transport stream has no duration in its header.
    #expect(done.code == (ending == "ts" ? 0 : 2), "\(done.errors)")
    if ending != "ts" {
      #expect(done.errors.contains("left out what is missing in the source"), "\(done.errors)")
    }
  }

  @Test func aWrongLengthInTheHeader() throws {
    try bench.ffmpeg(Self.base, "a.flv")
    var data = try bytes("a.flv")
    let place = try #require(data.firstRange(of: Data("duration".utf8))).upperBound + 1
    let wrong = (2_147_483.0).bitPattern.bigEndian
    withUnsafeBytes(of: wrong) { data.replaceSubrange(place..<place + 8, with: $0) }
    try write(data, "in.flv")
    for more in [[], ["--resume"]] {
      let done = try run("in.flv", "out.mp4", more + ["--overwrite"])
      #expect(done.code == 2 && done.errorLines.count == 1, "\(done.errors)")
      #expect(try times("out.mp4").count == 50)
      #expect(bench.contents == ["a.flv", "in.flv", "out.mp4", "zero.safetensors"])
    }
  }

  // MARK: - Streams that containers support

  @Test(arguments: [
    ("flac", "mkv", "ts"), ("libvorbis", "mkv", "ts"), ("pcm_s16le", "mkv", "ts"), ("alac", "mkv", "m2ts"),
    ("wmav2", "mkv", "ts"),
    ("flac", "mkv", "m2ts"),
  ])
  func soundThatDoesNotFit(codec: String, from: String, to: String) throws {
    try bench.ffmpeg("\(Self.base.replacingOccurrences(of: "aac", with: codec)) -strict -2", "in.\(from)")
    let left = try run("in.\(from)", "left.\(to)", ["--audio", "copy"])
    #expect(left.code == 2 && left.errors.contains("left out stream 1 (audio"), "\(left.errors)")
    #expect(left.errors.contains("does not fit into mpegts"), "\(left.errors)")
    #expect(try times("left.\(to)").count == 50)
    #expect(try !bench.ffprobe("left.\(to)", "-show_entries stream=codec_type -of csv=p=0").contains("data"))
    let done = try run("in.\(from)", "out.\(to)")
    let new = to == "ts" ? "aac" : "ac3"
    #expect(done.code == 0 && done.errorLines.count == 1, "\(done.errors)")
    #expect(done.errors.contains("does not fit into mpegts and is converted to \(new)"), "\(done.errors)")
    #expect(try bench.entries("out.\(to)", "codec_name", stream: "a").contains(new))
  }

  /// The same sound whether the work is done at once, in segments, or by shards that are joined.
  @Test func convertedSoundOfParts() throws {
    try bench.ffmpeg(Self.base.replacingOccurrences(of: "-c:a aac", with: "-c:a pcm_s16le"), "in.mkv")
    func sound(_ name: String) throws -> String {
      try runProgram(
        "ffmpeg",
        [
          "-v", "error", "-nostdin", "-i", bench.path(name), "-map", "0:a", "-c", "copy", "-f", "framemd5",
          "-",
        ])
    }
    let whole = try run("in.mkv", "whole.mp4")
    let parts = try run("in.mkv", "parts.mp4", ["--segment-frames", "7"])
    #expect(whole.code == 0 && parts.code == 0, "\(whole.errors) \(parts.errors)")
    let line = "does not fit into mp4 and is converted to aac of 96 kb/s"
    #expect(whole.errors.contains(line) && parts.errors.contains(line), "\(parts.errors)")
    let expected = try sound("whole.mp4")
    #expect(expected.split(separator: "\n").count > 90)
    #expect(try sound("parts.mp4") == expected)

    let plan = bench.path("film.plan")
    let planned = try Program.run(
      "plan", bench.path("in.mkv"), bench.path("joined.mp4"), "--plan", plan, "--shards", "2", "--bits", "32",
      "--model-file", try bench.makeModel(), "--preset", "ultrafast", "--quiet")
    #expect(planned.code == 0, "\(planned.errors)")
    for arguments in [["shard", plan, "--all", "--quiet"], ["join", plan, "--quiet"]] {
      let done = try Program.Run(arguments).finish()
      #expect(done.code == 0, "\(arguments) \(done.errors)")
      if arguments[0] == "join" { #expect(done.errors.contains(line), "\(done.errors)") }
    }
    #expect(try sound("joined.mp4") == expected)
  }

  @Test func discSound() throws {
    try bench.ffmpeg(
      "\(Self.base.replacingOccurrences(of: "aac", with: "pcm_bluray")) -ar 48000 -ac 2", "in.m2ts")
    let done = try run("in.m2ts", "out.m2ts")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try bench.entries("out.m2ts", "codec_name", stream: "a").contains("pcm_bluray"))
  }

  @Test(arguments: ["mov", "ts", "m2ts"]) func unsupportedCoverArtIsReported(to: String) throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=64x64 -frames:v 1", "cover.png")
    try bench.ffmpeg(Self.base, "a.mp4")
    try bench.ffmpeg(
      "-i DIR/a.mp4 -i DIR/cover.png -map 0 -map 1 -c copy -disposition:v:1 attached_pic", "in.mp4")
    let done = try run("in.mp4", "out.\(to)")
    #expect(done.code == 2 && done.errors.contains("left out stream 2 (cover art"), "\(done.errors)")
    #expect(try times("out.\(to)").count == 50)
  }

  @Test(arguments: ["ts", "m2ts"]) func subtitlesToTransportStreams(to: String) throws {
    try write(Data("1\n00:00:00,000 --> 00:00:01,000\nhello\n".utf8), "a.srt")
    for (codec, from) in [("srt", "mkv"), ("mov_text", "mp4")] {
      try bench.ffmpeg(
        "-f lavfi -i testsrc2=s=96x64:r=25:d=1 -i DIR/a.srt -c:v libx264 -pix_fmt yuv420p -c:s \(codec)",
        "in.\(from)")
      let done = try run("in.\(from)", "\(codec).\(to)")
      #expect(done.code == 2 && done.errors.contains("left out stream 1 (subtitle"), "\(done.errors)")
      #expect(
        try bench.ffprobe("\(codec).\(to)", "-show_entries stream=codec_type -of csv=p=0").contains("data")
          == false)
    }
  }

  @Test func packetsOfDiscStreams() throws {
    try bench.ffmpeg(Self.base.replacingOccurrences(of: "aac", with: "ac3"), "in.m2ts")
    let done = try run("in.m2ts", "out.m2ts")
    #expect(done.code == 0, "\(done.errors)")
    let data = try bytes("out.m2ts")
    #expect(data.count % 192 == 0 && data[4] == 0x47 && data[196] == 0x47)
  }

  @Test(arguments: ["mp4", "mov"]) func hevcIsTaggedForApplePlayers(to: String) throws {
    try bench.ffmpeg(Self.base, "in.mp4")
    let done = try run("in.mp4", "out.\(to)", ["--codec", "libx265"])
    #expect(done.code == 0, "\(done.errors)")
    #expect(try bench.entries("out.\(to)", "codec_tag_string") == "codec_tag_string=hvc1\n")
  }

  @Test(arguments: ["mkv", "ts", "avi", "flv", "mxf"]) func rotationIsKeptOrNamed(to: String) throws {
    try bench.ffmpeg(Self.base, "a.mp4")
    try bench.ffmpeg("-i DIR/a.mp4 -c copy -metadata:s:v rotate=90", "in.mp4")
    let done = try run("in.mp4", "out.\(to)", to == "avi" ? ["--codec", "h264"] : [])
    let rotates = try bench.ffprobe("out.\(to)", "-select_streams v -show_streams").contains("rotation=")
    #expect(
      rotates
        ? done.code == 0 : done.code == 2 && done.errors.contains("left out rotation, which does not fit"),
      "\(done.errors)")
    let kept = try run("in.mp4", "out.mp4")
    #expect(kept.code == 0, "\(kept.errors)")
    #expect(try bench.ffprobe("out.mp4", "-select_streams v -show_streams").contains("rotation="))
  }

  // MARK: - Clocks

  @Test(arguments: [12, 24]) func videoPausesWhileSoundContinues(gap: Int) throws {
    let length = gap + 8
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=160x90:r=25:d=\(length) -f lavfi -i sine=d=\(length) -vf select='lt(t,3)+gt(t,\(gap + 3))'"
        + " -fps_mode passthrough -c:v mpeg2video -q:v 4 -c:a mp2", "in.ts")
    let done = try run("in.ts", "out.mkv")
    #expect(done.code == 0 && done.errors == "", "\(done.errors)")
    let all = try times("out.mkv")
    let steps = zip(all, all.dropFirst()).map { $1 - $0 }
    #expect(
      steps.filter { $0 > 1 }.count == 1 && abs((steps.max() ?? 0) - Double(gap)) < 0.2, "\(steps.max() ?? 0)"
    )
    #expect(try abs((all.last ?? 0) - (soundTimes("out.mkv").last ?? 9)) < 0.2)
  }

  /// Creates a file of two recordings; the clock restarts at the second one.
  @Test(arguments: ["mkv", "flv"]) func restartedClocks(ending: String) throws {
    try bench.ffmpeg(Self.base, "a.\(ending)")
    let one = try bytes("a.\(ending)")
    // Skip the second header of FLV and the length after it, which are not a tag.
    try write(one + (ending == "flv" ? one.dropFirst(13) : one), "in.\(ending)")
    let done = try run("in.\(ending)", "out.mkv")
    #expect(done.code == 0 || done.code == 2, "\(done.errors)")
    let all = try times("out.mkv")
    #expect(all.count == 100)
    #expect(zip(all, all.dropFirst()).allSatisfy { (0.03...0.2).contains($1 - $0) }, "\(all)")
    let sound = try soundTimes("out.mkv")
    #expect(zip(sound, sound.dropFirst()).allSatisfy { $1 - $0 > 0 && $1 - $0 < 0.2 })
    #expect(abs((all.last ?? 0) - (sound.last ?? 9)) < 0.2)
  }

  /// FLV has a time in each packet: sets one 1000 s too late.
  @Test func singleTimeFarAhead() throws {
    try bench.ffmpeg(Self.base + " -bf 0", "a.flv")
    var data = try bytes("a.flv")
    try setTime(ofVideo: 26, in: &data) { $0 + 1_000_000 }
    try write(data, "in.flv")
    let done = try run("in.flv", "out.mp4")
    #expect(done.code == 0 && done.errors.contains("times that fit nowhere"), "\(done.errors)")
    let all = try times("out.mp4")
    #expect(
      all.count == 50 && zip(all, all.dropFirst()).allSatisfy { (0.03...0.09).contains($1 - $0) }, "\(all)")
  }

  // MARK: - Losses that must be reported

  @Test func encryptedVideoIsRefused() throws {
    try bench.ffmpeg(Self.base, "a.mp4")
    try bench.ffmpeg(
      "-i DIR/a.mp4 -c copy -encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb -encryption_kid a7e61c373e219033c21091fa607bf3b8",
      "in.mp4")
    let done = try run("in.mp4", "out.mp4")
    #expect(done.code == 1 && done.errors.contains("is encrypted"), "\(done.errors)")
    #expect(!bench.contents.contains("out.mp4"))
  }

  /// Writes a configuration of profile 5 over a box that is not needed.
  @Test func dolbyVisionWithoutABaseLayerIsRefused() throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -vf setsar=4/3 -c:v libx265 -x265-params log-level=error -tag:v hvc1",
      "a.mp4")
    var data = try bytes("a.mp4")
    let place = try #require(data.firstRange(of: Data("pasp".utf8)) ?? data.firstRange(of: Data("btrt".utf8)))
    data.replaceSubrange(place, with: Data("dvcC".utf8))
    // Version 1.0, profile 5, level 1, with picture and metadata; not compatible with other profiles.
    data.replaceSubrange(place.upperBound..<place.upperBound + 8, with: [1, 0, 0x0A, 0x0D, 0, 0, 0, 0])
    try write(data, "in.mp4")
    let refused = try run("in.mp4", "out.mp4")
    #expect(refused.code == 1 && refused.errors.contains("--ignore-dolby-vision"), "\(refused.errors)")
    let done = try run("in.mp4", "out.mp4", ["--ignore-dolby-vision"])
    #expect(done.code == 2 && done.errors.contains("left out Dolby Vision metadata"), "\(done.errors)")
  }

  @Test func transparencyOfVP9() throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -c:v libvpx-vp9 -pix_fmt yuva420p -auto-alt-ref 0 -deadline realtime -cpu-used 8",
      "in.webm")
    let done = try run("in.webm", "out.mkv")
    #expect(done.code == 0 && done.errors.contains("transparency is left out"), "\(done.errors)")
    #expect(
      try bench.ffprobe("out.mkv", "-show_entries stream_tags").uppercased().contains("ALPHA_MODE") == false)
  }

  @Test func colourThatChangesMidStream() throws {
    for (name, matrix, aspect, range) in [("a.ts", "bt709", "1/1", "tv"), ("b.ts", "smpte170m", "4/3", "pc")]
    {
      try bench.ffmpeg(
        "-f lavfi -i color=red:s=96x64:r=25:d=0.4 -vf scale=out_color_matrix=\(matrix):out_range=\(range),format=yuv420p,setsar=\(aspect)"
          + " -c:v libx264 -colorspace \(matrix) -color_range \(range) -bf 0", name)
    }
    try write(try bytes("a.ts") + bytes("b.ts"), "in.ts")
    let done = try run("in.ts", "out.mkv")
    #expect(done.code == 0, "\(done.errors)")
    #expect(
      done.errors.contains("its colour changes at")
        && done.errors.contains("the shape of its pixels changes at"), "\(done.errors)")
    #expect(try times("out.mkv").count == 20)
    // The same red before and after the change.
    try runProgram(
      "ffmpeg",
      ["-v", "error", "-y", "-i", bench.path("out.mkv"), "-vf", "scale=1:1,format=yuv444p", "-f", "rawvideo"]
        + [bench.path("raw.yuv")])
    let raw = [UInt8](try bytes("raw.yuv"))
    let (first, last) = (raw.prefix(3), raw.suffix(3))
    #expect(zip(first, last).allSatisfy { abs(Int($0) - Int($1)) <= 3 }, "\(first) \(last)")
  }

  @Test func subtitleWithoutEnd() throws {
    try write(Data("1\n00:00:00,000 --> 99999999:00:00,000\nhello\n".utf8), "a.srt")
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=1 -i DIR/a.srt -c:v libx264 -pix_fmt yuv420p -c:s srt", "in.mkv")
    let done = try run("in.mkv", "out.mkv")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try times("out.mkv").count == 25)
  }

  @Test func fragmentedPlaylistsLoseNothing() throws {
    try bench.ffmpeg(Self.base + " -f hls -hls_segment_type fmp4 -hls_playlist_type vod", "in.m3u8")
    let done = try run("in.m3u8", "out.mp4")
    #expect(done.code == 0 && done.errors == "", "\(done.errors)")
    #expect(try times("out.mp4").count == 50)
  }

  // MARK: - Sizes and layouts

  /// URLs as file managers hand them over.
  @Test func fileURLs() throws {
    _ = try bench.makeVideo("a b.mkv")
    let url = "file://" + bench.path("a%20b.mkv")
    let done = try Program.run(
      url, bench.path("out.mkv"), "--bits", "32", "--model-file", try bench.makeModel())
    #expect(done.code == 0, "\(done.errors)")
    #expect(try times("out.mkv").count == 10)
  }

  // MARK: - Names

  /// Tests names that are not valid text, and names of the maximum length.
  @Test func namesAreBytes() throws {
    let video = try bench.makeVideo()
    let model = try bench.makeModel()
    let script = """
      name=$(printf 'latin1-\\351\\377.mkv'); cp "$1" "$name" && "$0" "$name" "out-$name" --bits 32 --model-file "$2" --quiet &&
      "$0" "$name" "again-$name" --bits 32 --model-file "$2" --quiet --resume && rm "$name" && mkdir in && mv "again-$name" in &&
      "$0" batch in batch --bits 32 --model-file "$2" --quiet && ls batch in && test -f "batch/again-$name" && test -f "out-$name"
      """
    let done = try Program.Run(
      ["-c", script, Program.url.path, video, model], program: "/bin/sh", directory: bench.directory
    ).finish()
    #expect(done.code == 0, "\(done.errors)")
  }

  @Test(arguments: [246, 250, 251, 255]) func longNames(count: Int) throws {
    _ = try bench.makeVideo()
    let name = String(repeating: "x", count: count - 4) + ".mkv"
    for more in [[], ["--overwrite", "--resume"]] {
      let done = try run("in.mkv", name, more)
      #expect(done.code == 0, "\(done.errors)")
      #expect(try times(name).count == 10)
      #expect(bench.contents == ["in.mkv", name, "zero.safetensors"])
    }
  }

  /// Interlaced frames that begin late.
  @Test func lateInterlacedFrames() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=64x48:r=25:d=12 -c:v mpeg2video -q:v 4", "a.ts")
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=64x48:r=50:d=1 -vf interlace -flags +ildct+ilme -c:v mpeg2video -q:v 4", "b.ts")
    try write(try bytes("a.ts") + bytes("b.ts"), "in.ts")
    let done = try run("in.ts", "out.mkv")
    #expect(done.code == 2 && done.errors.contains("left out what follows"), "\(done.errors)")
    #expect(try (298...300).contains(times("out.mkv").count))
  }
}
