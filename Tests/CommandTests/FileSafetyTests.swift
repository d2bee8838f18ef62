// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests that no option and no fault damages the user's files or leaves an incomplete file that looks
/// complete.
@Suite(.serialized) struct FileSafetyTests {
  private func arguments(_ bench: Workbench, _ input: String, _ output: String) throws -> [String] {
    [bench.path(input), bench.path(output), "--bits", "32", "--model-file", try bench.makeModel(), "--quiet"]
  }

  private func run(_ bench: Workbench, _ input: String, _ output: String, _ more: String...) throws -> Outcome
  {
    try Program.Run(try arguments(bench, input, output) + more).finish()
  }

  private func frames(_ bench: Workbench, _ name: String) throws -> Int {
    try bench.times(name).split(separator: "\n").count
  }

  // MARK: - Two runs

  @Test(arguments: [[], ["--resume"]]) func theSecondRunIsRefused(more: [String]) throws {
    let bench = try Workbench()
    _ = try bench.makeVideo("in.mkv", size: "320x180", seconds: 8)
    let first = try Program.Run(try arguments(bench, "in.mkv", "out.mp4") + more)
    for _ in 0..<600 where !bench.contents.contains("out.mp4.part") { usleep(20_000) }
    let second = try Program.Run(try arguments(bench, "in.mkv", "out.mp4") + more).finish()
    #expect(second.code == 75, "\(second.errors)")
    #expect(second.errorLines.count == 1 && second.errors.contains("another run"), "\(second.errors)")
    let outcome = first.finish()
    #expect(outcome.code == 0, "\(outcome.errors)")
    #expect(try frames(bench, "out.mp4") == 200)
    #expect(bench.contents == ["in.mkv", "out.mp4", "zero.safetensors"])
  }

