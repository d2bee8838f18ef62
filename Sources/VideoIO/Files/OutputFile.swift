// SPDX-License-Identifier: Apache-2.0
#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A file being written next to its target as `<target>.part`.
///
/// The file is newly created and locked: a second run for the same target fails, and a file that had the name before is
/// unlinked, not overwritten. `commit` renames the file to its target; otherwise it is removed when this goes out of scope.
struct OutputFile: ~Copyable {
  /// The path as the user gave it.
  let path: String
  /// Where bytes go: the `.part` file, or the target itself if that is a pipe or a device.
  let writingPath: String
  /// Whether it is a pipe or a device.
  let isStream: Bool
  /// Whether the file system does not support locks, so that a second run is not refused immediately.
  let isUnlocked: Bool
  private let targetPath: String
  private let isOverwriting: Bool
  private var isCommitted: Bool
  /// Holds the lock; nil for a stream.
  private let unfinished: DiskFile?
  private let place: FilePlace?

  /// Checks the target and creates the unfinished file.
  /// - Throws: the errors of `validate`; `VideoIOError.outputInUse` if another run is writing it; `cannotCreate`.
  init(path: String, input: String?, overwrite: Bool) throws(VideoIOError) {
    self = try Self.open(path: path, input: input, overwrite: overwrite)
  }

  private init(
    path: String, target: String, writing: String, overwrite: Bool, unfinished: consuming DiskFile?,
    place: FilePlace?, isUnlocked: Bool
  ) {
    self.path = path
    targetPath = target
    writingPath = writing
    isOverwriting = overwrite
    isStream = place == nil
    isCommitted = place == nil
    self.isUnlocked = isUnlocked
    self.unfinished = unfinished
    self.place = place
    if let place { UnfinishedOutputs.add(writing, place) }
  }

  deinit {
    if !isCommitted {
      if let place, FilePlace(path: writingPath) == place { unlink(FileName.cString(writingPath)) }
      UnfinishedOutputs.remove(writingPath)
    }
  }

  private static func open(path: String, input: String?, overwrite: Bool) throws(VideoIOError) -> OutputFile {
    try validate(path: path, input: input, overwrite: overwrite)
    if isStream(path) {
      return OutputFile(
        path: path, target: path, writing: path, overwrite: overwrite, unfinished: nil, place: nil,
        isUnlocked: false)
    }
    let target = resolvingLink(path)
    let writing = companion(of: target, ending: ".part")
    var permissions = FilePermissions(like: input)
    if let replaced = status(target) { permissions.limit(to: replaced) }
    // Another run may start and finish between any two of these steps.
    for _ in 0..<16 {
      try clear(writing, path: path)
      let file: DiskFile
      do throws(LibavError) {
        guard let made = try DiskFile.makingNew(writing, permissions: permissions) else { continue }
        file = made
      } catch {
        throw .cannotCreate(path: path, reason: error)
      }
      let lock = file.lock()
      guard lock != .held, let status = try? file.status() else { throw .outputInUse(path: path) }
      let place = FilePlace(status)
      if FilePlace(path: writing) != place { continue }
      return OutputFile(
        path: path, target: target, writing: writing, overwrite: overwrite, unfinished: file, place: place,
        isUnlocked: lock == .impossible)
    }
    throw .outputInUse(path: path)
  }

  /// Unlinks whatever has the name of the unfinished file: the remains of an earlier run, a link, a pipe.
  /// - Throws: `VideoIOError.outputInUse` if another run is writing it.
  private static func clear(_ writing: String, path: String) throws(VideoIOError) {
    var found = stat()
    guard lstat(FileName.cString(writing), &found) == 0 else { return }
    if found.st_mode & S_IFMT == S_IFDIR { throw .cannotCreate(path: writing, reason: .init(errno: EISDIR)) }
    if found.st_mode & S_IFMT == S_IFREG {
      do throws(LibavError) {
        let file = try DiskFile(readingOwn: writing)
        if file.lock() == .held { throw LibavError(errno: EWOULDBLOCK) }
        // It may have been renamed while we waited for the lock; then the name belongs to another file.
        guard try FilePlace(file.status()) == FilePlace(path: writing) else { return }
        if unlink(FileName.cString(writing)) != 0, errno != ENOENT { throw LibavError(errno: errno) }
      } catch {
        if error.code == LibavError(errno: EWOULDBLOCK).code { throw .outputInUse(path: path) }
        if error.code != LibavError(errno: ENOENT).code { throw .cannotCreate(path: writing, reason: error) }
      }
      return
    }
    if unlink(FileName.cString(writing)) != 0, errno != ENOENT {
      throw .cannotCreate(path: writing, reason: .init(errno: errno))
    }
  }

  /// Checks that an output can be written, without modifying anything.
  ///
  /// - Throws: `VideoIOError.outputIsInput`, `unfinishedIsInput`, `outputExists`, or `cannotCreate` if it is a directory, or
  ///   its directory is missing or not writable.
  static func validate(path: String, input: String?, overwrite: Bool) throws(VideoIOError) {
    if isStream(path) { return }
    let output = status(path)
    let target = resolvingLink(path)
    if let input, let source = status(input).map(FilePlace.init) {
      if output.map(FilePlace.init) == source { throw .outputIsInput(path: path) }
      let writing = companion(of: target, ending: ".part")
      if FilePlace(path: writing) == source { throw .unfinishedIsInput(path: path, unfinished: writing) }
    }
    if let output {
      if output.st_mode & S_IFMT == S_IFDIR { throw .cannotCreate(path: path, reason: .init(errno: EISDIR)) }
      if !overwrite { throw .outputExists(path: path) }
    }
    if lastComponent(of: target).count > longestName(beside: target) {
      throw .cannotCreate(path: path, reason: .init(errno: ENAMETOOLONG))
    }
    let directory = directory(of: target)
    guard let parent = status(directory) else {
      throw .cannotCreate(path: path, reason: .init(errno: errno))
    }
    if parent.st_mode & S_IFMT != S_IFDIR { throw .cannotCreate(path: path, reason: .init(errno: ENOTDIR)) }
    if access(FileName.cString(directory), W_OK | X_OK) != 0 {
      throw .cannotCreate(path: path, reason: .init(errno: errno))
    }
  }

