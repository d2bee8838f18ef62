// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The record of a piece, stored as JSON after its packets, so that a piece is a single file that is written
/// atomically.
package struct PieceRecord: Codable, Sendable, Equatable {
  /// Identity of the piece's plan.
  package var plan: String
  /// Index of the segment in the film.
  package var segment: Int
  package var frames: Int
  /// Times of its first and last frame, in output ticks.
  package var first, last: Int64
  /// Total length of its packets in bytes, and their SHA-256.
  package var bytes: Int
  package var sha256: String
  /// The settings that the piece depends on, as text by name.
  package var settings: [String: String]
  /// Types of FFmpeg side data in the source's frames.
  package var frameData: [UInt32]
  /// Whether the frames had closed captions that the encoder does not write.
  package var losesCaptions: Bool
}

/// The state of a piece on the disk.
package enum PieceState: Sendable, Equatable {
  case whole(PieceRecord)
  case missing
  /// The piece is damaged; contains the reason.
  case damaged(String)
  /// The piece belongs to another plan; contains that plan's settings.
  case foreign([String: String])

  package var isWhole: Bool { if case .whole = self { true } else { false } }
}

/// The folder in which many processes, on any machines, store the finished segments of one film.
///
/// There are no locks, which shared file systems may not support: a piece is written under a unique name and
/// renamed when it is on the disk. If several processes make the same piece, they replace it with an equal
/// one.
package struct PieceFolder: Sendable {
  package let path: String
  /// Identity of the plan.
  package let plan: String
  /// The settings that the pieces depend on, as text by name.
  package let settings: [String: String]
  /// Frames per segment.
  package let segmentFrames: Int
  private let input: String

  private static let ending = ".piece"
  private static let unfinishedEnding = ".unfinished"
  private static let magic: [UInt8] = Array("VENHPIEC".utf8)

  package init(path: String, plan: String, settings: [String: String], segmentFrames: Int, input: String) {
    self.path = path
    self.plan = plan
    self.settings = settings
    self.segmentFrames = segmentFrames
    self.input = input
  }

  /// Creates the folder if it does not exist.
  /// - Throws: `VideoIOError.cannotCreate`.
  package func make() throws(VideoIOError) {
    // Another process may create it at the same time.
    if mkdir(FileName.cString(path), FilePermissions(like: input).folderMode) != 0, errno != EEXIST {
      throw .cannotCreate(path: path, reason: LibavError(errno: errno))
    }
  }

  /// Returns the path of a piece.
  package func file(_ segment: Int) -> String { path + "/\(segment)" + Self.ending }

  /// Returns a unique path for a piece in progress.
  func unfinishedFile(_ segment: Int) -> String {
    path + "/\(segment).\(UInt64.random(in: 0 ... .max))" + Self.unfinishedEnding
  }

  var permissions: FilePermissions { FilePermissions(like: input) }

  /// A unique path for the container that writers open in the folder and never finish.
  package var scratch: String { path + "/scratch-\(UInt64.random(in: 0 ... .max))" }

  /// Removes the remains of killed runs. Must not be called while other processes are working.
  package func removeUnfinished() {
    for name in names where name.hasSuffix(Self.unfinishedEnding) || name.hasPrefix("scratch-") {
      unlink(FileName.cString(path + "/" + name))
    }
  }

  /// Removes the folder and its contents.
  package func remove() {
    removeUnfinished()
    for name in names where name.hasSuffix(Self.ending) || name == Self.joinedName {
      unlink(FileName.cString(path + "/" + name))
    }
    rmdir(FileName.cString(path))
  }

  private var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }

  // MARK: - Pieces

  /// Examines a piece.
  /// - Parameters:
  ///   - frames: the required number of frames; `first` and `last` are their times.
  ///   - readsAll: whether to verify every byte, rather than the length.
  package func state(
    of segment: Int, frames: Int, first: Int64, last: Int64, readsAll: Bool
  ) -> PieceState {
    let path = file(segment)
    let record: PieceRecord
    do throws(VideoIOError) {
      guard let found = try Self.record(path) else { return .missing }
      record = found
    } catch {
      return .damaged("\(error)")
    }
    guard record.plan == plan else { return .foreign(record.settings) }
    guard record.segment == segment, record.frames == frames else {
      return .damaged("it holds \(record.frames) frames of segment \(record.segment)")
    }
    guard record.first == first, record.last == last else { return .damaged("its frames have other times") }
    if readsAll, let fault = Self.fault(path, record) { return .damaged(fault) }
    return .whole(record)
  }

  /// Returns the fault in the packets of a piece; nil if there is none.
  private static func fault(_ path: String, _ record: PieceRecord) -> String? {
    do throws(VideoIOError) {
      let found = try SegmentReplay.examine(path, length: record.bytes)
      guard found.sha256 == record.sha256 else { return "its bytes are not those that were written" }
      // Require one packet per frame, since frames would otherwise be missing in the joined file.
      return found.frames == record.frames && found.packets == record.frames
        ? nil : "it has \(found.frames ?? 0) frames"
    } catch {
      return "\(error)"
    }
  }

  /// Starts replaying a piece, of which every byte has been verified just before.
  /// - Throws: `VideoIOError.segmentsDamaged`, also for a piece that is missing or of another plan.
  func replay(_ segment: Int, timeBase: Rational) throws(VideoIOError) -> SegmentReplay {
    let path = file(segment)
    guard let record = try Self.record(path) else {
      throw .segmentsDamaged(path: path, reason: "it is missing")
    }
    guard record.plan == plan, record.segment == segment else {
      throw .segmentsDamaged(path: path, reason: "it is a piece of something else")
    }
    if let fault = Self.fault(path, record) { throw .segmentsDamaged(path: path, reason: fault) }
    return try SegmentReplay.open(path, timeBase: timeBase, length: record.bytes)
  }

  /// Returns the record of a piece; nil if there is none.
  /// - Throws: `VideoIOError.segmentsDamaged`.
  static func record(_ path: String) throws(VideoIOError) -> PieceRecord? {
    do throws(LibavError) {
      let file = try DiskFile(readingOwn: path)
      let size = Int(try file.status().st_size)
      guard size > 12 else { throw LibavError.invalidData }
      try file.seek(to: size - 12)
      let end = try file.read(12)
      let count = end.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
      guard end.count == 12, Array(end[4...]) == magic, count <= size - 12, count < 1 << 24 else {
        throw LibavError.invalidData
      }
      try file.seek(to: size - 12 - count)
      let json = try file.read(count)
      guard let record = try? JSONDecoder().decode(PieceRecord.self, from: Data(json)),
        record.bytes == size - 12 - count
      else { throw LibavError.invalidData }
      return record
    } catch {
      if error.code == LibavError(errno: ENOENT).code { return nil }
      throw .segmentsDamaged(path: path, reason: "\(error)")
    }
  }

  /// Returns the bytes that follow the packets of a piece.
  static func trailer(_ record: PieceRecord) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let json = [UInt8]((try? encoder.encode(record)) ?? Data())
    return json + withUnsafeBytes(of: UInt32(json.count).littleEndian) { Array($0) } + magic
  }

  /// Renames a finished piece to its final name.
  func publish(_ unfinished: String, as segment: Int) throws(VideoIOError) {
    let path = file(segment)
    do throws(LibavError) {
      guard rename(FileName.cString(unfinished), FileName.cString(path)) == 0 else {
        throw LibavError(errno: errno)
      }
      try DiskFile.synchronizeFolder(self.path)
    } catch {
      unlink(FileName.cString(unfinished))
      throw .cannotWrite(path: path, reason: error)
    }
  }

  // MARK: - The joined file

  private static let joinedName = "joined.json"

  /// The record of a joined file.
  private struct JoinedNote: Codable, Equatable {
    var output, plan: String
    var leavesOut: Bool
  }

  /// Records that the pieces were joined to a file with this fingerprint, and whether it lacks streams of the source.
  package func noteJoined(_ output: SourceFingerprint, leavesOut: Bool) throws(VideoIOError) {
    let path = path + "/" + Self.joinedName
    let note = JoinedNote(output: "\(output)", plan: plan, leavesOut: leavesOut)
    guard let data = try? JSONEncoder().encode(note) else { preconditionFailure("a note is JSON") }
    do throws(LibavError) {
      try DiskFile.replace(path, folder: self.path, with: Array(data), permissions: permissions)
    } catch {
      throw .cannotWrite(path: path, reason: error)
    }
  }

  /// Returns whether streams were left out of a file, if it is the recorded result of joining the pieces; otherwise nil.
  package func joinedLeavingOut(_ output: SourceFingerprint) -> Bool? {
    guard let data = FileManager.default.contents(atPath: path + "/" + Self.joinedName),
      let note = try? JSONDecoder().decode(JoinedNote.self, from: data),
      note.output == "\(output)", note.plan == plan
    else { return nil }
    return note.leavesOut
  }
}
