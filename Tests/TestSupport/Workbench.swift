// SPDX-License-Identifier: Apache-2.0
package import Foundation

/// A directory for one test, removed with everything in it.
package final class Workbench: Sendable {
  /// Where it is.
  package let directory: URL

  /// Makes the directory.
  package init() throws {
    directory = FileManager.default.temporaryDirectory.appendingPathComponent(
      "videnhance-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  /// The path of a file in it.
  package func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

  /// Names of the files in it, sorted.
  package var contents: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []).sorted()
  }

  /// Makes a file with the ffmpeg program; arguments are split at spaces, the output's name is added.
  @discardableResult
  package func ffmpeg(_ arguments: String, _ name: String) throws -> String {
    let words = arguments.split(separator: " ").map {
      $0.replacingOccurrences(of: "DIR", with: directory.path)
    }
    try runProgram("ffmpeg", ["-v", "error", "-nostdin", "-y"] + words + [path(name)])
    return path(name)
  }

  /// What the ffprobe program prints for a file.
  package func ffprobe(_ name: String, _ arguments: String) throws -> String {
    let words = arguments.split(separator: " ").map(String.init)
    return try runProgram("ffprobe", ["-v", "error"] + words + [path(name)])
  }

  /// Presentation times of all frames of the video.
  package func times(_ name: String) throws -> String {
    try ffprobe(name, "-select_streams v:0 -show_entries frame=pts_time -of csv=p=0")
  }

  /// Values of stream entries, one a line.
  package func entries(_ name: String, _ names: String, stream: String = "v:0") throws -> String {
    try ffprobe(name, "-select_streams \(stream) -show_entries stream=\(names) -of default=nw=1")
  }

  /// Hash of a stream's packets as they are stored.
  package func packetHash(_ name: String, stream: String) throws -> String {
    try runProgram(
      "ffmpeg",
      ["-v", "error", "-nostdin", "-i", path(name), "-map", "0:\(stream)", "-c", "copy", "-f", "md5", "-"])
  }
}

/// What a program said before it failed.
package struct ProgramFailed: Error, CustomStringConvertible {
  /// Its arguments, and its words.
  package let description: String
}

/// Runs a program and returns what it printed.
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
  let said = errors.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    throw ProgramFailed(
      description: "\(program) \(arguments.joined(separator: " ")): \(String(decoding: said, as: UTF8.self))")
  }
  return String(decoding: data, as: UTF8.self)
}
