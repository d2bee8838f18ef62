// SPDX-License-Identifier: Apache-2.0
import Foundation
import QualityReport

/// The result of one contender for one clip of one kind.
struct RealRow: Codable, Sendable, Equatable {
  /// The origin of a contender.
  enum Role: String, Codable {
    /// swscale, or FFmpeg's filters.
    case filter
    /// Another program's network.
    case peer
    /// Ours.
    case network
  }

  var table, clip, kind, contender: String
  var role: Role
  /// Filters or model, in full.
  var settings: String
  var frames: Int
  /// Digest of the decoded input and the ground truth.
  var input: String
  /// Decibels of luma; nil for equal frames.
  var psnr: Double?
  var ssim, flicker, vmafNEG: Double?
  /// Processor time, decoding included except for peers.
  var cpuSecondsPerFrame: Double

  /// Whether the rows describe the same contender on the same frames.
  func isSameWork(as other: RealRow) -> Bool {
    (table, clip, kind) == (other.table, other.clip, other.kind)
      && (contender, frames, input) == (other.contender, other.frames, other.input)
  }
}

/// Rows cached in a file, to avoid repeated measurements.
struct RealRowFile {
  private(set) var rows: [RealRow] = []
  private let path: String?

  /// Reads the rows of a file; empty if there is no file.
  /// - Throws: `CompareError` if the file is invalid.
  init(path: String?) throws {
    self.path = path
    guard let path, FileManager.default.fileExists(atPath: path) else { return }
    guard let data = FileManager.default.contents(atPath: path),
      let known = try? JSONDecoder().decode([RealRow].self, from: data)
    else {
      throw CompareError(detail: "\(path) holds no rows of this command (hint: name another file)")
    }
    rows = known
  }

  /// Adds or replaces a row, and writes the file.
  mutating func keep(_ row: RealRow) throws {
    guard let path else { return }
    rows.removeAll { $0.isSameWork(as: row) }
    rows.append(row)
    try Self.write(rows, to: path)
  }

  /// Writes rows as JSON.
  static func write(_ rows: [RealRow], to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      try (encoder.encode(rows) + Data("\n".utf8)).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw CompareError(detail: "\(path) cannot be written")
    }
  }
}
