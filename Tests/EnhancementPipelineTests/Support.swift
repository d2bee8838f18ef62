// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation
import VideoIO

/// A directory for one test, removed with everything in it.
final class Workbench: Sendable {
  let directory: URL

  init() throws {
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("pipeline-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

  var contents: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []).sorted()
  }

  /// Makes a file with the ffmpeg program; arguments are split at spaces, the output's name is added.
  @discardableResult
  func ffmpeg(_ arguments: String, _ name: String) throws -> String {
    let words = arguments.split(separator: " ").map { $0.replacingOccurrences(of: "DIR", with: directory.path) }
    try runProgram("ffmpeg", ["-v", "error", "-nostdin", "-y"] + words + [path(name)])
    return path(name)
  }

  func ffprobe(_ name: String, _ arguments: String) throws -> String {
    let words = arguments.split(separator: " ").map(String.init)
    return try runProgram("ffprobe", ["-v", "error"] + words + [path(name)])
  }

  /// Presentation times and durations of all frames of the video.
  func times(_ name: String) throws -> String {
    try ffprobe(name, "-select_streams v:0 -show_entries frame=pts_time -of csv=p=0")
  }

  /// Values of stream entries, one a line.
  func entries(_ name: String, _ names: String, stream: String = "v:0") throws -> String {
    try ffprobe(name, "-select_streams \(stream) -show_entries stream=\(names) -of default=nw=1")
  }

  /// Hash of a stream's packets as they are stored.
  func packetHash(_ name: String, stream: String) throws -> String {
    try runProgram(
      "ffmpeg",
      ["-v", "error", "-nostdin", "-i", path(name), "-map", "0:\(stream)", "-c", "copy", "-f", "md5", "-"])
  }
}

struct ProgramFailed: Error, CustomStringConvertible {
  let description: String
}

/// Runs a program and returns what it printed.
@discardableResult
func runProgram(_ program: String, _ arguments: [String]) throws -> String {
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

/// A job with the network that adds nothing, losslessly encoded.
func bicubicJob(
  _ input: String, _ output: String, scale: Int = 2, window: Int = 3, options: EnhancementJob.Options = .init()
) -> EnhancementJob {
  EnhancementJob(input: input, output: output, encoder: EncoderSettings(codec: "ffv1"), options: options) {
    width, height, _ in BicubicNetwork(width: width, height: height, scale: scale, window: window)
  }
}

/// All frames of a file.
func readFrames(_ path: String) throws -> [VideoFrame] {
  var reader = try VideoReader(path: path)
  var frames: [VideoFrame] = []
  while let item = try reader.next() {
    if case .frame(let frame) = item { frames.append(frame) }
  }
  return frames
}

/// Samples of a plane, row after row without gaps.
func samples(_ frame: VideoFrame, _ plane: Int) -> [UInt16] {
  let (width, height) = (frame.planeWidth(plane), frame.planeHeight(plane))
  return frame.withPlane(plane) { bytes, bytesPerRow in
    (0..<height).flatMap { y in
      (0..<width).map { x in
        frame.format.bytesPerSample == 1
          ? UInt16(bytes[y * bytesPerRow + x])
          : bytes.loadUnaligned(fromByteOffset: y * bytesPerRow + 2 * x, as: UInt16.self)
      }
    }
  }
}
