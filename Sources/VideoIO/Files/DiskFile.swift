// SPDX-License-Identifier: Apache-2.0
#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// An opened file, for the few bytes that do not go through FFmpeg.
struct DiskFile: ~Copyable {
  private let descriptor: Int32

  init(reading path: String) throws(LibavError) { self = try Self.open(path, O_RDONLY) }

  /// Opens a file of our own: no link, and nothing that waits or never ends, which others may have put in its place.
  init(readingOwn path: String) throws(LibavError) {
    self = try Self.openFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  }

  /// Makes a file of our own anew. Whatever had the name loses it; what it led to stays as it is.
  init(creating path: String, permissions: FilePermissions = FilePermissions()) throws(LibavError) {
    unlink(FileName.cString(path))
    guard let file = try Self.makingNew(path, permissions: permissions) else {
      throw LibavError(errno: EEXIST)
    }
    self = file
  }

  /// Opens a file that is there to be locked, or makes it.
  init(lockable path: String) throws(LibavError) {
    self = try Self.openFile(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK)
  }

  /// Makes a file; nil if something has the name.
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

  /// Opens a file, and nothing else that has a name.
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

  /// Its state as the system tells it.
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

  /// Waits until everything is on the disk.
  func synchronize() throws(LibavError) {
    if fsync(descriptor) == 0 { return }
    // Some file systems cannot; that is no reason to fail.
    if errno != EINVAL && errno != ENOTSUP && errno != EROFS { throw LibavError(errno: errno) }
  }

  /// What a try to lock a file comes to.
  enum Lock {
    case taken
    /// Another process has it.
    case held
    /// The file system knows no locks.
    case impossible
  }

  /// Takes the file for this process alone. The system takes the lock back when the process ends, however it does.
  func lock() -> Lock {
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      if errno == EINTR { continue }
      return errno == EWOULDBLOCK ? .held : .impossible
    }
    return .taken
  }

  /// Waits until what a folder holds under its names is on the disk.
  static func synchronizeFolder(_ path: String) throws(LibavError) {
    // A folder that may be written to but not read cannot be waited for; that is no reason to fail.
    if access(FileName.cString(path), R_OK) != 0, errno == EACCES { return }
    try DiskFile(reading: path).synchronize()
  }

  /// Writes a file that is there whole or not at all, even after a power loss.
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
