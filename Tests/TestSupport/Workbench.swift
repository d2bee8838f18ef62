// SPDX-License-Identifier: Apache-2.0
package import Foundation

/// A temporary directory, removed with its contents.
package final class Workbench: Sendable {
  /// Its location.
  package let directory: URL

  /// Creates the directory.
  package init() throws {
    directory = FileManager.default.temporaryDirectory.appendingPathComponent(
      "videnhance-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  /// Returns the path of a file in it.
  package func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

  /// Names of the files in it, sorted.
  package var contents: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []).sorted()
  }

  /// Runs the ffmpeg program; arguments are split at spaces, and the output's name is appended.
  @discardableResult
  package func ffmpeg(_ arguments: String, _ name: String) throws -> String {
    let words = arguments.split(separator: " ").map {
      $0.replacingOccurrences(of: "DIR", with: directory.path)
    }
    try runProgram("ffmpeg", ["-v", "error", "-nostdin", "-y"] + words + [path(name)])
    return path(name)
  }

  /// Returns the output of the ffprobe program for a file.
  package func ffprobe(_ name: String, _ arguments: String) throws -> String {
    let words = arguments.split(separator: " ").map(String.init)
    return try runProgram("ffprobe", ["-v", "error"] + words + [path(name)])
  }

  /// Returns the presentation times of all video frames.
  package func times(_ name: String) throws -> String {
    try ffprobe(name, "-select_streams v:0 -show_entries frame=pts_time -of csv=p=0")
  }

  /// Returns values of stream entries, one per line.
  package func entries(_ name: String, _ names: String, stream: String = "v:0") throws -> String {
    try ffprobe(name, "-select_streams \(stream) -show_entries stream=\(names) -of default=nw=1")
  }

  /// Returns the hash of a stream's packets as stored.
  package func packetHash(_ name: String, stream: String) throws -> String {
    try runProgram(
      "ffmpeg",
      ["-v", "error", "-nostdin", "-i", path(name), "-map", "0:\(stream)", "-c", "copy", "-f", "md5", "-"])
  }
}

/// The messages of a program that failed.
package struct ProgramFailed: Error, CustomStringConvertible {
  /// Its arguments and output.
  package let description: String
}

/// Runs a program and returns its output.
@discardableResult
package func runProgram(_ program: String, _ arguments: [String]) throws -> String {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = [program] + arguments
  let (output, errors) = (Pipe(), Pipe())
  process.standardOutput = output
  process.standardError = errors
  process.standardInput = FileHandle.nullDevice
  try process.run()
  let data = output.fileHandleForReading.readDataToEndOfFile()
  let message = errors.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    throw ProgramFailed(
      description:
        "\(program) \(arguments.joined(separator: " ")): \(String(decoding: message, as: UTF8.self))")
  }
  return String(decoding: data, as: UTF8.self)
}
