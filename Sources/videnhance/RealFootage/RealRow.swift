// SPDX-License-Identifier: Apache-2.0
import Foundation
import QualityReport

/// What one contender made of one clip of one kind.
struct RealRow: Codable, Sendable, Equatable {
  /// Where a contender comes from.
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

  /// Whether it is about the same contender on the same frames.
  func isSameWork(as other: RealRow) -> Bool {
    (table, clip, kind) == (other.table, other.clip, other.kind)
      && (contender, frames, input) == (other.contender, other.frames, other.input)
  }
}

/// Rows kept in a file, so that what does not change need not be measured again.
struct RealRowFile {
  private(set) var rows: [RealRow] = []
  private let path: String?

  /// Rows of a file; none if there is no file.
  /// - Throws: `CompareError` if it does not hold rows.
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

  /// Adds a row or renews it, and writes the file.
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
