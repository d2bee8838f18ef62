// SPDX-License-Identifier: Apache-2.0
#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A file being written beside its target under the name `<target>.part`.
///
/// `commit` gives it its real name; without that it is removed when it goes out of scope.
struct OutputFile: ~Copyable {
  /// The path as the user gave it.
  let path: String
  /// Where bytes go: the `.part` file, or the target itself if that is a pipe or a device.
  let writingPath: String
  /// Whether it is a pipe or a device.
  let isStream: Bool
  private let targetPath: String
  private let isOverwriting: Bool
  private var isCommitted: Bool

  /// Checks the target and claims the `.part` name; nothing is created yet.
  init(path: String, input: String?, overwrite: Bool) throws(VideoIOError) {
    try Self.validate(path: path, input: input, overwrite: overwrite)
    let isStream = Self.isStream(path)
    let target = isStream ? path : Self.resolvingLink(path)
    let writing = isStream ? path : target + ".part"
    if !isStream { try Self.clearLink(writing, path: path) }
    self.path = path
    targetPath = target
    writingPath = writing
    isOverwriting = overwrite
    self.isStream = isStream
    isCommitted = isStream
    if !isStream { UnfinishedOutputs.add(writingPath) }
  }

  deinit {
    if !isCommitted {
      unlink(writingPath)
      UnfinishedOutputs.remove(writingPath)
    }
  }

  /// Checks that an output may be written, without touching anything.
  ///
  /// - Throws: `VideoIOError.outputIsInput`, `outputExists`, or `cannotCreate` if it is a directory, or its
  ///   directory is missing or not writable.
  static func validate(path: String, input: String?, overwrite: Bool) throws(VideoIOError) {
    if isStream(path) { return }
    let output = status(path)
    if let input, let output, let source = status(input), source.st_dev == output.st_dev,
      source.st_ino == output.st_ino
    {
      throw .outputIsInput(path: path)
    }
    if let output {
      if output.st_mode & S_IFMT == S_IFDIR { throw .cannotCreate(path: path, reason: .init(errno: EISDIR)) }
      if !overwrite { throw .outputExists(path: path) }
    }
    let directory = Self.directory(of: resolvingLink(path))
    guard let parent = status(directory) else {
      throw .cannotCreate(path: path, reason: .init(errno: errno))
    }
    if parent.st_mode & S_IFMT != S_IFDIR { throw .cannotCreate(path: path, reason: .init(errno: ENOTDIR)) }
    if access(directory, W_OK | X_OK) != 0 { throw .cannotCreate(path: path, reason: .init(errno: errno)) }
  }

  /// Gives the finished file its real name.
  /// - Throws: `VideoIOError.cannotWrite`, or `outputExists` if someone made the target meanwhile.
  consuming func commit() throws(VideoIOError) {
    if isCommitted { return }
    if !isOverwriting, Self.status(targetPath) != nil { throw .outputExists(path: path) }
    // A name must not come back after a power loss without what it stands for.
    do throws(LibavError) {
      try DiskFile(reading: writingPath).synchronize()
      guard rename(writingPath, targetPath) == 0 else { throw LibavError(errno: errno) }
      isCommitted = true
      UnfinishedOutputs.remove(writingPath)
      try DiskFile.synchronizeFolder(Self.directory(of: targetPath))
    } catch {
      throw .cannotWrite(path: path, reason: error)
    }
  }

  /// Takes the name from a link or a pipe that lies where the unfinished file will be, so that nothing is written through
  /// it.
  private static func clearLink(_ writing: String, path: String) throws(VideoIOError) {
    var found = stat()
    guard lstat(writing, &found) == 0 else { return }
    let kind = found.st_mode & S_IFMT
    if kind == S_IFREG || kind == S_IFDIR || unlink(writing) == 0 { return }
    throw .cannotCreate(path: path, reason: .init(errno: errno))
  }

  /// Whether the path is standard output, a pipe or a device: written to as it is.
  static func isStream(_ path: String) -> Bool {
    if path == "-" { return true }
    guard let kind = status(path).map({ $0.st_mode & S_IFMT }) else { return false }
    return kind == S_IFIFO || kind == S_IFCHR || kind == S_IFSOCK
  }

  private static func status(_ path: String) -> stat? {
    var result = stat()
    return stat(path, &result) == 0 ? result : nil
  }

  /// The folder of a path, as a path.
  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The file that a symbolic link leads to, so that replacing keeps the link.
  static func resolvingLink(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
