// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import VideoIO

@Suite struct TimeTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  static let containers = ["mp4", "mov", "mkv"]

  /// Every combination keeps times to the tick, or to a millisecond in Matroska.
  @Test(arguments: containers, containers)
  func timesSurvive(_ from: String, _ to: String) throws {
    let rates = ["24000/1001", "25", "12"]
    for rate in rates {
      let input = "in\(rates.firstIndex(of: rate) ?? 0).\(from)"
      let output = "out\(rates.firstIndex(of: rate) ?? 0).\(to)"
      try bench.ffmpeg(
        "-f lavfi -i testsrc2=s=160x90:r=\(rate):d=1.5 -f lavfi -i sine=d=1.5 -c:v libx264 -bf 3 -c:a aac",
        input)
      try copy(bench.path(input), to: bench.path(output), settings: EncoderSettings())
      try expectSameTimes(
        input, output, tolerance: to == "mkv" ? 0.00101 : 1e-9, commonShift: to == "mkv" ? nil : 0)
    }
  }

  /// Compares times of video and sound; if a common shift is allowed, their distance must be equal.
  ///
  /// Matroska has no negative times, so FFmpeg's muxer shifts all streams by the priming of AAC.
  func expectSameTimes(
    _ input: String, _ output: String, tolerance: Double, commonShift: Double? = nil
  ) throws {
    let before = try bench.times(input).map { Double($0) ?? .nan }
    let after = try bench.times(output).map { Double($0) ?? .nan }
    let soundBefore = try bench.packetTimes(input, stream: "a:0").map { Double($0) ?? .nan }
    let soundAfter = try bench.packetTimes(output, stream: "a:0").map { Double($0) ?? .nan }
    #expect(before.count == after.count)
    #expect(soundBefore.count == soundAfter.count)
    let shift = commonShift ?? max(0, -(min(before[0], soundBefore[0])))
    let worst = zip(before, after).map { abs($1 - $0 - shift) }.max() ?? 0
    let worstSound = zip(soundBefore, soundAfter).map { abs($1 - $0 - shift) }.max() ?? 0
    #expect(worst <= tolerance, "\(input) to \(output): \(before.prefix(4)) \(after.prefix(4))")
    #expect(
      worstSound <= max(tolerance, 0.00002),
      "\(input) to \(output): \(soundBefore.prefix(4)) \(soundAfter.prefix(4))")
  }

  @Test(arguments: containers)
  func variableFrameRate(_ ending: String) throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=160x90:r=30:d=2 -vf select=not(mod(n\\,3))+gt(n\\,40) -fps_mode vfr -c:v libx264 -bf 2"
        + " -video_track_timescale 90000", "in.mp4")
    let input = try bench.ffmpeg("-i DIR/in.mp4 -c copy", "in2.\(ending)")
    let report = try copy(input, to: bench.path("out.\(ending)"), settings: EncoderSettings())
    #expect(report.readWarnings == [])
    let times = try bench.times("in2.\(ending)")
    #expect(
      Set(zip(times, times.dropFirst()).map { (Double($1) ?? 0) - (Double($0) ?? 0) > 0.05 }).count == 2)
    #expect(try bench.times("out.\(ending)") == times)
    // The last frame has the same duration as before.
    let length = "-show_entries stream=duration -of csv=p=0"
    #expect(try bench.ffprobe("out.\(ending)", length) == bench.ffprobe("in2.\(ending)", length))
  }

  @Test(arguments: [("0.5", "0"), ("0", "0.7"), ("0.3", "0.4")], containers)
  func startOffsets(_ offsets: (String, String), _ ending: String) throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=160x90:r=25:d=1 -c:v libx264 -bf 2", "v.mp4")
    try bench.ffmpeg("-f lavfi -i sine=d=1 -c:a aac", "a.mp4")
    let input = try bench.ffmpeg(
      "-itsoffset \(offsets.0) -i DIR/v.mp4 -itsoffset \(offsets.1) -i DIR/a.mp4 -map 0:v -map 1:a -c copy -copyts",
      "in.\(ending)")
    for output in Self.containers {
      try copy(input, to: bench.path("out.\(output)"), settings: EncoderSettings())
      try expectSameTimes(
        "in.\(ending)", "out.\(output)", tolerance: 0.00101, commonShift: output == "mkv" ? nil : 0)
    }
  }

  @Test(arguments: ["ts", "mpg"])
  func programClocksStartAtZero(_ ending: String) throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=160x90:r=25:d=1 -f lavfi -i sine=d=1 -c:v mpeg2video -bf 2 -c:a mp2",
      "in.\(ending)")
    let start = try bench.ffprobe("in.\(ending)", "-show_entries format=start_time -of csv=p=0")
    let shift = try #require(Double(start.trimmingCharacters(in: .whitespacesAndNewlines)))
    #expect(shift > 0.3)
    for output in ["mp4", "mkv"] {
      try copy(bench.path("in.\(ending)"), to: bench.path("out.\(output)"), settings: EncoderSettings())
      try expectSameTimes("in.\(ending)", "out.\(output)", tolerance: 0.00101, commonShift: -shift)
    }
    try copy(bench.path("in.\(ending)"), to: bench.path("out.ts"), settings: EncoderSettings())
    let first = try (Double(bench.times("out.ts")[0]) ?? 0) - (Double(bench.times("in.\(ending)")[0]) ?? 0)
    try expectSameTimes("in.\(ending)", "out.ts", tolerance: 0.00002, commonShift: ending == "ts" ? 0 : first)
  }

  @Test func frameCountingEncodersKeepTimes() throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=160x90:r=30:d=2 -vf select=not(mod(n\\,3))+gt(n\\,40) -fps_mode vfr -c:v libx264"
        + " -video_track_timescale 90000", "in.mp4")
    for codec in ["mpeg4", "mpeg2video"] {
      try copy(
        bench.path("in.mp4"), to: bench.path("\(codec).mp4"),
        settings: .init(codec: codec, options: ["bf": "2"]))
      #expect(try bench.times("\(codec).mp4") == bench.times("in.mp4"))
    }
  }

  @Test func rateIsReadFromTheStream() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=160x90:r=24000/1001:d=1 -c:v libx264", "in.mp4")
    try copy(bench.path("in.mp4"), to: bench.path("out.mp4"), settings: EncoderSettings())
    try bench.ffmpeg("-i DIR/out.mp4 -c copy", "out.h264")
    #expect(try bench.streamEntries("out.h264", stream: "v:0", "r_frame_rate").contains("24000/1001"))
  }

  @Test func bareStreamGetsTimes() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=160x90:r=25:d=1 -c:v libx264 -bf 2", "in.h264")
    let report = try copy(bench.path("in.h264"), to: bench.path("out.mp4"), settings: EncoderSettings())
    #expect(report.readWarnings.count == 1)
    let times = try bench.times("out.mp4").compactMap { Double($0) }
    #expect(times.count == 25)
    #expect(zip(times, times.dropFirst()).allSatisfy { abs($1 - $0 - 0.04) < 1e-6 })
  }

  @Test func repairKeepsGoodTimes() {
    var repair = TimestampRepair(usualDuration: 10)
    let given: [Int64] = [5, 6, 20, 1000]
    #expect(given.map { repair.next($0, duration: 0) } == given)
    #expect(repair.warning == nil)
  }

  @Test func repairFillsAndOrders() {
    var repair = TimestampRepair(usualDuration: 10)
    let given: [Int64?] = [nil, nil, 30, 30, 25, nil, 100]
    #expect(given.map { repair.next($0, duration: 0) } == [0, 10, 30, 31, 32, 42, 100])
    #expect(repair.missingCount == 3)
    #expect(repair.backwardCount == 2)
    #expect(repair.warning != nil)
  }

  /// Frames before the first timestamp begin where the file begins.
  @Test func repairBeginsWithTheFile() {
    var repair = TimestampRepair(usualDuration: 10, start: -30)
    let given: [Int64?] = [nil, nil, nil, 2, 12]
    #expect(given.map { repair.next($0, duration: 0) } == [-30, -20, -10, 2, 12])
    #expect(repair.missingCount == 3 && repair.backwardCount == 0)
  }

  /// A clock that stands still says nothing.
  @Test func repairSpreadsEqualTimes() {
    var repair = TimestampRepair(usualDuration: 10)
    let given: [Int64?] = [7, 7, 7, 7, 7, 7, 50]
    #expect(given.map { repair.next($0, duration: 0) } == [7, 8, 9, 19, 29, 39, 50])
    #expect(repair.missingCount == 3 && repair.backwardCount == 2)
  }

  @Test func repairSurvivesExtremes() {
    var repair = TimestampRepair(usualDuration: .max)
    #expect(repair.next(.max - 1, duration: .max) == .max - 1)
    _ = repair.next(nil, duration: .max)
    _ = repair.next(.max, duration: 1)
    _ = repair.next(0, duration: 1)
    _ = repair.next(nil, duration: 1)
  }
}
