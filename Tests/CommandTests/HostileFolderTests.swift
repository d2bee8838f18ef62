// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests output folders that others can write to: links there are not followed, and pipes do not block the
/// run.
@Suite struct HostileFolderTests {
  private func arguments(_ bench: Workbench) throws -> [String] {
    [
      bench.path("in.mkv"), bench.path("out.mkv"), "--bits", "32", "--model-file", try bench.makeModel(),
      "--codec", "ffv1", "--quiet",
    ]
  }

  private let segments = ["--resume", "--segment-frames", "5"]

  private func victim(_ bench: Workbench) throws -> (path: String, check: () throws -> Void) {
    let (path, words) = (bench.path("victim"), Data("mine".utf8))
    try words.write(to: URL(fileURLWithPath: path))
    return (path, { #expect((try? Data(contentsOf: URL(fileURLWithPath: path))) == words) })
  }

  @Test(arguments: ["0.segment", "1.segment", "manifest.json.new", "out.mkv.part"])
  func linksAreNotFollowed(name: String) throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    let victim = try victim(bench)
    let folder = bench.path("out.mkv.segments")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let place = name.hasSuffix(".part") ? bench.path(name) : folder + "/" + name
    try FileManager.default.createSymbolicLink(atPath: place, withDestinationPath: victim.path)
    let run = try Program.Run(try arguments(bench) + segments).finish()
    #expect(run.code == 0, "\(run.errors)")
    try victim.check()
    #expect(try bench.times("out.mkv").split(separator: "\n").count == 10)
    #expect(bench.contents == ["in.mkv", "out.mkv", "victim", "zero.safetensors"])
  }

  @Test func linkIsNotUsedAsLock() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    let victim = try victim(bench)
    let folder = bench.path("out.mkv.segments")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: folder + "/lock", withDestinationPath: victim.path)
    let run = try Program.Run(try arguments(bench) + segments).finish()
    #expect(run.code == 1 && run.errors.contains(folder + "/lock"), "\(run.errors)")
    #expect(run.errorLines.count == 1 && !bench.contents.contains("out.mkv"), "\(run.errors)")
    try victim.check()
  }

  /// Opening a pipe blocks.
  @Test(arguments: ["manifest.json", "lock", "out.mkv.part"]) func pipesDoNotBlock(name: String) throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    let folder = bench.path("out.mkv.segments")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try runProgram("mkfifo", [name.hasSuffix(".part") ? bench.path(name) : folder + "/" + name])
    let run = try Program.Run(
      ["-s", "KILL", "60", Program.url.path] + (try arguments(bench)) + segments, program: "/usr/bin/timeout"
    ).finish()
    if name.hasSuffix(".part") {
      #expect(run.code == 0, "\(run.errors)")
      #expect(bench.contents == ["in.mkv", "out.mkv", "zero.safetensors"])
    } else {
      #expect(run.code == 1 && run.errorLines.count == 1, "\(run.code) \(run.errors)")
      #expect(run.errors.contains(folder) && !bench.contents.contains("out.mkv"), "\(run.errors)")
    }
  }
}