  @Test func runsThatBeginTogether() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(seconds: 2)
    for _ in 0..<4 {
      let all = try (0..<3).map { _ in try Program.Run(try arguments(bench, "in.mkv", "out.mp4")) }
      let codes = all.map { $0.finish() }
      // A run that starts after the end finds the output.
      #expect(codes.filter { $0.code == 0 }.count == 1, "\(codes.map(\.errors))")
      #expect(codes.allSatisfy { [0, 1, 75].contains($0.code) }, "\(codes.map(\.errors))")
      #expect(try frames(bench, "out.mp4") == 50)
      #expect(bench.contents == ["in.mkv", "out.mp4", "zero.safetensors"])
      try FileManager.default.removeItem(atPath: bench.path("out.mp4"))
    }
  }

  @Test func twoBatchesOverAFolder() throws {
    let bench = try Workbench()
    let input = bench.path("films")
    try FileManager.default.createDirectory(atPath: input, withIntermediateDirectories: true)
    for index in 0..<3 { _ = try bench.makeVideo("films/\(index).mkv", seconds: 2) }
    let words = [
      "batch", input, bench.path("out"), "--bits", "32", "--model-file", try bench.makeModel(), "--quiet",
    ]
    let runs = try (0..<2).map { _ in try Program.Run(words) }
    for run in runs { _ = run.finish() }
    for index in 0..<3 { #expect(try frames(bench, "out/\(index).mkv") == 50) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: bench.path("out")).count == 3)
  }

  // MARK: - Names that are taken

  @Test func inputNamedLikeTheUnfinishedFileIsRefused() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo("film.mkv")
    try FileManager.default.moveItem(atPath: bench.path("film.mkv"), toPath: bench.path("film.mkv.part"))
    let before = try Data(contentsOf: URL(fileURLWithPath: bench.path("film.mkv.part")))
    let refused = try run(bench, "film.mkv.part", "film.mkv")
    #expect(refused.code == 1 && refused.errors.contains("is the input (hint: "), "\(refused.errors)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: bench.path("film.mkv.part"))) == before)
    #expect(bench.contents == ["film.mkv.part", "zero.safetensors"])
  }

  @Test func otherNamesOfTheUnfinishedFile() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    let words = Data("precious".utf8)
    try words.write(to: URL(fileURLWithPath: bench.path("precious")))
    try FileManager.default.linkItem(atPath: bench.path("precious"), toPath: bench.path("out.mkv.part"))
    let done = try run(bench, "in.mkv", "out.mkv")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: bench.path("precious"))) == words)
    #expect(bench.contents == ["in.mkv", "out.mkv", "precious", "zero.safetensors"])
  }

  @Test func outputKeepsThePermissionsOfTheSource() throws {
    let bench = try Workbench()
    let video = try bench.makeVideo()
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: video)
    let done = try run(bench, "in.mkv", "out.mkv", "--segment-frames", "5")
    #expect(done.code == 0, "\(done.errors)")
    let mode =
      try FileManager.default.attributesOfItem(atPath: bench.path("out.mkv"))[.posixPermissions] as? Int
    #expect(mode == 0o600)
  }

  @Test func videoIsNotUsedAsJournal() throws {
    let bench = try Workbench()
    let input = bench.path("films")
    try FileManager.default.createDirectory(atPath: input, withIntermediateDirectories: true)
    let video = try bench.makeVideo("films/a.mkv")
    let before = try Data(contentsOf: URL(fileURLWithPath: video))
    let run = try Program.run(
      "batch", input, bench.path("out"), "--bits", "32", "--model-file", try bench.makeModel(), "--journal",
      video)
    #expect(run.code == 1 && run.errors.contains("cannot write journal"), "\(run.errors)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: video)) == before)
  }

  // MARK: - Ends

  @Test(arguments: [SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGQUIT, SIGALRM])
  func signalsLeaveNothing(signal: Int32) throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(size: "640x360", seconds: 30)
    let before = Set(bench.contents + ["zero.safetensors"])
    let run = try Program.Run(try arguments(bench, "in.mkv", "out.mkv"))
    for _ in 0..<600 where !bench.contents.contains("out.mkv.part") { usleep(20_000) }
    kill(run.process.processIdentifier, signal)
    let outcome = run.finish()
    #expect(outcome.code == 130, "\(outcome.errors)")
    #expect(Set(bench.contents) == before)
  }

  /// The run continues even if nobody can read its messages.
  @Test(arguments: ["2>/dev/full", "2>&-", "2>&1 >/dev/null | true"]) func messagesGoNowhere(
    redirection: String
  ) throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    let words = try arguments(bench, "in.mkv", "out.mkv").dropLast() + ["--progress", "lines", "--verbose"]
    let done = try Program.Run(
      ["-c", "\"$0\" \"$@\" \(redirection)", Program.url.path] + words, program: "/bin/sh"
    ).finish()
    #expect(done.code == 0, "\(done.errors)")
    for _ in 0..<600 where bench.contents.contains("out.mkv.part") || !bench.contents.contains("out.mkv") {
      usleep(20_000)
    }
    #expect(try frames(bench, "out.mkv") == 10)
    #expect(bench.contents == ["in.mkv", "out.mkv", "zero.safetensors"])
  }

  @Test func batchContinuesWithoutMessages() throws {
    let bench = try Workbench()
    let input = bench.path("films")
    try FileManager.default.createDirectory(atPath: input, withIntermediateDirectories: true)
    for index in 0..<2 { _ = try bench.makeVideo("films/\(index).mkv") }
    let done = try Program.Run(
      [
        "-c", "\"$0\" \"$@\" 2>/dev/full", Program.url.path, "batch", input, bench.path("out"), "--bits",
        "32",
        "--model-file", try bench.makeModel(),
      ], program: "/bin/sh"
    ).finish()
    #expect(done.code == 0)
    for index in 0..<2 { #expect(try frames(bench, "out/\(index).mkv") == 10) }
  }

  /// Blocking reads or writes do not prevent a run from ending.
  @Test(arguments: [
    "exec \"$0\" - out.mkv 0<>pipe.mkv", "exec \"$0\" in.mkv pipe.mkv", "exec \"$0\" pipe.mkv out.mkv",
  ])
  func blockedFilesEndOnTheFirstSignal(command: String) throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    try runProgram("mkfifo", [bench.path("pipe.mkv")])
    let model = try bench.makeModel()
    let before = bench.contents
    let clock = ContinuousClock.now
    // Send the signal to the program only, not to the shell.
    let run = try Program.Run(
      [
        "-c", "\(command) --bits 32 --model-file \"$1\" --quiet & p=$!; sleep 2; kill -TERM $p; wait $p",
        Program.url.path, model,
      ],
      program: "/bin/sh", directory: bench.directory
    ).finish()
    #expect(run.code == 130, "\(run.errors)")
    #expect(ContinuousClock.now - clock < .seconds(20))
    #expect(bench.contents == before)
  }

  // MARK: - Models

  @Test func flippedByteInAModelIsDetected() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    let model = try bench.makeModel()
    var bytes = try Data(contentsOf: URL(fileURLWithPath: model))
    bytes[bytes.count / 2] ^= 4
    try bytes.write(to: URL(fileURLWithPath: bench.path("flipped.safetensors")))
    let run = try Program.run(
      bench.path("in.mkv"), bench.path("out.mkv"), "--bits", "32", "--model-file",
      bench.path("flipped.safetensors"))
    #expect(run.code == 1 && run.errors.contains("checksum"), "\(run.errors)")
  }

  @Test func pipeAsModelDoesNotBlock() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    try runProgram("mkfifo", [bench.path("pipe")])
    let run = try Program.Run(
      [
        "-s", "KILL", "60", Program.url.path, bench.path("in.mkv"), bench.path("out.mkv"), "--bits", "32",
        "--model-file",
        bench.path("pipe"),
      ], program: "/usr/bin/timeout"
    ).finish()
    #expect(run.code == 1 && run.errors.contains("it is not a file"), "\(run.errors)")
  }

  @Test func unknownInstructionSetIsAnError() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    let run = try Program.Run(
      try arguments(bench, "in.mkv", "out.mkv"), environment: ["VIDENHANCE_ISA": "avx9000"]
    ).finish()
    #expect(run.code == 64 && run.errors.contains("VIDENHANCE_ISA=avx9000"), "\(run.errors)")
    for strip in ["wide", "0", "-4"] {
      let strips = try Program.Run(
        try arguments(bench, "in.mkv", "out.mkv"), environment: ["VIDENHANCE_STRIP": strip]
      ).finish()
      #expect(strips.code == 64 && strips.errors.contains("VIDENHANCE_STRIP=\(strip)"), "\(strips.errors)")
    }
    #expect(!bench.contents.contains("out.mkv"))
  }
}
