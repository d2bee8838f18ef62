// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests that a film made by many processes equals a single run's, packet by packet.
@Suite struct ClusterTests {
  @Test(
    arguments: [
      (["--crf", "20", "--preset", "veryfast"], 7),
      (["--codec", "libx264", "--scale", "4"], 2),
      (["--scale", "1.5", "--codec", "ffv1"], 3),
      (["--task", "denoise,sr", "--height", "80", "--codec", "ffv1"], 3),
      (["--task", "denoise", "--codec", "ffv1"], 5),
      (["--task", "denoise", "--noise", "9", "--bits", "8", "--codec", "ffv1", "--no-scene-cut"], 3),
      (["--task", "denoise", "--strength", "1.5", "--bits", "2", "--codec", "ffv1"], 3),
      (["--task", "interp", "--model", "balanced", "--factor", "3", "--codec", "ffv1"], 4),
      (["--task", "interp,sr", "--fps", "60", "--codec", "ffv1"], 3),
      (["--task", "denoise,interp,sr", "--codec", "ffv1"], 4),
      (["--task", "denoise", "--codec", "libx265", "--preset", "ultrafast"], 3),
      (["--task", "denoise", "--codec", "libsvtav1", "--preset", "12"], 3),
      (["--task", "denoise", "--codec", "mpeg4"], 3),
      (["--task", "denoise", "--start", "0.9", "--duration", "2.5", "--codec", "ffv1"], 4),
      (["--task", "denoise", "--deinterlace-fields", "--codec", "ffv1"], 4),
    ] as [([String], Int)]) func joinedFilmEqualsASingleRun(options: [String], shards: Int) throws
  {
    let bench = try Workbench()
    // SVT-AV1 requires at least 64x64.
    try bench.makeFilm(size: options.contains("libsvtav1") ? "96x64" : "64x48")
    let planned = try bench.plan(options, shards: shards)
    #expect(planned.code == 0, "\(planned.errors)")
    let film = try bench.planJSON()["film"] as? [String: Any]
    // Shard boundaries are inside scenes, and a cut is inside a shard.
    #expect(options.contains("--no-scene-cut") || (film?["sceneCuts"] as? [Int])?.count == 1)
    // In reverse order, with different settings as on different machines.
    for index in (0..<shards).reversed() {
      // The scalar kernels are slow.
      let isa = shards == 5 && index % 2 == 0 ? ["--isa", "scalar"] : []
      let outcome = try bench.shard("\(index)", ["--threads", "\(1 + index % 3)", "--quiet"] + isa)
      #expect(outcome.code == 0 && outcome.errors == "", "\(outcome.errors)")
    }
    let joined = try bench.join(["--quiet"])
    #expect(joined.code == 0, "\(joined.errors)")
    try bench.expectEqual(options)
  }

