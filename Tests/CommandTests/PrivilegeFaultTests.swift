// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests faults that require root: a user without permissions, and a memory limit that kills the process.
extension FaultTests {
  /// Returns the program running as the user "nobody"; nil if that is not possible.
  private static let asNobody: [String]? = {
    let switching = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    if getuid() != 0 { return ["env"] }
    guard
      (try? runProgram(switching[0], Array(switching.dropFirst()) + [Program.url.path, "--version"])) != nil
    else { return nil }
    return switching
  }()

  private func begunAsNobody(_ bench: Workbench, _ arguments: [String]) throws -> Program.Run {
    try Program.Run((Self.asNobody ?? []) + [Program.url.path] + arguments, program: "/usr/bin/env")
  }

  private func permit(_ mode: Int, _ path: String) throws {
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
  }

  @Test(.enabled(if: asNobody != nil)) func permissionLost() throws {
    let bench = try Workbench()
    let video = try bench.makeVideo(size: "320x180", seconds: 12)
    let arguments = try arguments(bench)
    try permit(0o777, bench.directory.path)
    // During the work: the file can neither be renamed nor removed.
    let run = try begunAsNobody(bench, arguments)
    for _ in 0..<6000 where !bench.contents.contains("out.mkv.part") { usleep(5_000) }
    try permit(0o555, bench.directory.path)
    let outcome = run.finish()
    #expect(outcome.code == 1 && outcome.errors.contains("Permission denied"), "\(outcome.errors)")
    #expect(outcome.errorLines.count == 1 && !bench.contents.contains("out.mkv"), "\(outcome.errors)")
    // Before the work begins.
    try permit(0o777, bench.directory.path)
    try? FileManager.default.removeItem(atPath: bench.path("out.mkv.part"))
    try permit(0o555, bench.directory.path)
    let target = try begunAsNobody(bench, arguments).finish()
    #expect(target.code == 1 && target.errors.contains("cannot create"), "\(target.errors)")
    try permit(0o777, bench.directory.path)
    try permit(0, video)
    let source = try begunAsNobody(bench, arguments).finish()
    #expect(source.code == 1 && source.errors.contains("Permission denied"), "\(source.errors)")
    #expect(bench.contents == ["in.mkv", "zero.safetensors"])
  }

  /// Creates a memory cgroup; returns its folder and the file with its limit, or nil if that is not possible.
  private static let memoryGroup: (folder: String, limit: String)? = {
    let groups = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
    for line in groups.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3, parts[1].split(separator: ",").contains("memory") || parts[0] == "0"
      else { continue }
      let (root, limit) =
        parts[0] == "0"
        ? ("/sys/fs/cgroup", "memory.max") : ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
      for base in [root + parts[2], root] {
        let folder = "\(base)/videnhance-test-\(getpid())"
        guard mkdir(folder, 0o755) == 0 else { continue }
        if access(folder + "/" + limit, W_OK) == 0 { return (folder, limit) }
        rmdir(folder)
      }
    }
    return nil
  }()

  /// The kernel kills the run. The partial file does not have the final name, and the next run removes it.
  @Test(.enabled(if: !isSanitized && memoryGroup != nil, "no memory cgroup can be made here"))
  func memoryOfAGroup() throws {
    guard let group = Self.memoryGroup else { return }
    defer { rmdir(group.folder) }
    let bench = try Workbench()
    _ = try bench.makeVideo(size: "640x360", seconds: 1)
    let arguments = try arguments(bench)
    let before = bench.contents
    var kills = 0
    for mebibytes in [24, 48, 96, 2000] {
      try Data("\(mebibytes << 20)".utf8).write(to: URL(fileURLWithPath: group.folder + "/" + group.limit))
      let outcome = try run(limited: "echo $$ > \(group.folder)/cgroup.procs", arguments)
      if outcome.code == 0 {
        #expect(try bench.times("out.mkv").split(separator: "\n").count == 25)
        #expect(bench.contents == (before + ["out.mkv"]).sorted())
        try FileManager.default.removeItem(atPath: bench.path("out.mkv"))
      } else {
        kills += outcome.code == 128 + SIGKILL ? 1 : 0
        #expect([1, 70, 128 + SIGKILL].contains(outcome.code), "\(mebibytes) MiB: \(outcome)")
        #expect(!bench.contents.contains("out.mkv"), "\(mebibytes) MiB")
      }
      if mebibytes == 2000 { #expect(outcome.code == 0, "\(outcome.errors)") }
    }
    print("cgroup of memory: \(kills) kills")
    #expect(kills > 0)
  }
}
