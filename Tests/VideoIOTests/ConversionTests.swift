// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import VideoIO

/// Conversion of audio and subtitles that the output's container does not support.
@Suite struct ConversionTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  /// Creates two seconds of video, with audio that is silent except for 20 ms from `beep` on, and the streams
  /// added by the ffmpeg arguments `more`.
  private func makeSource(
    _ name: String, _ codec: String, beep: Double = 1, seconds: Double = 2, delay: Double = 0,
    more: String = ""
  ) throws {
    let sound = "aevalsrc='if(between(t,\(beep - delay),\(beep - delay + 0.02)),sin(2*PI*1000*t),0)'"
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=\(seconds) -itsoffset \(delay) -f lavfi -i \(sound):s=44100:d=\(seconds - delay) \(more)"
        + " -c:v libx264 -preset ultrafast -bf 0 -pix_fmt yuv420p -c:a \(codec) -strict -2", name)
  }

  private func settings(for name: String) -> EncoderSettings {
    name.hasSuffix("webm")
      ? EncoderSettings(codec: "vp9", options: ["deadline": "realtime", "cpu-used": "8"])
      : EncoderSettings(preset: "ultrafast", options: ["bf": "0"])
  }

  /// Returns the time of the beep in seconds after the first frame.
  private func beep(_ name: String) throws -> Double {
    let video = try #require(bench.packetTimes(name, stream: "v:0").compactMap { Double($0) }.min())
    let text = try bench.ffmpegOutput(
      name, "-copyts -map 0:a:0 -af silencedetect=noise=-20dB:d=0.2,ametadata=mode=print:file=- -f null")
    let sign = "lavfi.silence_end="
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(sign) })
    return try #require(Double(line.dropFirst(sign.count))) - video
  }

  private func sound(_ name: String, _ entry: String) throws -> String {
    try bench.streamEntries(name, stream: "a:0", entry).split(separator: "\n").first.map {
      String($0.split(separator: "=", maxSplits: 1).last ?? "")
    } ?? ""
  }

  @Test(arguments: [
    ("pcm_s16le", "mp4", "aac"), ("pcm_s24le", "m4v", "aac"), ("flac", "mov", "aac"), ("aac", "webm", "opus"),
    ("pcm_s16le", "webm", "opus"), ("flac", "ts", "aac"), ("pcm_s16le", "m2ts", "ac3"),
    ("libvorbis", "flv", "aac"),
  ])
  func soundIsConverted(codec: String, ending: String, to: String) throws {
    try makeSource("in.mkv", codec, more: "-metadata:s:a language=deu -metadata:s:a title=Ton")
    let output = "out.\(ending)"
    let report = try copy(bench.path("in.mkv"), to: bench.path(output), settings: settings(for: output))
    #expect(report.leftOut == [])
    let line = try #require(report.writeWarnings.first { $0.hasPrefix("stream 1 (audio, ") })
    #expect(line.contains("is converted to \(to)"), "\(line)")
    #expect(try sound(output, "codec_name") == to)
    #expect(try abs(beep(output) - beep("in.mkv")) < 0.02)
    if ["mp4", "webm", "m2ts", "ts"].contains(ending) {
      #expect(
        try bench.ffprobe(output, "-select_streams a -show_entries stream_tags=language").contains("deu"))
    }
    // No audio is lost at the end.
    let length = try bench.packetTimes(output, stream: "a:0").compactMap { Double($0) }
    #expect((length.max() ?? 0) - (length.min() ?? 0) > 1.9)
  }

  @Test func soundIsLeftOutOnRequest() throws {
    try makeSource("in.mkv", "pcm_s16le")
    var settings = settings(for: "out.mp4")
    settings.convertsAudio = false
    let report = try copy(bench.path("in.mkv"), to: bench.path("out.mp4"), settings: settings)
    #expect(report.leftOut == ["stream 1 (audio, pcm_s16le): it does not fit into mp4"])
    #expect(try bench.ffprobe("out.mp4", "-select_streams a -show_streams") == "")
  }

  /// A part of the file, audio that begins after the video, and audio with a gap.
  @Test func convertedSoundStaysInPlace() throws {
    try makeSource("in.mkv", "pcm_s16le")
    var options = VideoReader.Options()
    (options.start, options.length) = (.milliseconds(500), .milliseconds(1000))
    var reader = try VideoReader(path: bench.path("in.mkv"), options: options)
    let info = reader.info
    var writer = try VideoWriter(
      path: bench.path("part.mp4"), like: info, width: info.width, height: info.height, format: info.format,
      settings: settings(for: "part.mp4"))
    while let item = try reader.next() { try writer.write(item) }
    try writer.finish()
    // The first frame of the part is the one at 0.52 s.
    #expect(try abs(beep("part.mp4") - 0.48) < 0.02)

    try makeSource("late.mkv", "pcm_s16le", delay: 0.5)
    try copy(bench.path("late.mkv"), to: bench.path("late.mp4"), settings: settings(for: "late.mp4"))
    #expect(try abs(beep("late.mp4") - 1) < 0.02)

    try makeSource("hole.mkv", "pcm_s16le", more: "-af aselect=not(between(t\\,0.3\\,0.8))")
    try copy(bench.path("hole.mkv"), to: bench.path("hole.mp4"), settings: settings(for: "hole.mp4"))
    #expect(try abs(beep("hole.mp4") - 1) < 0.02)
    let times = try bench.packetTimes("hole.mp4", stream: "a:0").compactMap { Double($0) }
    #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 < 0.05 }, "the hole is silence")
  }

  /// Channels keep their positions if players support the layout; uncommon sample rates are lowered.
  @Test(arguments: [
    ("mp4", "5.1(side)", 96000, "aac", "5.1", "48000", "448"),
    ("mp4", "stereo", 44100, "aac", "stereo", "44100", "192"),
    ("mp4", "7.1", 48000, "aac", "5.1", "48000", "448"),
    ("webm", "5.1(side)", 44100, "opus", "5.1", "48000", "384"),
    ("m2ts", "mono", 48000, "ac3", "mono", "48000", "96"),
  ])
  func channels(
    ending: String, layout: String, rate: Int, codec: String, expected: String, expectedRate: String,
    bits: String
  ) throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -f lavfi -i anoisesrc=r=\(rate):d=0.4,aformat=channel_layouts=\(layout)"
        + " -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a pcm_s24le", "in.mov")
    let output = "out.\(ending)"
    let report = try copy(bench.path("in.mov"), to: bench.path(output), settings: settings(for: output))
    #expect(
      report.writeWarnings.contains { $0.contains("\(codec) of \(bits) kb/s") }, "\(report.writeWarnings)")
    #expect(
      report.writeWarnings.contains { $0.contains("mixed from 8 to 6 channels") } == (layout == "7.1"))
    #expect(try sound(output, "channel_layout") == expected)
    #expect(try sound(output, "sample_rate") == expectedRate)
  }

  /// Lossless audio stays lossless if the container supports such a codec.
  @Test func losslessSoundStaysLossless() throws {
    try makeSource("in.m2ts", "pcm_bluray", more: "-ar 48000 -ac 2")
    let report = try copy(
      bench.path("in.m2ts"), to: bench.path("out.mkv"), settings: settings(for: "out.mkv"))
    #expect(report.leftOut == [])
    #expect(try sound("out.mkv", "codec_name") == "flac")
    func samples(_ name: String) throws -> String { try bench.ffmpegOutput(name, "-map 0:a -f md5") }
    #expect(try samples("out.mkv") == samples("in.m2ts"))
  }

  @Test func textSubtitlesAreConverted() throws {
    try bench.write(
      "1\n00:00:00,200 --> 00:00:00,600\nHello\n\n2\n00:00:00,700 --> 00:00:01,400\nto all\nof you\n", "s.srt"
    )
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=2 -i DIR/s.srt -map 0 -map 1 -c:v libx264 -preset ultrafast -bf 0"
        + " -pix_fmt yuv420p -c:s srt -metadata:s:s language=fra -disposition:s forced", "in.mkv")
    func text(_ name: String) throws -> String { try bench.ffmpegOutput(name, "-map 0:s -f srt") }
    for (from, to, codec) in [
      ("in.mkv", "out.mp4", "mov_text"), ("out.mp4", "back.mkv", "subrip"), ("out.mp4", "out.webm", "webvtt"),
    ] {
      let report = try copy(bench.path(from), to: bench.path(to), settings: settings(for: to))
      #expect(report.leftOut == [], "\(to)")
      #expect(
        report.writeWarnings.contains { $0.contains("is converted to \(codec)") },
        "\(report.writeWarnings)")
      #expect(try text(to) == text("in.mkv"), "\(to)")
      #expect(try bench.streamEntries(to, stream: "s:0", "codec_name") == "codec_name=\(codec)\n")
      #expect(try bench.ffprobe(to, "-select_streams s -show_entries stream_tags=language").contains("fra"))
    }
    var settings = settings(for: "none.mp4")
    settings.convertsSubtitles = false
    let report = try copy(bench.path("in.mkv"), to: bench.path("none.mp4"), settings: settings)
    #expect(report.leftOut == ["stream 1 (subtitle, subrip, fra): it does not fit into mp4"])
  }

  /// Audio is decoded only if necessary: supported streams are copied byte by byte.
  @Test func soundThatFitsIsCopied() throws {
    try makeSource("in.mkv", "aac")
    let report = try copy(bench.path("in.mkv"), to: bench.path("out.mp4"), settings: settings(for: "out.mp4"))
    #expect(report.writeWarnings == [] && report.leftOut == [])
    #expect(try bench.packetHashes("out.mp4", stream: "a:0") == bench.packetHashes("in.mkv", stream: "a:0"))
  }
}