  /// Containers with complicated times or key frames.
  @Test(arguments: [
    ("in.ts", "libx264 -g 12 -bf 3 -x264-params open-gop=1"), ("in.mp4", "mpeg4 -g 15 -bf 2"),
    ("in.mkv", "mpeg2video -g 10 -bf 2"), ("in.mkv", "ffv1"),
    ("in.mkv", "libx265 -x265-params log-level=none:keyint=14"),
    ("in.avi", "mpeg4 -g 15 -bf 2"), ("in.mkv", "libx264 -x264-params intra-refresh=1:keyint=20"),
  ]) func sourcesOfAllKinds(name: String, codec: String) throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=96x64:rate=25:duration=4 -f lavfi -i sine=duration=4 -c:v \(codec) -c:a mp2",
      name)
    let options = ["--task", "denoise", "--codec", "ffv1"]
    let planned = try bench.plan(options, shards: 5, input: name)
    #expect(planned.code == 0, "\(planned.errors)")
    for index in (0..<5).reversed() {
      let outcome = try bench.shard("\(index)", ["--quiet"])
      #expect(outcome.code == 0, "\(outcome.errors)")
    }
    #expect(try bench.join(["--quiet"]).code == 0)
    try bench.expectEqual(options, input: name)
  }

  /// One shard, many shards of one frame, and segments shorter than shards.
  @Test(arguments: [(1, [String]()), (200, []), (3, ["--segment-frames", "7"])])
  func anyNumberOfShards(shards: Int, more: [String]) throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 30)
    #expect(try bench.plan(["--task", "denoise", "--codec", "ffv1"] + more, shards: shards).code == 0)
    let count = (try bench.planJSON()["shards"] as? [Any])?.count
    #expect(count == min(shards, try bench.filmNumber("frames")))
    #expect(try bench.shard(nil, ["--all", "--quiet"]).code == 0)
    #expect(try bench.join(["--quiet"]).code == 0)
    try bench.expectEqual(["--task", "denoise", "--codec", "ffv1"])
  }

  @Test func indicesComeFromOptionsAndEngines() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 40)
    #expect(try bench.plan(["--task", "denoise", "--codec", "ffv1"], shards: 6).code == 0)
    func done() throws -> [Int] {
      let outcome = try Program.run("status", bench.path("plan.json"), "--json")
      #expect(outcome.code == 0, "\(outcome.errors)")
      let report = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
      let shards = report?["shards"] as? [[String: Any]] ?? []
      #expect(shards.count == 6)
      return shards.filter { $0["state"] as? String == "done" }.compactMap { $0["index"] as? Int }
    }
    let slurm = try bench.shard(nil, environment: ["SLURM_ARRAY_TASK_ID": "2"])
    #expect(
      slurm.code == 0 && slurm.errors.contains("shard 2 (by SLURM_ARRAY_TASK_ID) of 6"), "\(slurm.errors)")
    #expect(try done() == [2])
    #expect(try bench.shard(nil, environment: ["JOB_COMPLETION_INDEX": "0"]).code == 0)
    #expect(try done() == [0, 2])
    #expect(try bench.shard(nil, ["--one-based"], environment: ["SLURM_ARRAY_TASK_ID": "6"]).code == 0)
    #expect(try done() == [0, 2, 5])
    // The option takes precedence over the environment.
    #expect(try bench.shard("1,3-4", environment: ["SLURM_ARRAY_TASK_ID": "0"]).code == 0)
    #expect(try done() == [0, 1, 2, 3, 4, 5])
    for (index, environment, words) in [
      ("6", [:], "there is no shard 6"), (nil, [:], "no index is given"),
      (nil, ["SLURM_ARRAY_TASK_ID": "x"], "SLURM_ARRAY_TASK_ID=x is no index"),
    ] as [(String?, [String: String], String)] {
      let outcome = try bench.shard(index, environment: environment)
      #expect(
        outcome.code == 1 && outcome.errorLines.count == 1 && outcome.errors.contains(words),
        "\(outcome.errors)")
    }
    #expect(try bench.shard("4-2").code == 64)
    #expect(try bench.shard("0", ["--one-based"]).code == 64)
    let table = try Program.run("status", bench.path("plan.json")).output
    #expect(table.contains("complete") && table.contains("done"), "\(table)")
  }

  /// What the output cannot hold is reported by the exit code, also when the film is already joined.
  @Test func joiningAgainReportsStreamsLeftOut() throws {
    let bench = try Workbench()
    try Data("a note".utf8).write(to: URL(fileURLWithPath: bench.path("note.txt")))
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -pix_fmt yuv420p -attach DIR/note.txt "
        + "-metadata:s:t mimetype=text/plain", "in.mkv")
    let planned = try Program.Run([
      "plan", bench.path("in.mkv"), bench.path("out.mp4"), "-o", bench.path("plan.json"), "--shards", "1",
      "--task", "denoise", "--quiet", "--encoder-threads", "2", "--no-forecast",
    ]).finish()
    #expect(planned.code == 0, "\(planned.errors)")
    #expect(try bench.shard("0").code == 0)
    let first = try bench.join()
    #expect(first.code == 2 && first.errors.contains("left out"), "\(first.errors)")
    let second = try bench.join()
    #expect(second.code == 2 && second.errors.contains("already joined"), "\(second.errors)")
  }

  /// Planning again gives the same plan; a film that is already joined is not joined again.
  @Test func everythingMayBeDoneTwice() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 40)
    let options = ["--task", "denoise", "--codec", "ffv1"]
    #expect(try bench.plan(options, shards: 3).code == 0)
    let plan = try Data(contentsOf: URL(fileURLWithPath: bench.path("plan.json")))
    #expect(try bench.shard("0-2", ["--journal", bench.path("j.jsonl")]).code == 0)
    let again = try bench.plan(options, shards: 3)
    #expect(again.code == 0, "\(again.errors)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: bench.path("plan.json"))) == plan)
    let skipped = try bench.shard("0-2", ["--journal", bench.path("j.jsonl")])
    #expect(
      skipped.code == 0 && skipped.errors.contains("shard 1: nothing to do, its pieces are complete"),
      "\(skipped.errors)")
    let journal = try String(contentsOfFile: bench.path("j.jsonl"), encoding: .utf8).split(separator: "\n")
    #expect(journal.filter { $0.contains("\"status\":\"done\"") }.count == 3, "\(journal)")
    #expect(journal.filter { $0.contains("\"status\":\"skipped\"") }.count == 3, "\(journal)")
    #expect(try bench.join().code == 0)
    let second = try bench.join()
    #expect(second.code == 0 && second.errors.contains("already joined"), "\(second.errors)")
    // Another file under this name is not replaced.
    try Data("mine".utf8).write(to: URL(fileURLWithPath: bench.path("out.mkv")))
    let refused = try bench.join()
    #expect(refused.code == 1 && refused.errors.contains("exists"), "\(refused.errors)")
    #expect(try bench.join(["--overwrite", "--remove-pieces"]).code == 0)
    try bench.expectEqual(options)
    #expect(!bench.contents.contains("plan.json.pieces"))
  }

  /// Copies of the source may have other dates and paths, including on other machines.
  @Test func theSourceMayBeElsewhere() throws {
    let bench = try Workbench()
    try bench.makeFilm(frames: 40)
    let options = ["--task", "denoise", "--codec", "ffv1"]
    #expect(try bench.plan(options, shards: 2).code == 0)
    let whole = try Data(contentsOf: URL(fileURLWithPath: bench.path("in.mkv")))
    try FileManager.default.removeItem(atPath: bench.path("in.mkv"))
    let vanished = try bench.shard("0")
    #expect(vanished.code == 75 && vanished.errors.contains("--source"), "\(vanished.errors)")
    try whole.write(to: URL(fileURLWithPath: bench.path("copy.mkv")))
    #expect(try bench.shard("0-1", ["--source", bench.path("copy.mkv")]).code == 0)
    #expect(try bench.join(["--source", bench.path("copy.mkv")]).code == 0)
    try whole.write(to: URL(fileURLWithPath: bench.path("in.mkv")))
    try bench.expectEqual(options)
  }
}
