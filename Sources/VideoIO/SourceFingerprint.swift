// SPDX-License-Identifier: Apache-2.0
#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// What tells a file from another one, or from its own later state, without reading all of it.
public struct SourceFingerprint: Sendable, Hashable, CustomStringConvertible {
  /// Bytes.
  public let size: Int
  /// When it was changed last, in nanoseconds since 1970.
  public let modified: Int64
  /// SHA-256 of its first and last MiB.
  public let digest: String

  private static let partLength = 1 << 20

  /// Looks at a file.
  /// - Throws: `VideoIOError.cannotOpen`; also for what is no file, such as a pipe.
  public init(path: String) throws(VideoIOError) {
    do throws(LibavError) {
      let file = try DiskFile(reading: path)
      let status = try file.status()
      guard status.st_mode & S_IFMT == S_IFREG else { throw LibavError(errno: ESPIPE) }
      size = Int(status.st_size)
      #if canImport(Darwin)
        modified = Int64(status.st_mtimespec.tv_sec) * 1_000_000_000 + Int64(status.st_mtimespec.tv_nsec)
      #else
        modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
      #endif
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
