// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Tensors
import TestSupport
import Testing

/// Number of kills per test; `make faults` sets 30.
private let killCount = Int(ProcessInfo.processInfo.environment["KILLS"] ?? "") ?? 4

/// Tests that work interrupted in any way and resumed gives the same file as uninterrupted work.
@Suite(.serialized) struct ResumeTests {
  private static let model = ["--bits", "32", "--model-file"]

  private func arguments(_ bench: Workbench, _ output: String, _ more: [String]) throws -> [String] {
    [
      "\(bench.path("in.mkv"))", bench.path(output), "--resume", "--segment-frames", "10", "--quiet",
      "--threads", "2",
    ]
      + (more.contains("--task") ? [] : Self.model + [try bench.makeModel()]) + more
  }

  /// Creates a clip with two scenes, a variable frame rate, sound and subtitles.
  private func makeClip(_ bench: Workbench, frames: Int = 60, size: String = "64x48") throws {
    try Data("1\n00:00:00,100 --> 00:00:01,300\nhello\n".utf8).write(
      to: URL(fileURLWithPath: bench.path("a.srt")))
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=\(size):rate=25 -f lavfi -i mandelbrot=size=\(size):rate=25 "
        + "-f lavfi -i sine=duration=\(Double(frames) / 25) -i DIR/a.srt -filter_complex "
        + "[0]trim=end_frame=27,setsar=1,format=yuv420p[x];[1]trim=end_frame=\(frames),setsar=1,format=yuv420p[y];"
        + "[x][y]concat=n=2,trim=end_frame=\(frames),select=not(eq(mod(n\\,7)\\,5))[v] -map [v] -map 2:a -map 3:s "
        + "-fps_mode vfr -c:v libx264 -c:a flac -c:s srt", "in.mkv")
  }

  private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

  /// Returns all packets of all streams with times, lengths and hashes, and the streams' properties. File
  /// contents cannot be compared, since Matroska files contain random numbers.
  private func packets(_ path: String) throws -> String {
    try runProgram(
      "ffprobe",
      ["-v", "error", "-show_packets", "-show_data_hash", "sha256", "-show_streams", "-show_chapters", path])
  }

  private func expectOnly(_ bench: Workbench, _ outputs: String...) {
    let inputs: Set = ["a.srt", "in.mkv", "zero.safetensors"]
    #expect(Set(bench.contents).subtracting(inputs) == Set(outputs))
  }

  @Test(arguments: [
    ["--crf", "20", "--preset", "veryfast"],
    ["--task", "sr", "--codec", "ffv1"],
    ["--task", "sr", "--scale", "2.25", "--codec", "ffv1"],
    ["--task", "denoise", "--bits", "4", "--codec", "ffv1"],
    ["--task", "interp", "--model", "balanced", "--factor", "3", "--codec", "ffv1"],
    ["--task", "interp,sr", "--fps", "60", "--codec", "ffv1"],
    ["--task", "denoise,interp,sr", "--codec", "libx265", "--preset", "ultrafast"],
    ["--codec", "mpeg4"],
  ]) func killedAnywhereItGivesTheSameFile(options: [String]) throws {
    let bench = try Workbench()
    try makeClip(bench)
    let clock = ContinuousClock.now
    let whole = try Program.Run(try arguments(bench, "whole.mkv", options)).finish()
    let seconds = (ContinuousClock.now - clock).components.attoseconds / 1_000_000_000_000
    let length = Int((ContinuousClock.now - clock).components.seconds) * 1_000_000 + Int(seconds)
    #expect(whole.code == 0, "\(whole.errors)")
    var random = SplitMix64(seed: UInt64(options.count))
    var kills = 0
    // Repeat the work until it has been killed often enough.
    for _ in 0..<400 where kills < killCount {
      kills += try finishWithKills(
        bench, options, atMost: killCount - kills, length: length, random: &random)
      #expect(try packets(bench.path("out.mkv")) == packets(bench.path("whole.mkv")))
      expectOnly(bench, "out.mkv", "whole.mkv")
      try FileManager.default.removeItem(atPath: bench.path("out.mkv"))
    }
    print("\(options.joined(separator: " ")): \(kills) kills")
    #expect(kills == killCount)
  }

  /// Runs the program repeatedly, killing it at random moments, until the output exists.
  /// - Parameter length: duration of an undisturbed run in microseconds.
  /// - Returns: the number of killed runs.
  private func finishWithKills(
    _ bench: Workbench, _ options: [String], atMost limit: Int, length: Int, random: inout SplitMix64
  ) throws -> Int {
    var kills = 0
    for attempt in 0..<100 {
      let run = try Program.Run(try arguments(bench, "out.mkv", options))
      if kills < limit {
        // Allow more time on later attempts, so that a segment is eventually finished.
        usleep(UInt32(random.index(max(1, length * (2 + attempt) / 3))))
        if run.process.isRunning { kills += 1 }
        kill(run.process.processIdentifier, SIGKILL)
      }
      let outcome = run.finish()
      #expect(outcome.code == 0 || outcome.code == 128 + SIGKILL, "\(outcome.errors)")
      guard FileManager.default.fileExists(atPath: bench.path("out.mkv")) else {
        #expect(outcome.code != 0)
        continue
      }
      // An incomplete file never has the final name. A kill just after renaming leaves the folder, which the
      // next run removes.
      if outcome.code != 0 {
        #expect(try packets(bench.path("out.mkv")) == packets(bench.path("whole.mkv")))
        let again = try Program.Run(try arguments(bench, "out.mkv", options + ["--overwrite"])).finish()
        #expect(again.code == 0, "\(again.errors)")
      }
      return kills
    }
    Issue.record("no end after 100 runs")
    return kills
  }

  @Test func segmentsChangeNoFrame() throws {
    let bench = try Workbench()
    try makeClip(bench)
    let plain = try Program.Run(
      [bench.path("in.mkv"), bench.path("plain.mkv"), "--task", "interp,sr", "--codec", "ffv1", "--quiet"])
      .finish()
    #expect(plain.code == 0, "\(plain.errors)")
    let options = ["--task", "interp,sr", "--codec", "ffv1"]
    #expect(try Program.Run(try arguments(bench, "cut.mkv", options)).finish().code == 0)
    let all = "-f framemd5 -map 0:v -map 0:a".split(separator: " ").map(String.init)
    let sums = try ["plain.mkv", "cut.mkv"].map {
      try runProgram("ffmpeg", ["-v", "error", "-i", bench.path($0)] + all + ["-"])
    }
    #expect(sums[0] == sums[1] && sums[0].split(separator: "\n").count > 100)
    #expect(try bench.times("plain.mkv") == bench.times("cut.mkv"))
  }

  /// Starts a run and interrupts it after at least one finished segment.
  private func interrupted(_ bench: Workbench, _ options: [String] = [], by signal: Int32 = SIGINT) throws
    -> Outcome
  {
    let run = try Program.Run(try arguments(bench, "out.mkv", options))
    let manifest = bench.path("out.mkv.segments/manifest.json")
    for _ in 0..<6000 where !FileManager.default.fileExists(atPath: manifest) { usleep(5_000) }
    kill(run.process.processIdentifier, signal)
    return run.finish()
  }

  @Test func interruptKeepsWhatIsFinished() throws {
    let bench = try Workbench()
    try makeClip(bench, frames: 240, size: "320x180")
    let outcome = try interrupted(bench)
    let folder = bench.path("out.mkv.segments")
    #expect(outcome.code == 130)
    #expect(
      outcome.errors
        == "videnhance: \(bench.path("out.mkv")): interrupted, what is finished is kept in \(folder); --resume continues\n"
    )
    expectOnly(bench, "out.mkv.segments")
    // Without --resume, unfinished work is neither deleted nor resumed.
    let refused = try Program.Run(try arguments(bench, "out.mkv", []).filter { $0 != "--resume" }).finish()
    #expect(
      refused.code == 1 && refused.errors.contains("there is unfinished work in \(folder) (hint: continue it")
    )
    // Another option, model or source is refused with the reason.
    for (more, words) in [
      (["--crf", "30"], "--crf was the default, is 30"),
      (["--no-scene-cut"], "finds scene cuts was true, is false"),
      (["--segment-frames", "11"], "--segment-frames was 10, is 11"),
      (["--task", "sr"], "steps 1 network was sr "),
    ] {
      let run = try Program.Run(try arguments(bench, "out.mkv", more)).finish()
      #expect(run.code == 1 && run.errors.contains(words) && run.errorLines.count == 1, "\(run.errors)")
    }
    let model = try bytes(bench.path("zero.safetensors"))
    let source = try bytes(bench.path("in.mkv"))
    // Restore the date in nanoseconds, which Foundation does not preserve.
    try runProgram("cp", ["-p", bench.path("in.mkv"), bench.path("kept.mkv")])
    try (source + Data([0])).write(to: URL(fileURLWithPath: bench.path("in.mkv")))
    let changed = try Program.Run(try arguments(bench, "out.mkv", [])).finish()
    #expect(changed.code == 1 && changed.errors.contains("the source has changed since"), "\(changed.errors)")
    try runProgram("cp", ["-p", bench.path("kept.mkv"), bench.path("in.mkv")])
    try FileManager.default.removeItem(atPath: bench.path("kept.mkv"))
    #expect(try bytes(bench.path("zero.safetensors")) == model)
    // A segment damaged on the disk is made again.
    let segment = bench.path("out.mkv.segments/0.segment")
    var spoilt = try bytes(segment)
    spoilt[spoilt.count / 2] ^= 1
    try spoilt.write(to: URL(fileURLWithPath: segment))
    let done = try Program.Run(try arguments(bench, "out.mkv", [])).finish()
    #expect(done.code == 0 && done.errors.contains("segment 0 in \(folder) is damaged"), "\(done.errors)")
    #expect(try Program.Run(try arguments(bench, "whole.mkv", [])).finish().code == 0)
    #expect(try packets(bench.path("out.mkv")) == packets(bench.path("whole.mkv")))
    expectOnly(bench, "out.mkv", "whole.mkv")
  }

  @Test func twoRunsDoNotShareAFolder() throws {
    let bench = try Workbench()
    try makeClip(bench, frames: 240, size: "320x180")
    let first = try Program.Run(try arguments(bench, "out.mkv", []))
    for _ in 0..<6000 where !bench.contents.contains("out.mkv.part") { usleep(5_000) }
    let second = try Program.Run(try arguments(bench, "out.mkv", [])).finish()
    #expect(second.code == 75 && second.errors.contains("another run is working in"), "\(second.errors)")
    #expect(first.finish().code == 0)
  }

  @Test func pipesCannotBeContinued() throws {
    let bench = try Workbench()
    try makeClip(bench)
    #expect(try Program.run("-", bench.path("out.mkv"), "--resume").code == 64)
    #expect(try Program.run(bench.path("in.mkv"), "-", "--resume").code == 64)
    let y4m = try Program.Run(try arguments(bench, "out.y4m", [])).finish()
    #expect(y4m.code == 1 && y4m.errors.contains("in segments: "), "\(y4m.errors)")
    expectOnly(bench)
  }

  @Test func secondInterruptLeavesNothingEither() throws {
    let bench = try Workbench()
    try makeClip(bench, frames: 300, size: "640x360")
    let run = try Program.Run(
      [bench.path("in.mkv"), bench.path("out.mkv"), "--quiet"] + Self.model + [try bench.makeModel()])
    for _ in 0..<6000 where !bench.contents.contains("out.mkv.part") { usleep(5_000) }
    // Both signals at once: there is no time for an orderly end.
    kill(run.process.processIdentifier, SIGINT)
    kill(run.process.processIdentifier, SIGTERM)
    let outcome = run.finish()
    #expect(outcome.code == 130)
    #expect(outcome.errors.contains("interrupted"), "\(outcome.errors)")
    expectOnly(bench)
  }
}
