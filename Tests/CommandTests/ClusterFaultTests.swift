// SPDX-License-Identifier: Apache-2.0
import ClusterWork
import EnhancementPipeline
import Foundation
import Kernels
import Tensors
import TestSupport
import Testing

@testable import VidenhanceTool

/// Number of kills per test; `make faults` sets 30.
private let killCount = Int(ProcessInfo.processInfo.environment["KILLS"] ?? "") ?? 4

/// Tests failures on clusters: the film is never wrong, and messages contain a remedy.
@Suite(.serialized) struct ClusterFaultTests {
  private static let options = ["--task", "denoise", "--codec", "ffv1"]

  private func date(_ path: String) throws -> Date? {
    try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
  }

  @Test func missingAndDamagedPiecesAreNamed() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 60)
    #expect(try bench.plan(Self.options + ["--segment-frames", "10"], shards: 3).code == 0)
    let early = try bench.join()
    #expect(
      early.code == 75 && early.errors.contains("6 pieces are missing (0-5, of shards 0-2)"),
      "\(early.errors)")
    #expect(early.errors.contains("--index 0-2"))
    #expect(try bench.shard("0-2").code == 0)
    // A flipped bit, a truncated file, and a missing one.
    var bytes = try Data(contentsOf: URL(fileURLWithPath: bench.piece(1)))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: bench.piece(1)))
    let short = try Data(contentsOf: URL(fileURLWithPath: bench.piece(3))).dropLast(1)
    try short.write(to: URL(fileURLWithPath: bench.piece(3)))
    try FileManager.default.removeItem(atPath: bench.piece(4))
    let join = try bench.join()
    #expect(join.code == 75 && join.errorLines.count == 1, "\(join.errors)")
    for word in [
      "1 piece is missing (4, of shard 2)", "piece 1 of shard 0: its bytes are not",
      "piece 3 of shard 1: ",
      "--index 0-2",
    ] { #expect(join.errors.contains(word), "\(word): \(join.errors)") }
    #expect(!bench.contents.contains("out.mkv") && !bench.contents.contains("out.mkv.part"))
    let status = try Program.run("status", bench.path("plan.json"), "--verify")
    #expect(
      status.code == 0 && status.output.contains("damaged") && status.output.contains("begun"),
      "\(status.output)")
    // Only missing pieces are made.
    let kept = try date(bench.piece(0))
    let again = try bench.shard("0-2")
    #expect(again.code == 0 && again.errors.contains("piece 1 of shard 0"), "\(again.errors)")
    #expect(try date(bench.piece(0)) == kept)
    #expect(try bench.join().code == 0)
    try bench.expectEqual(Self.options)
  }

  /// Damage that is found while pieces are joined: all damaged ones are named, and nothing is left of the output.
  @Test func damageIsFoundWhileJoining() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 60)
    #expect(try bench.plan(Self.options + ["--segment-frames", "10"], shards: 3).code == 0)
    #expect(try bench.shard("0-2").code == 0)
    try Data("mine".utf8).write(to: URL(fileURLWithPath: bench.path("out.mkv")))
    // In the last byte of the packets and in the first one.
    for (segment, place) in [(2, { $0 - 1 }), (5, { _ in 12 })] as [(Int, (Int) -> Int)] {
      var bytes = try Data(contentsOf: URL(fileURLWithPath: bench.piece(segment)))
      let trailer = try #require(bytes.lastRange(of: Data("{\"bytes\":".utf8)))
      bytes[place(trailer.lowerBound)] ^= 1
      try bytes.write(to: URL(fileURLWithPath: bench.piece(segment)))
    }
    let join = try bench.join(["--overwrite"])
    #expect(join.code == 75 && join.errorLines.count == 1, "\(join.errors)")
    for words in ["piece 2 of shard 1: its bytes are not", "piece 5 of shard 2: its bytes are not", "1-2"] {
      #expect(join.errors.contains(words), "\(words): \(join.errors)")
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: bench.path("out.mkv"))) == Data("mine".utf8))
    #expect(!bench.contents.contains("out.mkv.part"))
    #expect(try bench.shard("1-2").code == 0)
    #expect(try bench.join(["--overwrite"]).code == 0)
    try bench.expectEqual(Self.options)
  }

  /// An intact piece under the name of another one is detected.
  @Test func piecesThatChangedPlacesAreFound() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 40)
    #expect(try bench.plan(Self.options, shards: 3).code == 0)
    #expect(try bench.shard("0-2").code == 0)
    try FileManager.default.removeItem(atPath: bench.piece(1))
    try FileManager.default.copyItem(atPath: bench.piece(0), toPath: bench.piece(1))
    let join = try bench.join()
    #expect(join.code == 75 && join.errors.contains("piece 1 of shard 1: it holds"), "\(join.errors)")
  }

  @Test func differencesAreDescribed() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 40)
    #expect(try bench.plan(Self.options, shards: 2).code == 0)
    #expect(try bench.shard("0").code == 0)
    let plan = try String(contentsOfFile: bench.path("plan.json"), encoding: .utf8)
    func expectRefused(_ outcome: Outcome, _ words: String, _ location: SourceLocation = #_sourceLocation) {
      #expect(
        outcome.code == 1 && outcome.errorLines.count == 1 && outcome.errors.contains(words),
        "\(outcome.errors)",
        sourceLocation: location)
    }
    for (more, words) in [
      (["--bits", "8"], "--bits was 4, is 8"), (["--noise", "5"], "--noise was auto, is 5.0"),
      (["--strength", "0.5"], "--strength was 1, is 0.5"),
      (["--encoder-option", "level=3"], "--encoder-option was none, is level=3"),
      (["--encoder-threads", "3"], "--encoder-threads was 2, is 3"),
      (["--segment-frames", "3"], "--segment-frames was 18, is 3"),
    ] { expectRefused(try bench.plan(Self.options + more, shards: 2), words) }
    expectRefused(try bench.plan(Self.options, shards: 3), "--segment-frames was")
    #expect(try String(contentsOfFile: bench.path("plan.json"), encoding: .utf8) == plan)

    func rewrite(_ old: String, _ new: String) throws {
      #expect(plan.contains(old))
      try Data(plan.replacingOccurrences(of: old, with: new).utf8).write(
        to: URL(fileURLWithPath: bench.path("plan.json")))
    }
    let version = Version.current
    try rewrite("\"program\":\"\(version)\"", "\"program\":\"9.9.9\"")
    expectRefused(try bench.shard("1"), "videnhance was 9.9.9, is \(version)")
    expectRefused(try bench.join(), "videnhance was 9.9.9")
    try rewrite("\"format\":1", "\"format\":2")
    expectRefused(try bench.shard("1"), "has format 2")
    try rewrite("\"models\":[\"denoise ", "\"models\":[\"denoise 1")
    expectRefused(try bench.shard("1"), "model 1 was denoise 1")
    // With other options in the plan, the existing piece belongs to another plan.
    try rewrite("\"tasks\":[\"denoise\"]", "\"noise\":7,\"tasks\":[\"denoise\"]")
    let foreign = try bench.shard("0")
    #expect(foreign.code == 1 && foreign.errors.contains("model 1 was"), "\(foreign.errors)")
    try rewrite("\"threads\":2", "\"threads\":3")
    expectRefused(
      try bench.shard("0"), "piece 0 of shard 0 was made by another plan: --encoder-threads was 2, is 3")
    #expect(try bench.join().errors.contains("was made by another plan"))
    try Data("{".utf8).write(to: URL(fileURLWithPath: bench.path("plan.json")))
    expectRefused(try bench.shard("0"), "is not a plan")
    expectRefused(try Program.run("status", bench.path("none.json")), "none.json: No such file or directory")

    try Data(plan.utf8).write(to: URL(fileURLWithPath: bench.path("plan.json")))
    var source = try Data(contentsOf: URL(fileURLWithPath: bench.path("in.mkv")))
    source[source.count / 2] ^= 1
    try source.write(to: URL(fileURLWithPath: bench.path("in.mkv")))
    expectRefused(try bench.shard("1"), "the source was")
  }

  /// Detects that the decoder's pictures differ from those at planning time.
  @Test func otherPicturesAreRefused() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 40)
    #expect(try bench.plan(Self.options, shards: 2).code == 0)
    let plan = try String(contentsOfFile: bench.path("plan.json"), encoding: .utf8)
    let signature = try #require(plan.firstMatch(of: #/"signature":"([0-9a-f]{16})"/#)).1
    try Data(plan.replacingOccurrences(of: signature, with: "0123456789abcdef").utf8).write(
      to: URL(fileURLWithPath: bench.path("plan.json")))
    let outcome = try bench.shard("0")
    #expect(outcome.code == 1 && outcome.errors.contains("pictures 0 to"), "\(outcome.errors)")
    #expect(!FileManager.default.fileExists(atPath: bench.piece(0)))
    #expect(bench.unfinishedPieces == [])
  }

  @Test func twoWorkersOnOneShardHarmNothing() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 60)
    #expect(try bench.plan(Self.options + ["--segment-frames", "8"], shards: 2).code == 0)
    let runs = try (0..<3).map { _ in
      try Program.Run(["shard", bench.path("plan.json"), "--all", "--threads", "1", "--quiet"])
    }
    for run in runs {
      let outcome = run.finish()
      #expect(outcome.code == 0, "\(outcome.errors)")
    }
    #expect(bench.unfinishedPieces == [])
    #expect(try bench.join().code == 0)
    try bench.expectEqual(Self.options)
  }

  /// kill -9 at any time: existing pieces are intact, and the next run makes the rest.
  @Test func killedWorkersAreRestarted() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 120)
    let options = ["--task", "denoise", "--preset", "veryfast"]
    #expect(try bench.plan(options + ["--segment-frames", "6"], shards: 3).code == 0)
    let clock = ContinuousClock.now
    #expect(try bench.shard("0-2", ["--quiet"]).code == 0)
    let length = max(50_000, Int((ContinuousClock.now - clock) / .microseconds(1)))
    var random = SplitMix64(seed: 21)
    var kills = 0
    for round in 0..<100 where kills < killCount {
      try FileManager.default.removeItem(atPath: bench.path("plan.json.pieces"))
      for index in [2, 0, 1] {
        let run = try Program.Run([
          "shard", bench.path("plan.json"), "--index", "\(index)", "--threads", "2", "--quiet",
        ])
        usleep(UInt32(random.index(length / 2)))
        if run.process.isRunning { kills += 1 }
        kill(run.process.processIdentifier, SIGKILL)
        _ = run.finish()
      }
      let early = try bench.join(["--overwrite"])
      #expect(early.code == 0 || early.code == 75 && early.errors.contains("--index"), "\(early.errors)")
      let done = try bench.shard("0-2", ["--quiet"])
      #expect(done.code == 0 && done.errors == "", "\(done.errors)")
      #expect(try bench.join(["--quiet", "--overwrite"]).code == 0)
      if round == 0 { try bench.expectEqual(options) }
      #expect(try bench.packets("out.mkv") == bench.packets("one.mkv"))
    }
    #expect(kills >= killCount)
  }

  @Test(arguments: [(SIGTERM, 143), (SIGHUP, 143), (SIGINT, 130)] as [(Int32, Int32)])
  func signalsDropTheUnfinishedSegment(signal: Int32, code: Int32) throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 300, size: "320x240")
    #expect(try bench.plan(Self.options + ["--segment-frames", "4"], shards: 1).code == 0)
    let run = try Program.Run(["shard", bench.path("plan.json"), "--index", "0", "--threads", "2", "--quiet"])
    for _ in 0..<6000 where !FileManager.default.fileExists(atPath: bench.piece(1)) { usleep(5_000) }
    let clock = ContinuousClock.now
    kill(run.process.processIdentifier, signal)
    let outcome = run.finish()
    #expect(ContinuousClock.now - clock < .seconds(5))
    #expect(outcome.code == code && outcome.errors.contains("finished pieces are kept"), "\(outcome.errors)")
    #expect(bench.unfinishedPieces == [])
    let status = try Program.run("status", bench.path("plan.json"), "--verify", "--json")
    #expect(status.output.contains("\"state\" : \"begun\""), "\(status.output)")
  }

  /// Whether file systems can be mounted: as root, outside most containers.
  private static let canMount: Bool = {
    guard getuid() == 0, let bench = try? Workbench() else { return false }
    let probe = bench.path("probe")
    try? FileManager.default.createDirectory(atPath: probe, withIntermediateDirectories: true)
    guard (try? runProgram("mount", ["-t", "tmpfs", "-o", "size=64k", "none", probe])) != nil else {
      return false
    }
    _ = try? runProgram("umount", [probe])
    return true
  }()

  @Test(.enabled(if: canMount)) func fullDiskIsATemporaryError() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 60)
    #expect(try bench.plan(Self.options, shards: 1).code == 0)
    let pieces = bench.path("plan.json.pieces")
    try runProgram("mount", ["-t", "tmpfs", "-o", "size=40k", "none", pieces])
    defer { _ = try? runProgram("umount", [pieces]) }
    let outcome = try bench.shard("0")
    #expect(outcome.code == 75 && outcome.errors.contains("No space left on device"), "\(outcome.errors)")
    #expect(bench.unfinishedPieces == [])
  }

  // MARK: - Numbers

  @Test func segmentsPartitionAFilm() {
    for frames in [1, 2, 7, 10, 129, 132, 999, 1000, 172_800] {
      for shards in [1, 2, 3, 7, 16, 64, 1000] {
        let length = SegmentLength.shards(shards)
        let each = length.length(frames: frames, seconds: 1)
        let count = (frames + each - 1) / each
        #expect(count >= min(shards, frames), "\(frames) \(shards) \(each)")
        #expect((1...240).contains(each))
        // No shard has many more frames than the others.
        let parts = min(shards, frames)
        let most = (count + parts - 1) / parts * each
        let fair = (frames + parts - 1) / parts
        #expect(most * 10 <= fair * (frames < 20 * parts ? 20 : 11), "\(frames) \(shards) \(each)")
      }
    }
    #expect(SegmentLength.seconds(600).shards(frames: 172_800, seconds: 7200) == 12)
    #expect(SegmentLength.frames(7).length(frames: 100, seconds: 4) == 7)
  }

  @Test func lists() {
    #expect(IndexList("0")?.indices == [0])
    #expect(IndexList("0,3-5")?.indices == [0, 3, 4, 5])
    for text in ["", "-1", "3-", "5-3", "a", "1,,2", "0-9999999", "1 "] {
      #expect(IndexList(text) == nil, "\(text)")
    }
    #expect(IndexList.text([5, 0, 3, 4, 4]) == "0,3-5")
  }

  /// Plans with any content are either read or refused.
  @Test func damagedPlansAreRefused() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 30)
    #expect(try bench.plan(["--task", "interp,sr", "--codec", "ffv1"], shards: 3).code == 0)
    let whole = try Data(contentsOf: URL(fileURLWithPath: bench.path("plan.json")))
    #expect(throws: Never.self) { try FilmPlan.read(bench.path("plan.json")) }
    var random = SplitMix64(seed: 7)
    var refused = 0
    for _ in 0..<3000 {
      var bytes = whole
      for _ in 0...random.index(3) {
        let place = random.index(bytes.count)
        switch random.index(3) {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes[place] = UInt8(48 + random.index(10))
        default: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.index(4)))
        }
      }
      try bytes.write(to: URL(fileURLWithPath: bench.path("plan.json")))
      do {
        let plan = try FilmPlan.read(bench.path("plan.json"))
        _ = plan.identity
        let work = try plan.work(plan: bench.path("plan.json"), threads: 1)
        _ = PlanStatus(plan, work, readsAll: false)
      } catch {
        refused += 1
      }
    }
    #expect(refused > 1000, "\(refused)")
  }
}
