// SPDX-License-Identifier: Apache-2.0
internal import EnhancementPipeline
package import Foundation
internal import SystemPackage
internal import VideoIO

/// The result of a file: a line of the journal.
package struct FileRecord: Encodable, Sendable {
  package enum Status: String, Encodable, CaseIterable {
    case done, skipped, failed
  }

  package var input, output: String
  package var status: Status
  package var seconds: Double
  package var frames = 0
  /// The reason for skipping or failing.
  package var error: String?
  /// Whether it failed because its output exists already.
  package var isTaken = false

  package init(
    input: String, output: String, status: Status, seconds: Double, frames: Int = 0, error: String? = nil
  ) {
    self.input = input
    self.output = output
    self.status = status
    self.seconds = seconds
    self.frames = frames
    self.error = error
  }

  private enum Key: String, CodingKey { case input, output, status, seconds, frames, error }

  // Encoded explicitly to write nulls: every line contains every key.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(FileName.legible(input), forKey: .input)
    try container.encode(FileName.legible(output), forKey: .output)
    try container.encode(status, forKey: .status)
    try container.encode((seconds * 1000).rounded() / 1000, forKey: .seconds)
    try container.encode(frames, forKey: .frames)
    try container.encode(error.map(FileName.legible), forKey: .error)
  }

  /// The record as a line of JSON.
  package var line: Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Data(terminalJSON((try? encoder.encode(self)) ?? Data("{}".utf8)).utf8) + Data("\n".utf8)
  }
}

/// A file to which lines are appended.
package final class Journal: Sendable {
  private let path: String
  private let descriptor: FileDescriptor

  /// Opens or creates the file; `-` is standard output.
  package init(path: String) throws(BatchError) {
    self.path = path
    // Opening a pipe for reading too would hide that no other process reads it.
    let isReadable = FileIdentity(path: path).map { $0.kind == .file } ?? true
    do {
      descriptor =
        try path == "-"
        ? .standardOutput
        : .open(
          FileName.cString(path), isReadable ? .readWrite : .writeOnly,
          options: [.append, .create, .closeOnExec], permissions: FilePermissions(rawValue: 0o666))
    } catch {
      throw .cannotWriteJournal(path: path, reason: "\(error)")
    }
    guard path != "-", let identity = FileIdentity(path: path), identity.kind == .file, identity.size > 0
    else { return }
    let first = byte(at: 0)
    // A file with other contents is not a journal: do not append to it.
    guard first == UInt8(ascii: "{") || first == UInt8(ascii: "\n") else {
      throw .cannotWriteJournal(path: path, reason: "it is not a journal")
    }
    // A killed run may have left an incomplete line: end it.
    if byte(at: identity.size - 1) != UInt8(ascii: "\n") { try write(Data("\n".utf8)) }
  }

  deinit { if descriptor != .standardOutput { try? descriptor.close() } }

  /// The byte at an offset of the file; 0 if it cannot be read.
  private func byte(at offset: Int) -> UInt8 {
    var byte: UInt8 = 0
    withUnsafeMutableBytes(of: &byte) {
      _ = try? descriptor.read(fromAbsoluteOffset: Int64(offset), into: $0)
    }
    return byte
  }

  /// Appends a line in a single write, since shards may share the file.
  package func write(_ line: Data) throws(BatchError) {
    do { try descriptor.writeAll(line) } catch {
      throw .cannotWriteJournal(path: path, reason: "\(error)")
    }
  }
}
