// SPDX-License-Identifier: Apache-2.0
internal import EnhancementPipeline
package import Foundation
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
  private let descriptor: Int32

  /// Opens or creates the file; `-` is standard output.
  package init(path: String) throws(BatchError) {
    self.path = path
    // Opening a pipe for reading too would hide that no other process reads it.
    let access = FileIdentity(path: path).map { $0.kind == .file } ?? true ? O_RDWR : O_WRONLY
    descriptor =
      path == "-"
      ? STDOUT_FILENO : open(FileName.cString(path), access | O_APPEND | O_CREAT | O_CLOEXEC, 0o666)
    if descriptor < 0 { throw .cannotWriteJournal(path: path, reason: String(cString: strerror(errno))) }
    guard path != "-", let identity = FileIdentity(path: path), identity.kind == .file, identity.size > 0
    else { return }
    var ends: [UInt8] = [0, 0]
    _ = pread(descriptor, &ends[0], 1, 0)
    _ = pread(descriptor, &ends[1], 1, off_t(identity.size - 1))
    // A file with other contents is not a journal: do not append to it.
    guard ends[0] == UInt8(ascii: "{") || ends[0] == UInt8(ascii: "\n") else {
      throw .cannotWriteJournal(path: path, reason: "it is a file of another kind")
    }
    // A killed run may have left an incomplete line: end it.
    if ends[1] != UInt8(ascii: "\n") { try write(Data("\n".utf8)) }
  }

  deinit { if descriptor != STDOUT_FILENO { close(descriptor) } }

  /// Appends a line in a single write, since shards may share the file.
  package func write(_ line: Data) throws(BatchError) {
    var rest = line[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw .cannotWriteJournal(path: path, reason: String(cString: strerror(errno))) }
      rest = rest.dropFirst(count)
    }
  }
}
