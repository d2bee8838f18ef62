// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests machine faults: full disks, files that change or disappear, too few descriptors, too little memory.
/// There must be a clear error and exit code, no incomplete file that looks complete, and no leftover files.
@Suite(.serialized) struct FaultTests {
  /// AddressSanitizer needs terabytes of address space and more memory than these limits.
  static let isSanitized = ProcessInfo.processInfo.environment["ASAN_OPTIONS"] != nil
  private static let isThorough = ProcessInfo.processInfo.environment["KILLS"] != nil

  /// Runs the program in a shell with limits. A run of several minutes is considered hung and killed.
  func run(limited limit: String, _ arguments: [String]) throws -> Outcome {
    try Program.Run(
      ["-c", limit + " && exec timeout -s KILL 120 \"$0\" \"$@\"", Program.url.path] + arguments,
      program: "/bin/sh"
    ).finish()
  }

  func arguments(_ bench: Workbench, _ input: String = "in.mkv", _ output: String = "out.mkv") throws
    -> [String]
  {
    [
      bench.path(input), bench.path(output), "--bits", "32", "--model-file", try bench.makeModel(), "--quiet",
      "--threads", "2",
    ]
  }

  /// Checks that the run succeeded with a complete file, or failed clearly without one.
  private func expectHonest(
    _ outcome: Outcome, _ bench: Workbench, frames: Int, output: String = "out.mkv", before: [String],
    _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    if outcome.code == 0 {
      #expect(bench.contents == (before + [output]).sorted(), "\(what)", sourceLocation: sourceLocation)
      let count = try bench.times(output).split(separator: "\n").count
      #expect(count == frames, "\(what)", sourceLocation: sourceLocation)
      try FileManager.default.removeItem(atPath: bench.path(output))
    } else {
      #expect(
        [1, 70].contains(outcome.code), "\(what): \(outcome.code) \(outcome.errors)",
        sourceLocation: sourceLocation)
      // Without memory, some libraries print messages before the program does: libx264, Swift, C++, and
      // oneDNN's OpenMP, which also ends the program.
      let ownWords = [
        "x264 [error]: malloc", "Fatal error: failed to allocate", "terminate called after throwing",
        "  what():  std::bad_alloc",
      ]
      let lines = outcome.errorLines.filter { line in !ownWords.contains { line.hasPrefix($0) } }
        .map { $0.hasPrefix("libgomp: Thread creation failed") ? "videnhance: \($0)" : $0 }
      #expect(lines.count == 1, "\(what): \(outcome.errors)", sourceLocation: sourceLocation)
      #expect(
        lines.first?.hasPrefix("videnhance: ") == true, "\(what): \(outcome.errors)",
        sourceLocation: sourceLocation)
      #expect(bench.contents == before, "\(what)", sourceLocation: sourceLocation)
    }
  }

  @Test func fileSizeLimit() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(seconds: 1)
    let arguments = try arguments(bench) + ["--codec", "ffv1"]
    let before = bench.contents
    // In blocks of 512 bytes, from nothing to almost enough. The model is only read, so it is not limited.
    var failures = 0
    for blocks in [0, 1, 7, 50, 200, 400, 100_000] {
      let outcome = try run(limited: "ulimit -f \(blocks)", arguments)
      try expectHonest(outcome, bench, frames: 25, before: before, "\(blocks) blocks")
      if outcome.code != 0 {
        failures += 1
        #expect(outcome.errors.contains(bench.path("out.mkv")), "\(outcome.errors)")
      }
    }
    #expect(failures > 0)
  }

  @Test func segmentsOnAFullDisk() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(seconds: 1)
    let arguments = try arguments(bench) + ["--codec", "ffv1", "--segment-frames", "5", "--resume"]
    let outcome = try run(limited: "ulimit -f 300", arguments)
    #expect(outcome.code == 1 && outcome.errorLines.count == 1, "\(outcome.errors)")
    #expect(!bench.contents.contains("out.mkv") && !bench.contents.contains("out.mkv.part"))
    // Resumes once there is space again.
    let done = try Program.Run(arguments).finish()
    #expect(done.code == 0, "\(done.errors)")
    #expect(bench.contents == ["in.mkv", "out.mkv", "zero.safetensors"])
    #expect(try bench.times("out.mkv").split(separator: "\n").count == 25)
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

  @Test(.enabled(if: canMount)) func diskFull() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(seconds: 2)
    let disk = bench.path("disk")
    try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
    try runProgram("mount", ["-t", "tmpfs", "-o", "size=200k", "none", disk])
    defer { _ = try? runProgram("umount", [disk]) }
    let outcome = try Program.Run(try arguments(bench, "in.mkv", "disk/out.mkv") + ["--codec", "ffv1"])
      .finish()
    #expect(outcome.code == 1 && outcome.errors.contains("No space left on device"), "\(outcome.errors)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: disk) == [])
    try runProgram("mount", ["-o", "remount,ro", disk])
    let refused = try Program.Run(try arguments(bench, "in.mkv", "disk/out.mkv")).finish()
    #expect(refused.code == 1 && refused.errors.contains("cannot create"), "\(refused.errors)")
  }

  @Test func fullDevice() throws {
    guard FileManager.default.fileExists(atPath: "/dev/full") else { return }
    let bench = try Workbench()
    _ = try bench.makeVideo()
    var arguments = try arguments(bench) + ["--container", "matroska", "--overwrite"]
    arguments[1] = "/dev/full"
    let outcome = try Program.Run(arguments).finish()
    #expect(outcome.code == 1 && outcome.errors.contains("No space left on device"), "\(outcome.errors)")
  }

  /// Starts a run that takes a while, and waits until it writes.
  func begun(_ bench: Workbench, _ output: String, _ more: [String] = []) throws -> Program.Run {
    let run = try Program.Run(try arguments(bench, "in.mkv", output) + more)
    let part = bench.path(output + ".part")
    for _ in 0..<6000 where !FileManager.default.fileExists(atPath: part) { usleep(5_000) }
    return run
  }

  @Test func targetVanishes() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(size: "320x180", seconds: 12)
    try FileManager.default.createDirectory(atPath: bench.path("folder"), withIntermediateDirectories: true)
    let run = try begun(bench, "folder/out.mkv")
    try FileManager.default.removeItem(atPath: bench.path("folder"))
    let outcome = run.finish()
    #expect(outcome.code == 1 && outcome.errors.contains("No such file or directory"), "\(outcome.errors)")
    #expect(bench.contents == ["in.mkv", "zero.safetensors"])
  }

  @Test(arguments: ["truncate", "overwrite", "grow", "remove"]) func sourceChangesWhileItIsRead(how: String)
    throws
  {
    let bench = try Workbench()
    let video = try bench.makeVideo(size: "320x180", seconds: 16)
    let run = try begun(bench, "out.mkv")
    let size = try #require(FileManager.default.attributesOfItem(atPath: video)[.size] as? Int)
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: video))
    switch how {
    case "truncate": try file.truncate(atOffset: UInt64(size / 2))
    case "overwrite":
      try file.seek(toOffset: UInt64(size * 3 / 4))
      try file.write(contentsOf: Data(repeating: 0xa5, count: size / 8))
    case "grow":
      try file.seekToEnd()
      try file.write(contentsOf: Data(repeating: 0x5a, count: 100_000))
    default: try FileManager.default.removeItem(atPath: video)
    }
    let outcome = run.finish()
    // A removed file stays readable while it is open.
    let isHarmless = how == "grow" || how == "remove"
    if isHarmless || outcome.code == 0 {
      #expect(outcome.code == 0, "\(outcome.errors)")
      // Some damaged frames may be missing, which must be reported.
      let count = try bench.times("out.mkv").split(separator: "\n").count
      #expect(count == 400 || outcome.errors.contains("damaged"), "\(count) \(outcome.errors)")
      if how == "overwrite" || how == "grow" {
        #expect(outcome.errors.contains("the file changed while it was read"), "\(outcome.errors)")
      }
    } else {
      // Existing frames are kept, and missing ones are reported.
      #expect(outcome.code == 2 && outcome.errors.contains(video), "\(outcome.errors)")
      #expect(
        outcome.errors.contains("left out") && outcome.errors.contains("missing in the source"),
        "\(outcome.errors)")
      let count = try bench.times("out.mkv").split(separator: "\n").count
      #expect((1..<400).contains(count), "\(count)")
    }
    if how == "truncate" { #expect(outcome.code == 2) }
  }

  @Test func fewDescriptors() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    let arguments = try arguments(bench)
    let before = bench.contents
    for count in Self.isThorough ? Array(4...40) : [4, 6, 8, 9, 10, 11, 12, 14, 20] {
      let outcome = try run(limited: "ulimit -n \(count)", arguments)
      try expectHonest(outcome, bench, frames: 10, before: before, "\(count) descriptors")
    }
  }

  @Test(.enabled(if: !isSanitized, "under AddressSanitizer")) func littleMemory() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(size: "640x360")
    let arguments = try arguments(bench)
    let before = bench.contents
    let limits = Array(stride(from: 250_000, through: 1_600_000, by: Self.isThorough ? 25_000 : 150_000))
    for limit in limits {
      let outcome = try run(limited: "ulimit -v \(limit)", arguments)
      if outcome.code == 127 { continue }  // The system reported that it could not load the program.
      try expectHonest(outcome, bench, frames: 10, before: before, "\(limit) KB")
    }
  }
}
