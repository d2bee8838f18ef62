// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// An open file descriptor, for the few files that are not read or written by FFmpeg.
struct DiskFile: ~Copyable {
  private let descriptor: FileDescriptor

  init(reading path: String) throws(LibavError) { self = try Self.open(path, .readOnly) }

  /// Opens a regular file that this package wrote. Refuses links, pipes and devices that others may have put in its place.
  init(readingOwn path: String) throws(LibavError) {
    self = try Self.openFile(path, .readOnly, [.noFollow, .nonBlocking])
  }

  /// Creates a new file. An existing entry of this name is unlinked; the target of a link is left untouched.
  init(creating path: String, permissions: FilePermissions = FilePermissions()) throws(LibavError) {
    unlink(FileName.cString(path))
    guard let file = try Self.makingNew(path, permissions: permissions) else {
      throw LibavError(errno: EEXIST)
    }
    self = file
  }

  /// Opens a file, pipe or device for writing; a file is created or emptied.
  init(writing path: String) throws(LibavError) {
    self = try Self.open(path, .writeOnly, [.create, .truncate])
  }

  /// Opens or creates a lock file.
  init(lockable path: String) throws(LibavError) {
    self = try Self.openFile(path, .readWrite, [.create, .noFollow, .nonBlocking])
  }

  /// Creates a file; nil if the name is taken.
  static func makingNew(_ path: String, permissions: FilePermissions) throws(LibavError) -> DiskFile? {
    let file: DiskFile
    do throws(LibavError) {
      file = try open(path, .readWrite, [.create, .exclusiveCreate, .noFollow], mode: permissions.mode)
    } catch {
      if error.code == LibavError(errno: EEXIST).code { return nil }
      throw error
    }
    let found = try file.status()
    let mode = permissions.mode(forGroup: found.st_gid) & found.st_mode & 0o777
    if mode != found.st_mode & 0o777 { fchmod(file.descriptor.rawValue, mode) }
    return file
  }

  private init(adopting descriptor: FileDescriptor) { self.descriptor = descriptor }

  deinit { try? descriptor.close() }

  private static func open(
    _ path: String, _ access: FileDescriptor.AccessMode, _ options: FileDescriptor.OpenOptions = [],
    mode: mode_t = 0o666
  ) throws(LibavError) -> DiskFile {
    let descriptor = try convertingErrors {
      try FileDescriptor.open(
        FileName.cString(path), access, options: options.union(.closeOnExec),
        permissions: SystemPackage.FilePermissions(rawValue: mode))
    }
    return DiskFile(adopting: descriptor)
  }

  /// Opens a regular file; fails for anything else.
  private static func openFile(
    _ path: String, _ access: FileDescriptor.AccessMode, _ options: FileDescriptor.OpenOptions
  ) throws(LibavError) -> DiskFile {
    let file = try open(path, access, options)
    guard try file.status().st_mode & S_IFMT == S_IFREG else { throw .invalidData }
    return file
  }

  /// Calls swift-system, whose errors are all `Errno`.
  private static func convertingErrors<Result>(_ call: () throws -> Result) throws(LibavError) -> Result {
    do { return try call() } catch { throw LibavError(errno: (error as? Errno)?.rawValue ?? EIO) }
  }

  /// The file's status (`fstat`).
  func status() throws(LibavError) -> stat { try Self.convertingErrors { try descriptor.stat().rawValue } }

  /// The length of a regular file in bytes.
  func size() throws(LibavError) -> Int {
    let status = try status()
    guard status.st_mode & S_IFMT == S_IFREG else { throw .invalidData }
    return Int(status.st_size)
  }

  func write(_ bytes: [UInt8]) throws(LibavError) {
    _ = try Self.convertingErrors { try descriptor.writeAll(bytes) }
  }

  /// Reads up to `count` bytes; fewer only at the end.
  func read(_ count: Int) throws(LibavError) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count)
    _ = try append(count, to: &result)
    return result
  }

  /// Appends up to `count` bytes to a buffer; fewer only at the end.
  /// - Returns: the number of bytes read.
  func append(_ count: Int, to buffer: inout [UInt8]) throws(LibavError) -> Int {
    let start = buffer.count
    buffer.append(contentsOf: repeatElement(0, count: count))
    var filled = 0
    while filled < count {
      let part = try Self.convertingErrors {
        try buffer.withUnsafeMutableBytes {
          try descriptor.read(into: .init(rebasing: $0[(start + filled)...]))
        }
      }
      if part == 0 { break }
      filled += part
    }
    buffer.removeLast(count - filled)
    return filled
  }

  func seek(to offset: Int) throws(LibavError) {
    _ = try Self.convertingErrors { try descriptor.seek(offset: Int64(offset), from: .start) }
  }

  /// Flushes everything to disk.
  func synchronize() throws(LibavError) {
    if fsync(descriptor.rawValue) == 0 { return }
    // Some file systems do not support this; ignore that.
    if errno != EINVAL && errno != ENOTSUP && errno != EROFS { throw LibavError(errno: errno) }
  }

  /// The result of an attempt to lock a file.
  enum Lock {
    case taken
    /// Another process holds the lock.
    case held
    /// The file system does not support locks.
    case impossible
  }

  /// Locks the file exclusively. The system releases the lock when the process ends for whatever reason.
  func lock() -> Lock {
    while flock(descriptor.rawValue, LOCK_EX | LOCK_NB) != 0 {
      if errno == EINTR { continue }
      return errno == EWOULDBLOCK ? .held : .impossible
    }
    return .taken
  }

  /// Flushes a folder's entries to disk.
  static func synchronizeFolder(_ path: String) throws(LibavError) {
    // A folder that is writable but not readable cannot be opened for this; ignore that.
    if access(FileName.cString(path), R_OK) != 0, errno == EACCES { return }
    try DiskFile(reading: path).synchronize()
  }

  /// Writes a file atomically, so that it is complete or absent even after a power loss.
  static func replace(
    _ path: String, folder: String, with bytes: [UInt8], permissions: FilePermissions = FilePermissions()
  ) throws(LibavError) {
    let temporary = path + ".new"
    do throws(LibavError) {
      let file = try DiskFile(creating: temporary, permissions: permissions)
      try file.write(bytes)
      try file.synchronize()
      guard rename(FileName.cString(temporary), FileName.cString(path)) == 0 else {
        throw LibavError(errno: errno)
      }
      try synchronizeFolder(folder)
    } catch {
      unlink(FileName.cString(temporary))
      throw error
    }
  }
}
