// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Helpers for tests of `plan`, `shard`, `join` and `status`.
extension Workbench {
  /// Creates a clip with two scenes, a variable frame rate, a key frame every 20 frames, sound, subtitles, a
  /// chapter and tags.
  func makeFilm(
    _ name: String = "in.mkv", frames: Int = 120, size: String = "64x48", codec: String = "libx264 -g 20"
  )
    throws
  {
    try Data("1\n00:00:00,100 --> 00:00:01,300\nhello\n".utf8).write(
      to: URL(fileURLWithPath: path("a.srt")))
    try Data(
      ";FFMETADATA1\ntitle=A film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=2000\ntitle=Two\n".utf8
    ).write(to: URL(fileURLWithPath: path("a.txt")))
    try ffmpeg(
      "-f lavfi -i testsrc2=size=\(size):rate=25 -f lavfi -i mandelbrot=size=\(size):rate=25 "
        + "-f lavfi -i sine=duration=\(Double(frames) / 25) -i DIR/a.srt -i DIR/a.txt -filter_complex "
        + "[0]trim=end_frame=47,setsar=1,format=yuv420p[x];[1]trim=end_frame=\(frames),setsar=1,format=yuv420p[y];"
        + "[x][y]concat=n=2,trim=end_frame=\(frames),select=not(eq(mod(n\\,7)\\,5))[v] -map [v] -map 2:a -map 3:s "
        + "-map_metadata 4 -fps_mode vfr -c:v \(codec) -c:a flac -c:s srt", name)
  }

  /// Plans `in.mkv` to `out.mkv` as `plan.json`.
  func plan(_ options: [String], shards: Int, input: String = "in.mkv") throws -> Outcome {
    try Program.Run(
      ["plan", path(input), path("out.mkv"), "-o", path("plan.json"), "--shards", "\(shards)", "--quiet"]
        + ["--encoder-threads", "2", "--no-forecast"] + options
    ).finish()
  }

  /// Makes shards of the plan.
  func shard(_ index: String?, _ more: [String] = [], environment: [String: String] = [:]) throws -> Outcome {
    try Program.Run(
      ["shard", path("plan.json"), "--threads", "2"] + (index.map { ["--index", $0] } ?? []) + more,
      environment: environment
    ).finish()
  }

  func join(_ more: [String] = []) throws -> Outcome {
    try Program.Run(["join", path("plan.json")] + more).finish()
  }

  /// The plan as JSON.
  func planJSON() throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path("plan.json")))
    return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
  }

  /// A number in the plan's film.
  func filmNumber(_ name: String) throws -> Int {
    (try planJSON()["film"] as? [String: Any])?[name] as? Int ?? 0
  }

  /// Makes `one.mkv` in a single run with the plan's segments.
  func runInOne(_ options: [String], input: String = "in.mkv") throws -> Outcome {
    let frames = try filmNumber("segmentFrames")
    return try Program.Run(
      [path(input), path("one.mkv"), "--segment-frames", "\(frames)", "--threads", "2", "--quiet"] + options
    ).finish()
  }

  /// Returns all packets of all streams with times, lengths and hashes, and the properties of streams,
  /// chapters and tags. File contents cannot be compared, since Matroska files contain random numbers.
  func packets(_ name: String) throws -> String {
    try ffprobe(
      name,
      "-show_packets -show_data_hash sha256 -show_streams -show_chapters -show_entries format=nb_streams:format_tags=title"
    )
  }

  /// Checks that the joined file equals a single run's.
  func expectEqual(
    _ options: [String], input: String = "in.mkv", _ location: SourceLocation = #_sourceLocation
  )
    throws
  {
    let one = try runInOne(options, input: input)
    #expect(one.code == 0, "\(one.errors)", sourceLocation: location)
    let (joined, expected) = (try packets("out.mkv"), try packets("one.mkv"))
    #expect(joined == expected, "\(options)", sourceLocation: location)
    #expect(expected.split(separator: "\n").count > 200, sourceLocation: location)
  }

  /// Returns the path of a piece.
  func piece(_ segment: Int) -> String { path("plan.json.pieces/\(segment).piece") }

  var unfinishedPieces: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path("plan.json.pieces"))) ?? [])
      .filter { !$0.hasSuffix(".piece") && $0 != "joined.json" }
  }
}
