// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests URLs as input, with a server that has the faults of servers and networks.
@Suite struct NetworkTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  private func start(_ input: String, _ output: String, _ more: [String] = []) throws -> Program.Run {
    try Program.Run(
      [
        "-s", "KILL", "100", Program.url.path, input, bench.path(output), "--bits", "32", "--model-file",
        try bench.makeModel(), "--preset", "ultrafast", "--quiet",
      ] + more, program: "/usr/bin/timeout")
  }

  /// Serves two seconds of video and sound; the index of `.mp4` is at its end.
  private func serve(_ ending: String, _ behaviour: MediaServer.Behaviour) throws -> MediaServer {
    try bench.ffmpeg(FileCaseTests.base, "source.\(ending)")
    return try MediaServer(
      Data(contentsOf: URL(fileURLWithPath: bench.path("source.\(ending)"))), behaviour)
  }

  private func frameCount(_ name: String) throws -> Int {
    try bench.times(name).split(separator: "\n").count
  }

  @Test(arguments: [
    ("mp4", MediaServer.Behaviour.parts), ("mkv", .parts), ("mkv", .wholeOnly), ("mkv", .withoutLength),
    ("ts", .wholeOnly), ("mkv", .cutting), ("ts", .cutting), ("mp4", .cutting),
  ])
  func filesOfServers(ending: String, behaviour: MediaServer.Behaviour) throws {
    let server = try serve(ending, behaviour)
    let done = try start(server.url("film.\(ending)"), "out.mkv").finish()
    #expect(done.code == 0 && done.errors == "", "\(done.errors)")
    #expect(try frameCount("out.mkv") == 50)
    #expect(server.requests.allSatisfy { $0.hasPrefix("GET /film.\(ending) ") })
    let upper = server.url("film.\(ending)").replacingOccurrences(of: "http", with: "HTTP")
    #expect(try start(upper, "again.mkv").finish().code == 0)
  }

  /// What has arrived is kept.
  @Test(arguments: ["mkv", "ts"]) func connectionThatIsCut(ending: String) throws {
    let server = try serve(ending, .ending)
    let done = try start(server.url("film.\(ending)"), "out.mkv").finish()
    #expect(done.code == 2, "\(done.errors)")
    #expect(
      done.errorLines.filter { $0.contains("left out what is missing in the source: ") }.count == 1,
      "\(done.errors)")
    #expect(try (20...45).contains(frameCount("out.mkv")))
  }

  @Test(arguments: [
    (MediaServer.Behaviour.notFound, "film.mp4", "404 Not Found"),
    (.redirectingToFile, "film.mp4", "cannot open"),
    (.wholeOnly, "film.mp4", "is at its end, where it is read too late (hint: save it as a file first"),
  ])
  func filesThatServersRefuse(behaviour: MediaServer.Behaviour, name: String, words: String) throws {
    let server = try serve("mp4", behaviour)
    let done = try start(server.url(name), "out.mkv").finish()
    #expect(done.code == 1 && done.errorLines.count == 1, "\(done.errors)")
    #expect(done.errors.contains(words) && done.errors.contains(server.url(name)), "\(done.errors)")
    #expect(!bench.contents.contains { $0.hasPrefix("out") })
  }

  @Test(arguments: [
    ("http://127.0.0.1:1/film.mp4", "Connection refused"),
    ("http://nothing.invalid/film.mp4", "nothing.invalid"),
    ("ftp://127.0.0.1/film.mp4", "of URLs, those of http, https and file are read"),
    ("rtmp://127.0.0.1/film", "of URLs, those of http, https and file are read"),
    ("concat:a.mp4|b.mp4", "No such file"),
  ])
  func addressesThatCannotBeRead(url: String, words: String) throws {
    let done = try start(url, "out.mkv").finish()
    #expect(done.code == 1 && done.errorLines.count == 1, "\(done.errors)")
    #expect(
      done.errors.hasPrefix("videnhance: cannot open ") && done.errors.contains(words), "\(done.errors)")
  }

  /// Resumable work requires a file as input.
  @Test func segmentsNeedAFile() throws {
    let server = try serve("mkv", .parts)
    let done = try start(server.url("film.mkv"), "out.mkv", ["--resume"]).finish()
    #expect(done.code == 1 && done.errorLines.count == 1, "\(done.errors)")
    #expect(done.errors.contains("in segments: changes of a URL's content"), "\(done.errors)")
  }

  @Test(arguments: [MediaServer.Behaviour.silent, .stalling], [SIGTERM, SIGINT])
  func stalledServerAndSignal(behaviour: MediaServer.Behaviour, signal: Int32) throws {
    let server = try serve("mkv", behaviour)
    let process = Process()
    process.executableURL = Program.url
    process.arguments = [
      server.url("film.mkv"), bench.path("out.mkv"), "--bits", "32", "--model-file", try bench.makeModel(),
      "--quiet",
    ]
    process.standardInput = FileHandle.nullDevice
    let errors = Pipe()
    process.standardError = errors
    try process.run()
    let limit = Date(timeIntervalSinceNow: 60)
    while server.requests.isEmpty, Date() < limit { usleep(50_000) }
    usleep(500_000)
    let sent = Date()
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    #expect(process.terminationStatus == 130)
    // A stalled run ends within four seconds, but the machine may be busy.
    #expect(Date().timeIntervalSince(sent) < 10)
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(text.split(separator: "\n").count == 1 && text.hasPrefix("videnhance: "), "\(text)")
    #expect(bench.contents == ["source.mkv", "zero.safetensors"])
  }

  /// A server that never answers does not block a run for ever.
  @Test func silentServer() throws {
    let server = try serve("mkv", .silent)
    let done = try start(server.url("film.mkv"), "out.mkv").finish()
    #expect(done.code == 1 && done.errorLines.count == 1, "\(done.errors)")
    #expect(done.errors.contains("timed out"), "\(done.errors)")
  }

  /// URLs inside files are not requested; only the user can name URLs.
  @Test func urlsInFilesAreNotFollowed() throws {
    let server = try serve("ts", .parts)
    let url = server.url("film.ts")
    let list = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n\(url)\n#EXT-X-ENDLIST\n"
    for (name, text) in [
      ("a.m3u8", list), ("a.mp4", list), ("a.ffconcat", "ffconcat version 1.0\nfile \(url)\n"),
    ] {
      try Data(text.utf8).write(to: URL(fileURLWithPath: bench.path(name)))
      for more in [[], ["--allow-playlists"]] {
        let done = try start(bench.path(name), "out.mkv", more).finish()
        #expect(done.code == 1 && done.errorLines.count == 1, "\(done.errors)")
      }
    }
    #expect(server.requests.isEmpty)
  }
}
