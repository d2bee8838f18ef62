// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import VideoIO

@Suite struct TrimTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  /// Copies a part of a file.
  func copyPart(_ input: String, _ output: String, start: Duration?, length: Duration?) throws -> MediaInfo {
    var options = VideoReader.Options()
    options.start = start
    options.length = length
    var reader = try VideoReader(path: bench.path(input), options: options)
    let info = reader.info
    var writer = try VideoWriter(
      path: bench.path(output), like: info, width: info.width, height: info.height, format: info.format,
      settings: EncoderSettings(codec: "ffv1"))
    while let item = try reader.next() { try writer.write(item) }
    #expect(reader.warnings == [])
    try writer.finish()
    return info
  }

  @Test(arguments: ["mp4", "mkv", "ts", "avi"], [1.0, 1.49, 0.02, 2.9])
  func partsAreExact(_ ending: String, _ start: Double) throws {
    let codec = ending == "avi" ? "mpeg4 -bf 2" : "libx264 -bf 3"
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=160x90:r=25:d=4 -f lavfi -i sine=d=4 -g 30 -c:v \(codec) -c:a mp2",
      "in.\(ending)")
    let info = try copyPart("in.\(ending)", "out.mkv", start: .seconds(start), length: .milliseconds(800))
    // The container's clock starts with its earliest stream.
    let all = try bench.times("in.\(ending)").compactMap { Double($0) }
    let text = try bench.ffprobe("in.\(ending)", "-show_entries format=start_time -of csv=p=0")
    let origin = try #require(Double(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    let wanted = all.indices.filter {
      all[$0] - origin >= start - 1e-6 && all[$0] - origin < start + 0.8 - 1e-6
    }
    let hashes = try bench.frameHashes("in.\(ending)")
    #expect(try bench.frameHashes("out.mkv") == wanted.map { hashes[$0] })
    let times = try bench.times("out.mkv").compactMap { Double($0) }
    for (time, index) in zip(times, wanted) { #expect(abs(time - (all[index] - origin - start)) < 0.0021) }
    let sound = try bench.packetTimes("out.mkv", stream: "a:0").compactMap { Double($0) }
    #expect(sound.count > 25 && sound.count < 36)
    #expect((sound.first ?? -1) >= 0 && (sound.last ?? 9) < 0.8)
    #expect(info.duration == 0.8)
  }

  @Test func partsToTheEndAndBeyondIt() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=160x90:r=25:d=2 -c:v libx264", "in.mp4")
    let info = try copyPart("in.mp4", "out.mkv", start: .seconds(1.5), length: nil)
    #expect(try bench.times("out.mkv").count == 12 || bench.times("out.mkv").count == 13)
    #expect(abs((info.duration ?? 0) - 0.5) < 1e-6)
    #expect(throws: VideoIOError.self) {
      _ = try copyPart("in.mp4", "none.mkv", start: .seconds(100), length: nil)
    }
    #expect(!bench.exists("none.mkv"))
  }

  @Test func chaptersAreCut() throws {
    try bench.write(
      ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=One\n"
        + "[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1500\ntitle=Two\n"
        + "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=3000\ntitle=Three\n", "meta.txt")
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=160x90:r=25:d=3 -i DIR/meta.txt -map 0 -map_chapters 1 -c:v libx264", "in.mkv")
    _ = try copyPart("in.mkv", "out.mkv", start: .seconds(1), length: .seconds(1))
    #expect(
      try bench.ffprobe("out.mkv", "-show_entries chapter=start_time,end_time:chapter_tags=title -of csv=p=0")
        == "0.000000,0.500000,Two\n0.500000,1.000000,Three\n")
  }

  @Test func joinedRecordingsKeepSoundWithPicture() throws {
    for (name, offset) in [("a.ts", "100"), ("b.ts", "5000")] {
      try bench.ffmpeg(
        "-f lavfi -i testsrc2=s=160x90:r=25:d=1 -f lavfi -i sine=d=1 -c:v mpeg2video -bf 2 -c:a mp2"
          + " -output_ts_offset \(offset)", name)
    }
    let both =
      try Data(contentsOf: URL(fileURLWithPath: bench.path("a.ts")))
      + Data(contentsOf: URL(fileURLWithPath: bench.path("b.ts")))
    try both.write(to: URL(fileURLWithPath: bench.path("in.ts")))
    let report = try copy(bench.path("in.ts"), to: bench.path("out.mkv"))
    #expect(report.readWarnings.count == 1)
    let times = try bench.times("out.mkv").compactMap { Double($0) }
    #expect(times.count == 50)
    #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 > 0.03 && $1 - $0 < 0.1 })
    let sound = try bench.packetTimes("out.mkv", stream: "a:0").compactMap { Double($0) }
    #expect(zip(sound, sound.dropFirst()).allSatisfy { $1 - $0 > 0 && $1 - $0 < 0.1 })
    #expect(abs((sound.last ?? 0) - (times.last ?? 9)) < 0.1)
  }

  @Test func framesFromNoFile() throws {
    let info = try MediaInfo.blank(
      width: 64, height: 48, format: .yuv420p, color: ColorDescription(matrix: 1, range: 1),
      timeBase: Rational(1, 24), frameRate: Rational(24, 1))
    var writer = try VideoWriter(
      path: bench.path("out.mkv"), like: info, width: 64, height: 48, format: .yuv420p,
      settings: EncoderSettings(codec: "ffv1"))
    let frames = try (0..<5).map { try makeFrame(64, 48, .yuv420p, number: $0) }
    for (index, frame) in frames.enumerated() {
      try writer.write(frame.retimed(presentationTimestamp: Int64(index), duration: 1))
    }
    try writer.finish()
    let all = try readAll(bench.path("out.mkv"))
    #expect(all.frames.map(samples) == frames.map(samples))
    #expect(all.info.color.matrixName == "bt709")
  }
}
