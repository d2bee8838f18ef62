// SPDX-License-Identifier: Apache-2.0
import Foundation
import VideoIO

/// A temporary directory, removed with its contents.
final class Workbench {
  let directory: URL

  init() throws {
    directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("videoio-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

  var contents: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []).sorted()
  }

  func size(_ name: String) -> Int {
    (try? FileManager.default.attributesOfItem(atPath: path(name))[.size] as? Int) ?? 0
  }

  /// Runs the ffmpeg program; arguments are split at spaces, and the output's name is appended.
  @discardableResult
  func ffmpeg(_ arguments: String, _ name: String) throws -> String {
    try run("ffmpeg", ["-v", "error", "-nostdin", "-y"] + words(arguments) + [path(name)])
    return path(name)
  }

  /// Returns the output of the ffmpeg program for an input.
  func ffmpegOutput(_ name: String, _ arguments: String) throws -> String {
    try run("ffmpeg", ["-v", "error", "-nostdin", "-i", path(name)] + words(arguments) + ["-"])
  }

  func ffprobe(_ name: String, _ arguments: String) throws -> String {
    try run("ffprobe", ["-v", "error"] + words(arguments) + [path(name)])
  }

  /// Returns the hashes of all decoded frames of the video stream.
  func frameHashes(_ name: String, _ arguments: String = "-map 0:v:0") throws -> [String] {
    try ffmpegOutput(name, arguments + " -fps_mode passthrough -f framemd5")
      .split(separator: "\n").filter { !$0.hasPrefix("#") }
      .map {
        $0.split(separator: ",").dropFirst(5).first.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
      }
  }

  /// Returns the hashes of a stream's packets as stored.
  func packetHashes(_ name: String, stream: String) throws -> [String] {
    try ffmpegOutput(name, "-map 0:\(stream) -c copy -f framemd5")
      .split(separator: "\n").filter { !$0.hasPrefix("#") }
      .map {
        $0.split(separator: ",").dropFirst(5).first.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
      }
  }

  /// Returns the presentation times of a stream's frames, in seconds as printed by ffprobe.
  func times(_ name: String, stream: String = "v:0") throws -> [String] {
    try ffprobe(name, "-select_streams \(stream) -show_entries frame=best_effort_timestamp_time -of csv=p=0")
      .split(separator: "\n").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: ", ")) }
      .filter { !$0.isEmpty }
  }

  /// Returns the presentation times of a stream's packets.
  func packetTimes(_ name: String, stream: String) throws -> [String] {
    try ffprobe(name, "-select_streams \(stream) -show_entries packet=pts_time -of csv=p=0")
      .split(separator: "\n").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: ", ")) }
      .filter { !$0.isEmpty }
  }

  func streamEntries(_ name: String, stream: String, _ entries: String) throws -> String {
    try ffprobe(name, "-select_streams \(stream) -show_entries stream=\(entries) -of default=nw=1")
  }

  func write(_ text: String, _ name: String) throws {
    try text.write(toFile: path(name), atomically: true, encoding: .utf8)
  }

  /// Truncates a file.
  func truncate(_ name: String, to count: Int, as copy: String) throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: path(name)))
    try data.prefix(count).write(to: URL(fileURLWithPath: path(copy)))
  }

  private func words(_ text: String) -> [String] {
    // DIR stands for the directory, ~ for a space in an argument.
    text.split(separator: " ").map {
      $0.replacingOccurrences(of: "DIR", with: directory.path).replacingOccurrences(of: "~", with: " ")
    }
  }
}

struct ProgramFailed: Error, CustomStringConvertible {
  let description: String
}

/// Runs a program and returns its output.
@discardableResult
func run(_ program: String, _ arguments: [String]) throws -> String {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = [program] + arguments
  let output = Pipe()
  let errors = Pipe()
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

/// Returns all frames and the number of packets of a file.
func readAll(
  _ path: String, options: VideoReader.Options = .init()
) throws -> (
  info: MediaInfo, frames: [VideoFrame], packets: [EncodedPacket], warnings: [String], leftOut: [String]
) {
  var reader = try VideoReader(path: path, options: options)
  var frames: [VideoFrame] = []
  var packets: [EncodedPacket] = []
  while let item = try reader.next() {
    switch item {
    case .frame(let frame): frames.append(frame)
    case .packet(let packet): packets.append(packet)
    }
  }
  return (
    reader.info, frames, packets, reader.warnings.map(\.description), reader.leftOut.map(\.description)
  )
}

/// The result of copying a file.
struct CopyReport {
  var info: MediaInfo
  var leftOut: [String]
  var readWarnings: [String]
  var writeWarnings: [String]
}

/// Copies a file's frames and packets to another file.
@discardableResult
func copy(
  _ input: String, to output: String, settings: EncoderSettings = EncoderSettings(codec: "ffv1"),
  overwrite: Bool = false
) throws -> CopyReport {
  var reader = try VideoReader(path: input)
  let info = reader.info
  var writer = try VideoWriter(
    path: output, like: info, width: info.width, height: info.height, format: info.format,
    settings: settings, overwrite: overwrite)
  while let item = try reader.next() { try writer.write(item) }
  let report = CopyReport(
    info: info, leftOut: writer.leftOut.map(\.description), readWarnings: reader.warnings.map(\.description),
    writeWarnings: writer.warnings.map(\.description))
  try writer.finish()
  return report
}

/// Returns the samples of a frame, plane by plane, without padding.
func samples(_ frame: VideoFrame) -> [UInt8] {
  var result: [UInt8] = []
  for index in 0..<frame.format.planeCount {
    let rowBytes = frame.planeWidth(index) * frame.format.bytesPerSample
    frame.withPlane(index) { bytes, bytesPerRow in
      for row in 0..<frame.planeHeight(index) {
        result.append(contentsOf: bytes[(row * bytesPerRow)..<(row * bytesPerRow + rowBytes)])
      }
    }
  }
  return result
}
