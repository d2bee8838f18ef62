// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests folders of valid and broken videos.
@Suite struct BatchTests {
  /// Creates a tree with six videos, a broken one, a sound-only file, an empty file and a text.
  private func makeFolder(_ bench: Workbench) throws -> String {
    let folder = bench.path("in")
    for name in ["in", "in/a", "in/a/b"] {
      try FileManager.default.createDirectory(atPath: bench.path(name), withIntermediateDirectories: true)
    }
    for (index, name) in ["one.mkv", "two.mp4", "a/three.mkv", "a/four.mov", "a/b/five.avi", "a/b/six"]
      .enumerated()
    {
      let codec = name.hasSuffix("mkv") ? "-c:v ffv1" : "-c:v mpeg4"
      let format = name == "a/b/six" ? " -f matroska" : ""
      try bench.ffmpeg(
        "-f lavfi -i testsrc2=size=\(48 + index * 2)x32:rate=10:duration=0.3 \(codec)\(format)", "in/\(name)")
    }
    let whole = try Data(contentsOf: URL(fileURLWithPath: bench.path("in/two.mp4")))
    try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: bench.path("in/a/broken.mp4")))
    try bench.ffmpeg("-f lavfi -i sine=duration=0.2 -c:a flac", "in/sound.flac")
    try Data().write(to: URL(fileURLWithPath: bench.path("in/empty.mkv")))
    try Data("notes".utf8).write(to: URL(fileURLWithPath: bench.path("in/notes.txt")))
    return folder
  }

  private func run(_ bench: Workbench, _ arguments: [String]) throws -> Outcome {
    let model = try bench.makeModel()
    return try Program.Run(arguments + ["--model-file", model, "--threads", "2"]).finish()
  }

  private func tree(_ path: String) -> [String] {
    (FileManager.default.enumerator(atPath: path)?.allObjects as? [String] ?? []).filter { $0.contains(".") }
      .sorted()
  }

  @Test func goodFilesAreEnhancedAndBadOnesReported() throws {
    let bench = try Workbench()
    let folder = try makeFolder(bench)
    let outcome = try run(
      bench, ["batch", folder, bench.path("out"), "--jobs", "2", "--journal", bench.path("journal.jsonl")])
    #expect(outcome.code == 2)
    #expect(
      tree(bench.path("out")) == [
        "a/b/five.mkv", "a/b/six.mkv", "a/four.mov", "a/three.mkv", "one.mkv", "two.mp4",
      ])
    for name in ["broken.mp4", "sound.flac", "empty.mkv"] {
      #expect(outcome.errors.contains(name), "\(outcome.errors)")
    }
    let lines = try String(contentsOfFile: bench.path("journal.jsonl"), encoding: .utf8).split(
      separator: "\n")
    let records = try lines.map {
      try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
    }
    #expect(records.filter { $0["status"] as? String == "done" }.count == 6)
    #expect(records.filter { $0["status"] as? String == "failed" }.count == 3)
    #expect(
      records.allSatisfy { Set($0.keys) == ["input", "output", "status", "seconds", "frames", "error"] })

    // A second run neither replaces nor repeats anything.
    let again = try run(bench, ["batch", folder, bench.path("out"), "--skip-existing"])
    #expect(again.code == 2)
    #expect(again.errors.contains("exists"))
    let refused = try run(bench, [folder, bench.path("out"), "--progress", "json"])
    #expect(refused.code == 2)
    // Every line is an object, and those of failures hold the hint.
    for line in refused.errorLines {
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      #expect(object?["event"] as? String == "failed", "\(line)")
    }
    #expect(refused.errors.contains("(hint: pass --skip-existing, or --overwrite)"), "\(refused.errors)")
  }

  /// `--verbose` adds what single runs print: the encoder, the kind of source, and the noise that was removed.
  @Test func verboseLinesDescribeEachFile() throws {
    let bench = try Workbench()
    try FileManager.default.createDirectory(atPath: bench.path("in"), withIntermediateDirectories: true)
    try bench.ffmpeg(
      "-f lavfi -i color=gray:size=96x64:rate=25:duration=0.2 -vf noise=c0s=20:c0f=t:all_seed=5 -c:v ffv1",
      "in/a.mkv")
    func lines(_ options: String...) throws -> [String] {
      let arguments = ["batch", bench.path("in"), bench.path("out"), "--task", "denoise", "--overwrite"]
      let run = try Program.Run(arguments + ["--threads", "2"] + options).finish()
      #expect(run.code == 0, "\(run.errors)")
      return run.errorLines.filter { $0.hasPrefix("[1/1] ") && $0.contains("5 frames") }
    }
    let verbose = try lines("--verbose")
    #expect(verbose.count == 1 && verbose[0].contains(", encoder libx264, "), "\(verbose)")
    let level = verbose[0].components(separatedBy: ", noise removed: level ").last?.prefix { $0 != " " }
    #expect(level.flatMap { Double($0) } ?? 0 > 6, "\(verbose)")
    #expect(try lines().allSatisfy { !$0.contains("noise") && !$0.contains("encoder") })
  }

  /// For any number of shares, every file belongs to exactly one; array jobs provide the index in the
  /// environment.
  @Test func sharesPartitionTheFolder() throws {
    let bench = try Workbench()
    let folder = try makeFolder(bench)
    var files: [String] = []
    for share in ["1/3", "2/3", "3/3"] {
      let out = bench.path("out-\(share.prefix(1))")
      let outcome = try run(bench, [folder, out, "--shard", share, "--pattern", "{name}-{task}.mkv"])
      #expect([0, 2].contains(outcome.code))
      files += tree(out)
    }
    #expect(
      files.sorted() == [
        "a/b/five-sr.mkv", "a/b/six-sr.mkv", "a/four-sr.mkv", "a/three-sr.mkv", "one-sr.mkv", "two-sr.mkv",
      ])
  }

  /// Creates fifteen videos of all kinds, three broken ones, a sound-only file and an empty one.
  @Test func twentyMixedFiles() throws {
    let bench = try Workbench()
    for name in ["in", "in/trip", "in/trip/day 2"] {
      try FileManager.default.createDirectory(atPath: bench.path(name), withIntermediateDirectories: true)
    }
    func picture(_ size: String) -> String { "-f lavfi -i testsrc2=size=\(size):rate=10:duration=0.3" }
    let sound = "-f lavfi -i sine=duration=0.3"
    let good = [
      ("one.mkv", "\(picture("48x32")) \(sound) -c:v ffv1 -c:a flac"),
      ("two.mp4", "\(picture("64x48")) \(sound) -c:v libx264 -c:a aac"),
      ("odd.mkv", "\(picture("48x34")) -vf format=yuv444p,crop=47:33 -c:v ffv1"),
      ("ten-bit.mkv", "\(picture("48x32")) -pix_fmt yuv420p10le -c:v ffv1"),
      ("full-range.mov", "\(picture("48x32")) -pix_fmt yuvj420p -c:v mjpeg"),
      ("trip/a.avi", "\(picture("48x32")) \(sound) -c:v mpeg4 -c:a mp2"),
      ("trip/b.ts", "\(picture("48x32")) \(sound) -c:v mpeg2video -c:a mp2"),
      ("trip/c.webm", "\(picture("48x32")) -c:v libvpx -deadline realtime"),
      ("trip/d.ogv", "\(picture("48x32")) -c:v libtheora"),
      ("trip/e.y4m", "\(picture("48x32")) -pix_fmt yuv420p"),
      ("trip/f.nut", "\(picture("48x32")) -c:v ffv1"),
      ("trip/day 2/g.mpg", "-f lavfi -i testsrc2=size=48x32:rate=25:duration=0.3 -c:v mpeg1video"),
      ("trip/day 2/gray.mkv", "\(picture("48x32")) -pix_fmt gray -c:v ffv1"),
      ("trip/day 2/no ending", "\(picture("48x32")) -c:v ffv1 -f matroska"),
      ("trip/day 2/\u{e4}\u{1f3a5} 'q'.mp4", "\(picture("48x32")) -c:v libx264"),
    ]
    for (name, recipe) in good { try bench.ffmpeg(recipe, "in/" + name) }
    func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: bench.path(name))) }
    let whole = try bytes("in/two.mp4")
    let bad: [(String, Data)] = [
      ("cut off.mp4", whole.prefix(whole.count / 2)), ("trip/zeros.mkv", Data(repeating: 0, count: 5000)),
      ("trip/day 2/text.avi", Data("this is no video\n".utf8)), ("empty.mov", Data()),
    ]
    for (name, data) in bad { try data.write(to: URL(fileURLWithPath: bench.path("in/" + name))) }
    try bench.ffmpeg("\(sound) -c:a libmp3lame", "in/trip/song.mp3")

    let outcome = try run(
      bench,
      ["batch", bench.path("in"), bench.path("out"), "--jobs", "2", "--journal", bench.path("j.jsonl")])
    #expect(outcome.code == 2)
    let made = try FileManager.default.subpathsOfDirectory(atPath: bench.path("out"))
      .filter { !FileManager.default.fileExists(atPath: bench.path("out/\($0)/.")) }
    #expect(made.count == 15, "\(made) \(outcome.errors)")
    #expect(made.contains("trip/d.mkv") && made.contains("trip/c.webm"), "\(made)")
    for name in made {
      #expect(try bench.times("out/" + name).split(separator: "\n").count >= 3, "\(name)")
    }
    #expect(outcome.errors.contains("all             20"), "\(outcome.errors)")
    #expect(outcome.errors.contains("done            15") && outcome.errors.contains("failed           5"))
    for name in bad.map(\.0) + ["trip/song.mp3"] {
      #expect(outcome.errors.contains("failed: " + bench.path("in/" + name)), "\(outcome.errors)")
      // One line with the file's name, printed immediately.
      let lines = outcome.errorLines.filter { $0.hasPrefix("videnhance: ") && $0.contains(name) }
      #expect(lines.count == 1, "\(name): \(lines)")
    }
    let journal = try bytes("j.jsonl").split(separator: UInt8(ascii: "\n"))
    #expect(journal.count == 20)
  }

  @Test func rerunsHintAtSkipping() throws {
    let bench = try Workbench()
    for name in ["in", "out"] {
      try FileManager.default.createDirectory(atPath: bench.path(name), withIntermediateDirectories: true)
    }
    for name in ["in/a.mkv", "in/b.mkv"] { _ = try bench.makeVideo(name) }
    let arguments = ["batch", bench.path("in"), bench.path("out")]
    #expect(try run(bench, arguments).code == 0)
    let again = try run(bench, arguments)
    #expect(again.code == 2 && again.errors.contains("2 outputs exist already"), "\(again.errors)")
    #expect(again.errors.contains("(hint: pass --skip-existing, or --overwrite)"), "\(again.errors)")
    let skipping = try run(bench, arguments + ["--skip-existing"])
    #expect(skipping.code == 0 && !skipping.errors.contains("hint"), "\(skipping.errors)")
  }

  /// On a terminal, files processed in parallel share one line.
  @Test func jobsShowOneBar() throws {
    let bench = try Workbench()
    try FileManager.default.createDirectory(atPath: bench.path("in"), withIntermediateDirectories: true)
    for name in ["in/a.mkv", "in/b.mkv", "in/c.mkv"] { _ = try bench.makeVideo(name) }
    let outcome = try run(
      bench, ["batch", bench.path("in"), bench.path("out"), "--jobs", "2", "--progress", "bar"])
    #expect(outcome.code == 0, "\(outcome.errors)")
    // The bar is erased before anything else is printed.
    let bars = outcome.errors.matches(of: #/\r\[[=-]+\] \d+ % done/#)
    #expect(!bars.isEmpty && outcome.errors.contains("/3 files"), "\(outcome.errors)")
    for line in outcome.errorLines where line.contains(" took ") {
      let shown = line.components(separatedBy: "\u{1b}[K").last ?? ""
      #expect(shown.hasPrefix("["), "\(line.debugDescription)")
    }
  }

  /// Like a job array: each task takes its share from the environment, and together they process every file
  /// once.
  @Test func arrayJobsTakeTheirShares() throws {
    let bench = try Workbench()
    let folder = try makeFolder(bench)
    let slurm = (0..<2).map {
      [
        "SLURM_ARRAY_TASK_ID": "\(3 + $0 * 2)", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "3",
        "SLURM_ARRAY_TASK_STEP": "2",
      ]
    }
    let indexed = (0..<3).map { ["JOB_COMPLETION_INDEX": "\($0)", "JOB_COMPLETION_COUNT": "3"] }
    let model = try bench.makeModel()
    for (name, jobs) in [("slurm", slurm), ("indexed", indexed)] {
      var files: [String] = []
      for (index, environment) in jobs.enumerated() {
        let out = bench.path("\(name)-\(index)")
        let outcome = try Program.Run(
          [folder, out, "--model-file", model, "--threads", "2"], environment: environment
        ).finish()
        #expect([0, 2].contains(outcome.code), "\(outcome.errors)")
        #expect(outcome.errors.contains("shard \(index + 1)/\(jobs.count)"), "\(outcome.errors)")
        files += tree(out)
      }
      #expect(
        files.sorted() == [
          "a/b/five.mkv", "a/b/six.mkv", "a/four.mov", "a/three.mkv", "one.mkv", "two.mp4",
        ], "\(name)")
    }
    let unclear = try Program.Run(
      [folder, bench.path("none")], environment: ["JOB_COMPLETION_INDEX": "0"]
    ).finish()
    #expect(unclear.code == 1 && unclear.errors.contains("JOB_COMPLETION_COUNT"), "\(unclear.errors)")
    #expect(!bench.contents.contains("none"))
  }

  @Test(arguments: [
    (["batch", "none", "out"], 1, "none"), (["batch", "in", "in"], 1, "is the input folder"),
    (["batch", "in", "out", "--shard", "3/2"], 64, "shard"),
    (["batch", "in", "out", "--jobs", "0"], 64, "--jobs"),
    (["batch", "in", "out", "--pattern", "same.mkv"], 64, "pattern"),
    (["batch", "in", "out", "--skip-existing", "--overwrite"], 64, "contradict"),
    (["in", "out.mp4"], 64, "is a folder"),
  ])
  func wrongUsageIsOneLine(arguments: [String], code: Int32, text: String) throws {
    let bench = try Workbench()
    try FileManager.default.createDirectory(atPath: bench.path("in"), withIntermediateDirectories: true)
    let outcome = try Program.Run(arguments, directory: bench.directory).finish()
    #expect(outcome.code == code)
    #expect(outcome.errors.contains(text), "\(outcome.errors)")
    #expect(!bench.contents.contains("out.mp4"))
  }
}