  /// Renames the finished file to its target.
  /// - Parameter isReplaced: whether the container creates the file itself, possibly several times, so that it is not the
  ///   file that was locked.
  /// - Throws: `VideoIOError.cannotWrite`; `outputExists` if the target was created in the meantime; `outputInUse` if the
  ///   unfinished file was replaced.
  consuming func commit(isReplaced: Bool = false) throws(VideoIOError) {
    if isCommitted { return }
    guard let found = FilePlace(path: writingPath) else {
      throw .cannotWrite(path: path, reason: LibavError(errno: ENOENT))
    }
    if !isReplaced, found != place { throw .outputInUse(path: path) }
    if !isOverwriting, Self.status(targetPath) != nil { throw .outputExists(path: path) }
    let (from, to) = (FileName.cString(writingPath), FileName.cString(targetPath))
    // After a power loss, the name must not exist without the file's contents.
    do throws(LibavError) {
      try DiskFile(reading: writingPath).synchronize()
      if !isOverwriting, link(from, to) == 0 {
        // Unlike rename, link never replaces a file that was created at this very moment.
        unlink(from)
      } else if !isOverwriting, errno == EEXIST {
        throw LibavError(errno: EEXIST)
      } else if rename(from, to) != 0 {
        throw LibavError(errno: errno)
      }
      isCommitted = true
      UnfinishedOutputs.remove(writingPath)
      try DiskFile.synchronizeFolder(Self.directory(of: targetPath))
    } catch {
      if error.code == LibavError(errno: EEXIST).code { throw .outputExists(path: path) }
      throw .cannotWrite(path: path, reason: error)
    }
  }

  /// Whether the path is standard output, a pipe or a device, which are written to directly.
  static func isStream(_ path: String) -> Bool {
    if path == "-" { return true }
    guard let kind = status(path).map({ $0.st_mode & S_IFMT }) else { return false }
    return kind == S_IFIFO || kind == S_IFCHR || kind == S_IFSOCK
  }

  private static func status(_ path: String) -> stat? {
    var result = stat()
    return stat(FileName.cString(path), &result) == 0 ? result : nil
  }

  // MARK: - Names

  /// The folder of a path, as a path.
  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func lastComponent(of path: String) -> [UInt8] {
    FileName.bytes(path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path)
  }

  private static func longestName(beside path: String) -> Int {
    let limit = pathconf(FileName.cString(directory(of: path)), Int32(_PC_NAME_MAX))
    return limit > 0 ? limit : 255
  }

  /// The path of a companion to an unfinished file: its name with an extension appended, or a short hashed name if that
  /// is too long for the file system.
  static func companion(of path: String, ending: String) -> String {
    let name = lastComponent(of: path)
    if name.count + ending.utf8.count <= longestName(beside: path) { return path + ending }
    // The hash must be stable, or a second run would not find the file.
    let hash = name.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return directory(of: path) + "/videnhance-" + String(hash, radix: 16) + ending
  }

  /// The target of a symbolic link, so that replacing the file keeps the link.
  static func resolvingLink(_ path: String) -> String {
    guard let resolved = realpath(FileName.cString(path), nil) else { return path }
    defer { free(resolved) }
    return FileName.text(
      UnsafeBufferPointer(start: resolved, count: strlen(resolved)).map(UInt8.init(bitPattern:)))
  }
}

/// The identity of a file: equal for all of its names.
struct FilePlace: Equatable {
  let device, number: UInt64

  init(_ status: stat) {
    device = UInt64(truncatingIfNeeded: status.st_dev)
    number = UInt64(truncatingIfNeeded: status.st_ino)
  }

  /// Does not follow links; nil if the path does not exist.
  init?(path: String) {
    var status = stat()
    guard lstat(FileName.cString(path), &status) == 0 else { return nil }
    self.init(status)
  }
}

/// Permissions of a file derived from another one: it is readable only by those who can read the original.
struct FilePermissions {
  private(set) var mode: mode_t = 0o666
  private var group: gid_t?

  /// The permissions of a file; the defaults if there is none, as with standard input.
  init(like path: String? = nil) {
    var status = stat()
    guard let path, path != "-", stat(FileName.cString(path), &status) == 0,
      status.st_mode & S_IFMT == S_IFREG
    else { return }
    limit(to: status)
  }

  mutating func limit(to status: stat) {
    mode &= status.st_mode | 0o600
    group = status.st_gid
  }

  /// The mode of a file that belongs to group `owner`.
  func mode(forGroup owner: gid_t) -> mode_t {
    guard let group, group != owner else { return mode }
    // The new group may differ from the original's: grant it no more than others have.
    return mode & (~0o070 | mode << 3)
  }

  /// The mode of a folder with the same readers.
  var folderMode: mode_t { (mode | (mode & 0o444) >> 2) & 0o777 | 0o100 }
}
