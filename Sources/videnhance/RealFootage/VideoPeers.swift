// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import QualityReport

/// Third-party networks and filters, run by `Benchmarks/video_peers.py` in a Python environment with their wheels.
struct VideoPeers: Sendable {
  /// Path of the Python interpreter.
  let python: String
  /// The peers to run; nil for all.
  let names: [String]?
  let threads: Int
  private let script: String

  /// - Throws: `CompareError` if the script is neither above the current folder nor above the program's.
  init(python: String, names: [String]?, threads: Int) throws {
    let name = "Benchmarks/video_peers.py"
    let starts = [
      URL(fileURLWithPath: FileManager.default.currentDirectoryPath),
      Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent(),
    ]
    var found: String?
    for start in starts.compactMap({ $0 }) where found == nil {
      var folder = start.standardizedFileURL
      while found == nil, folder.path != "/" {
        let candidate = folder.appendingPathComponent(name).path
        if FileManager.default.fileExists(atPath: candidate) { found = candidate }
        folder.deleteLastPathComponent()
      }
    }
    guard let found else {
      throw CompareError(
        detail: "\(name), which runs the peers, is not found (hint: run this in the source folder)")
    }
    script = found
    self.python = OtherProgram.path(of: python)
    self.names = names
    self.threads = threads
  }

  /// The result of a peer.
  struct Made: Sendable {
    /// A lossless file.
    var path: String
    /// Seconds of processor time, without loading.
    var secondsPerFrame: Double
    /// Model and options, as text.
    var settings: String
  }

  private struct Answer: Decodable {
    var frames: Int
    var cpuSecondsPerFrame: Double
    var settings: String
  }

  /// The names of the peers for a task.
  /// - Throws: `OtherProgramError`.
  func names(of task: EnhancementTask, folder: String) async throws -> [String] {
    guard task != .restoration else { return [] }
    return try await known(for: task, folder: folder).filter { names?.contains($0) ?? true }
  }

  private func known(for task: EnhancementTask, folder: String) async throws -> [String] {
    try await OtherProgram.run(python, [script, "list", task.rawValue], folder: folder)
      .split(separator: "\n").map(String.init)
  }

  /// Checks the peers' names before any work.
  /// - Throws: `OtherProgramError` if the script cannot be run, `CompareError` for a name that is not a peer for `task`.
  func check(for task: EnhancementTask, folder: String) async throws {
    let known = try await known(for: task, folder: folder)
    if let other = names?.first(where: { !known.contains($0) }) {
      throw CompareError(
        detail: "\(other) is not a peer for \(task.rawValue) (hint: one of \(known.joined(separator: ", ")))")
    }
  }

  /// The ffmpeg of imageio-ffmpeg.
  /// - Throws: `OtherProgramError`.
  func ffmpeg(folder: String) async throws -> String {
    try await OtherProgram.run(python, [script, "vmaf"], folder: folder)
      .trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Runs a peer on a clip.
  /// - Parameters:
  ///   - isSpoiled: whether the clip is compressed or noisy, for peers with models for that.
  ///   - level: noise level in 8-bit levels, for denoising.
  ///   - folder: destination of the result, `peer.mkv`.
  /// - Throws: `OtherProgramError`.
  func run(_ name: String, on input: String, isSpoiled: Bool, level: Float, folder: String) async throws
    -> Made
  {
    let output = folder + "/peer.mkv"
    var arguments = [script, "run", name, input, output, "--threads", "\(threads)", "--level", "\(level)"]
    if isSpoiled { arguments.append("--spoiled") }
    let text = try await OtherProgram.run(python, arguments, folder: folder)
    guard let line = text.split(separator: "\n").last(where: { $0.hasPrefix("{") }),
      let answer = try? JSONDecoder().decode(Answer.self, from: Data(line.utf8))
    else { throw OtherProgramError(program: name, detail: "it does not report its result") }
    return Made(path: output, secondsPerFrame: answer.cpuSecondsPerFrame, settings: answer.settings)
  }
}
