// SPDX-License-Identifier: Apache-2.0
import Foundation

/// VMAF NEG (`vmaf_v0.6.1neg`), which does not reward enhancement, measured by an ffmpeg with libvmaf.
struct VMAF: Sendable {
  /// The ffmpeg.
  let program: String

  private static let variable = "VIDENHANCE_VMAF_FFMPEG"

  /// Finds an ffmpeg with libvmaf: the given one, that of the environment variable `VIDENHANCE_VMAF_FFMPEG`, that of the
  /// peers' imageio-ffmpeg, or the one in PATH.
  /// - Throws: `OtherProgramError` if an explicitly named one lacks libvmaf.
  static func find(named name: String?, peers: VideoPeers?, folder: String) async throws -> VMAF? {
    let environment = ProcessInfo.processInfo.environment
    if let named = name ?? environment[variable].flatMap({ $0.isEmpty ? nil : $0 }) {
      let program = OtherProgram.path(of: named)
      guard try await hasFilter(program, folder: folder) else {
        throw OtherProgramError(program: named, detail: "this ffmpeg lacks the filter libvmaf")
      }
      return VMAF(program: program)
    }
    var candidates: [String] = []
    if let bundled = try? await peers?.ffmpeg(folder: folder) { candidates.append(bundled) }
    candidates.append(OtherProgram.path(of: "ffmpeg"))
    for candidate in candidates where (try? await hasFilter(candidate, folder: folder)) == true {
      return VMAF(program: candidate)
    }
    try Task.checkCancellation()
    return nil
  }

  private static func hasFilter(_ program: String, folder: String) async throws -> Bool {
    try await OtherProgram.run(program, ["-hide_banner", "-filters"], folder: folder).contains(" libvmaf ")
  }

  private struct Log: Decodable {
    struct Pooled: Decodable {
      struct Score: Decodable { var mean: Double }
      var vmaf: Score
    }
    var pooled_metrics: Pooled
  }

  /// The mean over all frames, 0 to 100; frames are paired in order.
  /// - Throws: `OtherProgramError`.
  func score(of path: String, reference: String, folder: String) async throws -> Double {
    let log = folder + "/vmaf.json"
    defer { try? FileManager.default.removeItem(atPath: log) }
    let order = "format=yuv420p,settb=1/1000,setpts=N"
    let graph =
      "[0:v]\(order)[made];[1:v]\(order)[truth];[made][truth]libvmaf=model=version=vmaf_v0.6.1neg:n_threads=1"
      + ":log_fmt=json:log_path=vmaf.json"
    // The log's name is part of a filter's options: without its folder, nothing in it needs to be escaped.
    let arguments = [
      "-v", "error", "-nostdin", "-i", path, "-i", reference, "-lavfi", graph, "-f", "null", "-",
    ]
    _ = try await OtherProgram.run(program, arguments, folder: folder)
    guard let data = FileManager.default.contents(atPath: log),
      let score = try? JSONDecoder().decode(Log.self, from: data).pooled_metrics.vmaf.mean
    else { throw OtherProgramError(program: program, detail: "libvmaf wrote no score") }
    return score
  }
}
