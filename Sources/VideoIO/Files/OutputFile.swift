// SPDX-License-Identifier: Apache-2.0
#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A file being written beside its target under the name `<target>.part`.
///
/// It is made anew and locked: a second run for the same target is refused, and whatever had its name before stays as it is
/// under its other names. `commit` gives it its real name; without that it is removed when it goes out of scope.
struct OutputFile: ~Copyable {
  /// The path as the user gave it.
  let path: String
  /// Where bytes go: the `.part` file, or the target itself if that is a pipe or a device.
  let writingPath: String
  /// Whether it is a pipe or a device.
  let isStream: Bool
  /// Whether the file system has no locks, so that a second run would not be refused at once.
  let isUnlocked: Bool
  private let targetPath: String
  private let isOverwriting: Bool
  private var isCommitted: Bool
  /// Holds the lock; nil for a stream.
  private let unfinished: DiskFile?
  private let place: FilePlace?

  /// Checks the target, and makes the unfinished file.
  /// - Throws: what `validate` throws; `VideoIOError.outputInUse` if another run writes to it; `cannotCreate`.
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
    // Another run may come and go between any two of these steps.
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

  /// Takes the name of the unfinished file from what has it: what an earlier run left, a link, a pipe.
  /// - Throws: `VideoIOError.outputInUse` if another run is writing it.
  private static func clear(_ writing: String, path: String) throws(VideoIOError) {
    var found = stat()
    guard lstat(FileName.cString(writing), &found) == 0 else { return }
    if found.st_mode & S_IFMT == S_IFDIR { throw .cannotCreate(path: writing, reason: .init(errno: EISDIR)) }
    if found.st_mode & S_IFMT == S_IFREG {
      do throws(LibavError) {
        let file = try DiskFile(readingOwn: writing)
        if file.lock() == .held { throw LibavError(errno: EWOULDBLOCK) }
        // It may have got its real name while we waited for the lock; then this name is another file's.
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

  /// Checks that an output may be written, without touching anything.
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

  /// Gives the finished file its real name.
  /// - Parameter isReplaced: whether the container makes the file itself, maybe several times, so that it is another one than
  ///   that which was locked.
  /// - Throws: `VideoIOError.cannotWrite`; `outputExists` if someone made the target meanwhile; `outputInUse` if someone took
  ///   the unfinished file's name.
  consuming func commit(isReplaced: Bool = false) throws(VideoIOError) {
    if isCommitted { return }
    guard let found = FilePlace(path: writingPath) else {
      throw .cannotWrite(path: path, reason: LibavError(errno: ENOENT))
    }
    if !isReplaced, found != place { throw .outputInUse(path: path) }
    if !isOverwriting, Self.status(targetPath) != nil { throw .outputExists(path: path) }
    let (from, to) = (FileName.cString(writingPath), FileName.cString(targetPath))
    // A name must not come back after a power loss without what it stands for.
    do throws(LibavError) {
      try DiskFile(reading: writingPath).synchronize()
      if !isOverwriting, link(from, to) == 0 {
        // Unlike a renaming, this never replaces what someone made in this moment.
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

  /// Whether the path is standard output, a pipe or a device: written to as it is.
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

  /// What lies beside a file while it is made: its name and an ending, or a short name of its own where that is too long for
  /// the file system.
  static func companion(of path: String, ending: String) -> String {
    let name = lastComponent(of: path)
    if name.count + ending.utf8.count <= longestName(beside: path) { return path + ending }
    // Always the same for a name, or a second run would not find it.
    let hash = name.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return directory(of: path) + "/videnhance-" + String(hash, radix: 16) + ending
  }

  /// The file that a symbolic link leads to, so that replacing keeps the link.
  static func resolvingLink(_ path: String) -> String {
    guard let resolved = realpath(FileName.cString(path), nil) else { return path }
    defer { free(resolved) }
    return FileName.text(
      UnsafeBufferPointer(start: resolved, count: strlen(resolved)).map(UInt8.init(bitPattern:)))
  }
}

/// What a path leads to: the same for all names of a file.
struct FilePlace: Equatable {
  let device, number: UInt64

  init(_ status: stat) {
    device = UInt64(truncatingIfNeeded: status.st_dev)
    number = UInt64(truncatingIfNeeded: status.st_ino)
  }

  /// Links are not followed; nil if nothing has the name.
  init?(path: String) {
    var status = stat()
    guard lstat(FileName.cString(path), &status) == 0 else { return nil }
    self.init(status)
  }
}

/// Who may read a file that is made from another one: nobody who may not read that one.
struct FilePermissions {
  private(set) var mode: mode_t = 0o666
  private var group: gid_t?

  /// As of a file; of nothing in particular where there is none, as with standard input.
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

  /// The same for a file that has come to belong to a group.
  func mode(forGroup owner: gid_t) -> mode_t {
    guard let group, group != owner else { return mode }
    // Its group may be one of strangers.
    return mode & (~0o070 | mode << 3)
  }

  /// The same for a folder.
  var folderMode: mode_t { (mode | (mode & 0o444) >> 2) & 0o777 | 0o100 }
}
