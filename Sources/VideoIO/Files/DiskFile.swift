// SPDX-License-Identifier: Apache-2.0
#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// An open file descriptor, for the few files that are not read or written by FFmpeg.
struct DiskFile: ~Copyable {
  private let descriptor: Int32

  init(reading path: String) throws(LibavError) { self = try Self.open(path, O_RDONLY) }

  /// Opens a regular file that this package wrote. Refuses links, pipes and devices that others may have put in its place.
  init(readingOwn path: String) throws(LibavError) {
    self = try Self.openFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  }

  /// Creates a new file. An existing entry of this name is unlinked; the target of a link is left untouched.
  init(creating path: String, permissions: FilePermissions = FilePermissions()) throws(LibavError) {
    unlink(FileName.cString(path))
    guard let file = try Self.makingNew(path, permissions: permissions) else {
      throw LibavError(errno: EEXIST)
    }
    self = file
  }

  /// Opens or creates a lock file.
  init(lockable path: String) throws(LibavError) {
    self = try Self.openFile(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK)
  }

  /// Creates a file; nil if the name is taken.
  static func makingNew(_ path: String, permissions: FilePermissions) throws(LibavError) -> DiskFile? {
    while true {
      let descriptor = call(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, permissions.mode)
      if descriptor < 0, errno == EINTR { continue }
      if descriptor < 0, errno == EEXIST { return nil }
      if descriptor < 0 { throw LibavError(errno: errno) }
      let file = DiskFile(adopting: descriptor)
      let found = try file.status()
      let mode = permissions.mode(forGroup: found.st_gid) & found.st_mode & 0o777
      if mode != found.st_mode & 0o777 { fchmod(descriptor, mode) }
      return file
    }
  }

  private init(adopting descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  private static func open(_ path: String, _ flags: Int32) throws(LibavError) -> DiskFile {
    while true {
      let descriptor = Self.call(path, flags, 0o666)
      if descriptor >= 0 { return DiskFile(adopting: descriptor) }
      if errno != EINTR { throw LibavError(errno: errno) }
    }
  }

  /// Opens a regular file; fails for anything else.
  private static func openFile(_ path: String, _ flags: Int32) throws(LibavError) -> DiskFile {
    let file = try open(path, flags)
    guard try file.status().st_mode & S_IFMT == S_IFREG else { throw .invalidData }
    return file
  }

  private static func call(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 {
    #if canImport(Darwin)
      Darwin.open(FileName.cString(path), flags | O_CLOEXEC, mode)
    #else
      Glibc.open(FileName.cString(path), flags | O_CLOEXEC, mode)
    #endif
  }

  /// The file's status (`fstat`).
  func status() throws(LibavError) -> stat {
    var result = stat()
    guard fstat(descriptor, &result) == 0 else { throw LibavError(errno: errno) }
    return result
  }

  func write(_ bytes: [UInt8]) throws(LibavError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
        #if canImport(Darwin)
          return Darwin.write(descriptor, rest.baseAddress, rest.count)
        #else
          return Glibc.write(descriptor, rest.baseAddress, rest.count)
        #endif
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw LibavError(errno: count < 0 ? errno : ENOSPC) }
      done += count
    }
  }

  /// Reads up to `count` bytes; fewer only at the end.
  func read(_ count: Int) throws(LibavError) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let part = result.withUnsafeMutableBytes { buffer in
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
        #if canImport(Darwin)
          return Darwin.read(descriptor, rest.baseAddress, rest.count)
        #else
          return Glibc.read(descriptor, rest.baseAddress, rest.count)
        #endif
      }
      if part < 0, errno == EINTR { continue }
      if part < 0 { throw LibavError(errno: errno) }
      if part == 0 { break }
      filled += part
    }
    result.removeLast(count - filled)
    return result
  }

  func seek(to offset: Int) throws(LibavError) {
    guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { throw LibavError(errno: errno) }
  }

  /// Flushes everything to disk.
  func synchronize() throws(LibavError) {
    if fsync(descriptor) == 0 { return }
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
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
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
