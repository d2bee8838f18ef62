// SPDX-License-Identifier: Apache-2.0
#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// Identifies a file and its version without reading all of it.
public struct SourceFingerprint: Sendable, Hashable, CustomStringConvertible {
  /// Length in bytes.
  public let size: Int
  /// Modification time in nanoseconds since 1970.
  public let modified: Int64
  /// SHA-256 of its first and last MiB.
  public let digest: String

  private static let partLength = 1 << 20

  /// Computes the fingerprint of a file.
  /// - Throws: `VideoIOError.cannotOpen`, also for anything but a regular file, such as a pipe.
  public init(path: String) throws(VideoIOError) {
    do throws(LibavError) {
      // Opening a pipe without a writer would block forever.
      var status = stat()
      if stat(FileName.cString(path), &status) == 0, !FileStamp(status).isRegular {
        throw LibavError(errno: ESPIPE)
      }
      let file = try DiskFile(reading: path)
      let stamp = try FileStamp(file.status())
      guard stamp.isRegular else { throw LibavError(errno: ESPIPE) }
      size = stamp.size
      modified = stamp.modified
      let head = try file.read(min(size, Self.partLength))
      try file.seek(to: max(0, size - Self.partLength))
      let tail = try file.read(min(size, Self.partLength))
      guard let digest = Self.digest(of: [head, tail]) else { throw LibavError.outOfMemory }
      self.digest = digest
    } catch {
      throw .cannotOpen(path: path, reason: error)
    }
  }

  private static func digest(of parts: [[UInt8]]) -> String? {
    guard let digest = try? Digest() else { return nil }
    for part in parts { digest.add(part) }
    return digest.text
  }

  /// `SIZE bytes, modified NANOSECONDS, DIGEST`.
  public var description: String { "\(size) bytes, modified \(modified), \(digest)" }
}

/// A file's length and modification time.
struct FileStamp: Equatable {
  /// Length in bytes.
  let size: Int
  /// Modification time in nanoseconds since 1970.
  let modified: Int64
  /// Whether it is a regular file, not a pipe, device or folder.
  let isRegular: Bool

  init(_ status: stat) {
    size = Int(status.st_size)
    isRegular = status.st_mode & S_IFMT == S_IFREG
    #if canImport(Darwin)
      modified = Int64(status.st_mtimespec.tv_sec) * 1_000_000_000 + Int64(status.st_mtimespec.tv_nsec)
    #else
      modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    #endif
  }

  /// nil if the path does not exist or is not a regular file.
  init?(path: String) {
    var status = stat()
    guard stat(FileName.cString(path), &status) == 0 else { return nil }
    self.init(status)
    if !isRegular { return nil }
  }
}