/// Tests `inspect` and `doctor`.
@Suite struct InspectTests {
  @Test func everyShippedModelCanBeShown() throws {
    for (name, words) in [
      ("sr-x2-balanced-4bit", ["sr x2", "window of 5", "4 in the body", "L64", "recipe", "slot"]),
      ("denoise-balanced", ["denoise", "32 (floating point)", "minutes"]),
    ] {
      let outcome = try Program.run("inspect", name)
      #expect(outcome.code == 0, "\(outcome.errors)")
      for word in words { #expect(outcome.output.contains(word), "\(word) in \(outcome.output)") }
    }
    let json = try Program.run("inspect", "sr-x2-balanced-8bit", "--json")
    let table = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
    #expect(table?["bits"] as? Int == 8)
    #expect((table?["layers"] as? [Any])?.count == 12)
  }

  @Test func filesOtherThanModelsAreErrors() throws {
    let bench = try Workbench()
    try Data("no model".utf8).write(to: URL(fileURLWithPath: bench.path("x.safetensors")))
    for name in ["x.safetensors", "none.safetensors"] {
      let outcome = try Program.Run(["inspect", name], directory: bench.directory).finish()
      #expect(outcome.code == 1)
      #expect(outcome.errorLines.count == 1 && outcome.errors.contains(name), "\(outcome.errors)")
    }
  }

  @Test func doctorFindsWhatTestsNeed() throws {
    let outcome = try Program.run("doctor")
    #expect(outcome.code == 0, "\(outcome.output)")
    for word in ["kernels", "libavcodec", "oneDNN", "sr-x2-balanced", "libx264"] {
      #expect(outcome.output.contains(word), "\(word) in \(outcome.output)")
    }
  }
}
