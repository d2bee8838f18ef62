// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Measures VMAF (`vmaf_v0.6.1`) and VMAF NEG (`vmaf_v0.6.1neg`), which does not reward enhancement, with an
/// ffmpeg that has libvmaf.
package struct VMAF: Sendable {
  /// Means over all frames, 0 to 100.
  package struct Scores: Sendable, Equatable {
    package var vmaf: Double
    package var neg: Double
  }

  /// Path of the ffmpeg program.
  package let program: String
  /// Whether the user named the program.
  package let isNamed: Bool

  private static let variable = "VIDENHANCE_VMAF_FFMPEG"

  /// Finds an ffmpeg with libvmaf: the given one, the one in the environment variable
  /// `VIDENHANCE_VMAF_FFMPEG`, one of `others`, or the one in PATH.
  /// - Parameter folder: a folder for temporary files.
  /// - Throws: `OtherProgramError` if an explicitly named program lacks libvmaf.
  package static func find(named name: String?, others: [String] = [], folder: String) async throws -> VMAF? {
    let environment = ProcessInfo.processInfo.environment
    if let named = name ?? environment[variable].flatMap({ $0.isEmpty ? nil : $0 }) {
      let program = OtherProgram.path(of: named)
      guard try await hasFilter(program, folder: folder) else {
        throw OtherProgramError(program: named, detail: "this ffmpeg lacks the filter libvmaf")
      }
      return VMAF(program: program, isNamed: true)
    }
    for candidate in others + [OtherProgram.path(of: "ffmpeg")]
    where (try? await hasFilter(candidate, folder: folder)) == true {
      return VMAF(program: candidate, isNamed: false)
    }
    try Task.checkCancellation()
    return nil
  }

  private static func hasFilter(_ program: String, folder: String) async throws -> Bool {
    try await OtherProgram.run(program, ["-hide_banner", "-filters"], folder: folder).contains(" libvmaf ")
  }

  private struct Log: Decodable {
    struct Score: Decodable { var mean: Double }
    var pooled_metrics: [String: Score]
  }

  /// Returns both scores; frames are paired in order.
  /// - Throws: `OtherProgramError`.
  package func scores(of path: String, reference: String, threads: Int, folder: String) async throws -> Scores
  {
    let models = #"'version=vmaf_v0.6.1\:name=vmaf|version=vmaf_v0.6.1neg\:name=vmaf_neg'"#
    let means = try await means(models, of: path, reference: reference, threads: threads, folder: folder)
    guard let vmaf = means["vmaf"], let neg = means["vmaf_neg"] else { throw noScore }
    return Scores(vmaf: vmaf, neg: neg)
  }

  /// Returns VMAF NEG alone, in half the time.
  /// - Throws: `OtherProgramError`.
  package func negScore(of path: String, reference: String, folder: String) async throws -> Double {
    let means = try await means(
      "version=vmaf_v0.6.1neg", of: path, reference: reference, threads: 1, folder: folder)
    guard let score = means["vmaf"] else { throw noScore }
    return score
  }

  private var noScore: OtherProgramError {
    OtherProgramError(program: program, detail: "libvmaf wrote no score")
  }

  private func means(_ models: String, of path: String, reference: String, threads: Int, folder: String)
    async throws -> [String: Double]
  {
    let log = folder + "/vmaf.json"
    defer { try? FileManager.default.removeItem(atPath: log) }
    let order = "format=yuv420p,settb=1/1000,setpts=N"
    let graph =
      "[0:v]\(order)[made];[1:v]\(order)[truth];[made][truth]libvmaf=model=\(models):n_threads=\(threads)"
      + ":log_fmt=json:log_path=vmaf.json"
    // The log's name is part of a filter's options; relative to its folder, it needs no escaping.
    let arguments = [
      "-v", "error", "-nostdin", "-i", path, "-i", reference, "-lavfi", graph, "-f", "null", "-",
    ]
    _ = try await OtherProgram.run(program, arguments, folder: folder)
    guard let data = FileManager.default.contents(atPath: log),
      let log = try? JSONDecoder().decode(Log.self, from: data)
    else { throw noScore }
    return log.pooled_metrics.mapValues(\.mean)
  }
}
