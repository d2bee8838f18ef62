// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests that media files cannot access other files or control the terminal.
@Suite struct HostileMediaTests {
  private func run(_ bench: Workbench, _ input: String, _ more: String...) throws -> Outcome {
    try Program.Run(
      [
        "-s", "KILL", "60", Program.url.path, bench.path(input), bench.path("out.mkv"), "--bits", "32",
        "--model-file",
        try bench.makeModel(), "--quiet",
      ] + more, program: "/usr/bin/timeout"
    ).finish()
  }

  private func write(_ bench: Workbench, _ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: bench.path(name)))
  }

  private static let head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n"

  @Test(arguments: [
    head + "#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile a.ts\n",
    "<?xml version=\"1.0\"?><MPD type=\"dynamic\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\"></MPD>",
  ])
  func playlistsUnderOtherNamesAreRefused(text: String) throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -c:v mpeg2video", "a.ts")
    try write(bench, "film.mp4", text)
    let refused = try run(bench, "film.mp4")
    #expect(refused.code == 1 && refused.errorLines.count == 1, "\(refused.errors)")
    #expect(
      refused.errors.contains("is a playlist") && refused.errors.contains("--allow-playlists"),
      "\(refused.errors)")
  }

  @Test func requestedPlaylistsAreFollowed() throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -c:v mpeg2video", "a.ts")
    let text = Self.head + "#EXTINF:0.4,\na.ts\n#EXT-X-ENDLIST\n"
    try write(bench, "film.m3u8", text)
    try write(bench, "film.mp4", text)
    for (name, more) in [("film.m3u8", "--threads=1"), ("film.mp4", "--allow-playlists")] {
      let done = try run(bench, name, more)
      #expect(done.code == 0, "\(done.errors)")
      #expect(try bench.times("out.mkv").split(separator: "\n").count == 10)
      try FileManager.default.removeItem(atPath: bench.path("out.mkv"))
    }
  }

  /// Playlists that leave their folder, never end, refer to themselves, or are extremely long.
  @Test(arguments: [
    (head + "#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n", "outside its folder"),
    (head + "#EXTINF:1,\n../a.ts\n#EXT-X-ENDLIST\n", "outside its folder"),
    (head + "#EXTINF:1,\nfile:///a.ts\n#EXT-X-ENDLIST\n", "outside its folder"),
    (head + "#EXTINF:1,\nhttp://localhost/a.ts\n#EXT-X-ENDLIST\n", "outside its folder"),
    (
      head + "#EXT-X-KEY:METHOD=AES-128,URI=\"/dev/zero\"\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n",
      "outside its folder"
    ),
    (head + "#EXTINF:1,\na.ts\n", "it has no end"),
    (head + "#EXTINF:1,\nfilm.m3u8\n#EXT-X-ENDLIST\n", "is a playlist, too"),
    ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfilm.m3u8\n", "too deep"),
    (
      head + String(repeating: "#EXTINF:1,\na.ts\n", count: 20_000) + "#EXT-X-ENDLIST\n",
      "more than 10000 files"
    ),
  ])
  func playlistsThatLeaveTheirFolderAreRefused(text: String, words: String) throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.2 -c:v mpeg2video", "a.ts")
    try write(bench, "film.m3u8", text)
    let refused = try run(bench, "film.m3u8")
    #expect(refused.code == 1 && refused.errors.contains(words), "\(refused.errors)")
  }

  @Test(arguments: [
    ("<MPD type=\"dynamic\" ", "it has no end"),
    ("<MPD type=\"static\" mediaPresentationDuration=\"PT9000H\" ", "too many pieces"),
  ])
  func descriptionsOfBroadcasts(start: String, words: String) throws {
    let bench = try Workbench()
    try write(
      bench, "film.mpd",
      "<?xml version=\"1.0\"?>\n\(start)profiles=\"urn:mpeg:dash:profile:isoff-live:2011\"><Period><AdaptationSet>"
        + "<SegmentTemplate timescale=\"1\" duration=\"1\" media=\"$Number$.m4s\" initialization=\"i.mp4\"/></AdaptationSet></Period></MPD>\n"
    )
    let refused = try run(bench, "film.mpd")
    #expect(refused.code == 1 && refused.errors.contains(words), "\(refused.errors)")
  }

  @Test func longListsAreRefused() throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.2 -c:v mpeg2video", "a.ts")
    try write(
      bench, "film.ffconcat", "ffconcat version 1.0\n" + String(repeating: "file a.ts\n", count: 200_000))
    let refused = try run(bench, "film.ffconcat")
    #expect(refused.code == 1 && refused.errors.contains("10000"), "\(refused.errors)")
  }

  /// In a folder, none of them blocks the run, and files other than videos are skipped.
  @Test func folderOfHostilePlaylists() throws {
    let bench = try Workbench()
    try FileManager.default.createDirectory(atPath: bench.path("in"), withIntermediateDirectories: true)
    try write(bench, "in/a.mp4", Self.head + "#EXTINF:1,\na.mp4\n")
    var random = SystemRandomNumberGenerator()
    for index in 0..<4 {
      let noise = (0..<200_000).map { _ in UInt8.random(in: 0...255, using: &random) }
      try Data(noise).write(to: URL(fileURLWithPath: bench.path("in/noise\(index).dat")))
    }
    _ = try bench.makeVideo("in/z.mkv")
    let run = try Program.Run(
      [
        "-s", "KILL", "100", Program.url.path, "batch", bench.path("in"), bench.path("out"), "--bits", "32",
        "--model-file",
        try bench.makeModel(),
      ], program: "/usr/bin/timeout"
    ).finish()
    #expect(run.code == 2, "\(run.errors)")
    #expect(
      run.errors.contains("skipped           4") || run.errors.contains("not a video by name or content"),
      "\(run.errors)")
    #expect(run.errors.contains("failed: \(bench.path("in/a.mp4"))"), "\(run.errors)")
    #expect(!run.errors.contains("failed: \(bench.path("in/noise"))"), "\(run.errors)")
    #expect(try bench.times("out/z.mkv").split(separator: "\n").count == 10)
  }

  @Test func namesAreEscapedOnTheTerminal() throws {
    let bench = try Workbench()
    let name = "a\u{1b}[2J\u{9b}31m\nvidenhance: done\u{202e}.mkv"
    let missing = try run(bench, name)
    #expect(missing.code == 1 && missing.errorLines.count == 1, "\(missing.errors)")
    #expect(
      !missing.errors.unicodeScalars.contains {
        $0.value < 32 && $0 != "\n" || $0 == "\u{9b}" || $0 == "\u{202e}"
      })
    #expect(missing.errors.contains("a\\x1b[2J\\x9b31m"), "\(missing.errors)")
  }

  @Test func hugeModelHeaderIsRefused() throws {
    let bench = try Workbench()
    let header = "{" + (0..<400_000).map { "\"\($0)\":[[[[]]]]" }.joined(separator: ",") + "}"
    var bytes = Data()
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { bytes.append(contentsOf: $0) }
    try (bytes + Data(header.utf8)).write(to: URL(fileURLWithPath: bench.path("m.safetensors")))
    _ = try bench.makeVideo()
    let refused = try Program.run(
      bench.path("in.mkv"), bench.path("out.mkv"), "--bits", "32", "--model-file", bench.path("m.safetensors")
    )
    #expect(refused.code == 1 && refused.errors.contains("its header is larger"), "\(refused.errors)")
  }

  @Test func leadingDashIsAUsageError() throws {
    let run = try Program.run("-dash.mp4", "out.mp4")
    #expect(run.code == 64 && run.output == "", "\(run.output)")
    #expect(run.errors.contains("./-dash.mp4"), "\(run.errors)")
  }
}
