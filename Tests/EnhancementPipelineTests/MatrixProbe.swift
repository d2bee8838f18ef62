// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// A section of ffprobe's output: names and values.
struct ProbeEntry {
  private let values: [String: Any]

  init(_ values: Any?) { self.values = values as? [String: Any] ?? [:] }

  /// Returns a value as text; nil if it is missing or ffprobe's placeholder.
  func text(_ key: String) -> String? {
    guard let value = values[key], !(value is [String: Any]), !(value is [Any]) else { return nil }
    let text = "\(value)"
    return ["unknown", "unspecified", "N/A", "und"].contains(text) ? nil : text
  }

  /// Returns a value as a number; fractions are evaluated.
  func number(_ key: String) -> Double? {
    guard let parts = text(key)?.split(separator: "/").map({ Double($0) }), let first = parts.first else {
      return nil
    }
    guard parts.count == 2 else { return first }
    guard let a = first, let b = parts[1], b != 0 else { return nil }
    return a / b
  }

  func entry(_ key: String) -> ProbeEntry { ProbeEntry(values[key]) }

  func entries(_ key: String) -> [ProbeEntry] { (values[key] as? [Any] ?? []).map { ProbeEntry($0) } }

  /// All names and values that are text or numbers.
  var pairs: [String: String] { values.keys.reduce(into: [:]) { $0[$1] = text($1) } }
}

/// The output of ffprobe for a file, and hashes of its pictures by ffmpeg.
struct Probe {
  let format: ProbeEntry
  let streams, chapters: [ProbeEntry]
  /// Packets by stream index.
  let packets: [Int: [ProbeEntry]]
  /// Index of the examined stream, and its frames.
  let video: Int
  let frames: [ProbeEntry]
  /// MD5 of each decoded picture.
  let pictures: [String]
  /// MD5 of the contents of each PCM stream, by index.
  let samples: [Int: String]

  /// - Parameter video: index of the stream to examine; nil for the first one that is not cover art.
  init(_ bench: Workbench, _ name: String, video: Int? = nil) throws {
    let text = try bench.ffprobe(
      name, "-show_format -show_streams -show_chapters -show_packets -show_data_hash md5 -of json")
    let all = ProbeEntry(try JSONSerialization.jsonObject(with: Data(text.utf8)))
    format = all.entry("format")
    let streams = all.entries("streams")
    self.streams = streams
    chapters = all.entries("chapters")
    packets = Dictionary(grouping: all.entries("packets")) { Int($0.text("stream_index") ?? "") ?? -1 }
    let found = video ?? streams.firstIndex { $0.isVideo } ?? 0
    let frameText = try bench.ffprobe(name, "-select_streams \(found) -show_frames -of json")
    frames = ProbeEntry(try JSONSerialization.jsonObject(with: Data(frameText.utf8))).entries("frames")
      .filter { $0.text("media_type") == "video" }
    // Compare times as numbers, since the program drops frames whose times do not increase.
    let hashes = try runProgram(
      "ffmpeg",
      [
        "-v", "error", "-nostdin", "-noautorotate", "-i", bench.path(name), "-map", "0:\(found)", "-vf",
        "setpts=N",
        "-fps_mode", "passthrough", "-f", "framemd5", "-",
      ])
    pictures = hashes.split(separator: "\n").filter { !$0.hasPrefix("#") }
      .compactMap { $0.split(separator: ",").last?.trimmingCharacters(in: .whitespaces) }
    samples = try streams.indices.reduce(into: [:]) { result, index in
      guard streams[index].text("codec_name")?.hasPrefix("pcm_") == true else { return }
      result[index] = try bench.packetHash(name, stream: "\(index)")
    }
    self.video = found
  }

  /// Returns the packets of a stream in order.
  func packets(of stream: Int) -> [ProbeEntry] { packets[stream] ?? [] }
}

extension ProbeEntry {
  /// Whether the stream is a video, not cover art.
  var isVideo: Bool { text("codec_type") == "video" && entry("disposition").text("attached_pic") != "1" }
  /// Whether the stream has no packets: an attached file.
  var isAttached: Bool {
    text("codec_type") == "attachment" || entry("disposition").text("attached_pic") == "1"
  }
  /// Whether the QuickTime muxer creates the track itself: chapter names, timecode.
  var isHelper: Bool {
    text("codec_type") == "data" && ["text", "tmcd"].contains(text("codec_tag_string") ?? "")
  }
}
