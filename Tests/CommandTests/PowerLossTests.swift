// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

private let watchedCalls =
  "write,writev,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,rmdir"

/// Whether system calls can be traced on this machine.
private let canWatch =
  (try? runProgram("strace", ["-f", "-y", "-e", "trace=\(watchedCalls)", "true"])) != nil

/// Tests the order of disk operations: files are renamed only after their bytes have been synced, and nothing
/// is removed before its replacement is on the disk. Then power may fail at any time.
@Suite struct PowerLossTests {
  /// A successful call: its name and path; for renaming, both paths.
  private struct Call {
    let name: String
    let paths: [String]

    init?(_ text: Substring) {
      guard let bracket = text.firstIndex(of: "(") else { return nil }
      name = String(text[..<bracket])
      let arguments = text[bracket...]
      // Names are quoted. Paths of descriptors are in angle brackets and precede the written bytes.
      paths =
        ["write", "pwrite", "fsync", "fdata"].contains { text.hasPrefix($0) }
        ? arguments.firstMatch(of: /<(\/[^>]*)>/).map { [String($0.output.1)] } ?? []
        : arguments.matches(of: /"(\/[^"]*)"/).map { String($0.output.1) }
    }
  }

  /// The calls of all threads. Calls count from their beginning, except syncing, which counts from its end.
  private func calls(_ log: String) -> [Call] {
    var begun: [Substring: (text: Substring, place: Int)] = [:]
    var result: [Call?] = []
    for line in log.split(separator: "\n") {
      let parts = line.split(separator: " ", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let (thread, text) = (parts[0], parts[1].drop { $0 == " " })
      if text.hasSuffix("<unfinished ...>") {
        begun[thread] = (text, result.count)
        result.append(Call(text))
      } else if text.hasPrefix("<...") {
        guard let (first, place) = begun.removeValue(forKey: thread) else { continue }
        if text.contains(" = -1 ") || first.hasPrefix("f") { result[place] = nil }
        if !text.contains(" = -1 "), first.hasPrefix("f") { result.append(Call(first)) }
      } else if !text.contains(" = -1 ") {
        result.append(Call(text))
      }
    }
    return result.compactMap { $0 }
  }

  @Test(.enabled(if: canWatch, "no strace, or it may not watch")) func bytesAreSyncedBeforeRenaming() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(seconds: 1)
    let log = bench.path("calls.txt")
    let output = bench.path("out.mkv")
    let run = try Program.Run(
      ["strace", "-f", "-y", "-s", "300", "-e", "trace=\(watchedCalls)", "-o", log, Program.url.path]
        + [bench.path("in.mkv"), output, "--bits", "32", "--model-file", try bench.makeModel()]
        + ["--codec", "ffv1", "--quiet", "--resume", "--segment-frames", "5"], program: "/usr/bin/env"
    ).finish()
    #expect(run.code == 0, "\(run.errors)")
    let (top, folder) = (bench.directory.path, output + ".segments")
    // Written bytes and directory entries that may not be on the disk yet.
    var bytes = Set<String>()
    var names = Set<String>()
    var (manifests, isNamed) = (0, false)
    for call in calls(try String(contentsOfFile: log, encoding: .utf8)) {
      guard let path = call.paths.first, path.hasPrefix(top) else { continue }
      switch call.name {
      case "write", "writev", "pwrite64": bytes.insert(path)
      case "fsync", "fdatasync":
        bytes.remove(path)
        names.remove(path)
      case "mkdir": names.insert(top)
      case "rename", "renameat", "renameat2", "link", "linkat":
        #expect(bytes.isDisjoint(with: call.paths), "\(call)")
        if call.paths.last == output {
          isNamed = true
          names.insert(top)
        } else {
          // Everything the list refers to must be on the disk: segments, folder, and the previous list.
          #expect(!bytes.contains { $0.hasSuffix(".segment") } && names.isEmpty, "\(call) \(bytes) \(names)")
          manifests += 1
          names.insert(folder)
        }
      case "unlink", "unlinkat":
        let isWork = path.hasSuffix(".segment") || path.hasSuffix("manifest.json")
        #expect(!isWork || isNamed && names.isEmpty, "\(call) \(names)")
      default: break
      }
    }
    #expect(manifests == 5 && isNamed && names.isEmpty, "\(manifests) \(names)")
    #expect(bench.contents == ["calls.txt", "in.mkv", "out.mkv", "zero.safetensors"])
  }
}
