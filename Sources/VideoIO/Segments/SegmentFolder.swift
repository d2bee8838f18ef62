// SPDX-License-Identifier: Apache-2.0
#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// The folder `<output>.segments`, in which a job keeps finished segments until it is complete.
///
/// A segment holds the encoder's packets for a fixed number of frames. Its file is flushed to disk before the manifest
/// lists it, and the manifest is replaced atomically, so the manifest is correct even after a power loss.
package struct SegmentFolder: Sendable {
  /// Path of the folder.
  package let path: String
  /// Warnings about existing segments, one line each.
  package private(set) var warnings: [MediaRemark] = []
  var manifest: SegmentManifest
  private let lock: FolderLock
  private let isNew: Bool
  /// Permissions of the files in it.
  let permissions: FilePermissions

  /// Default number of frames per segment.
  package static let usualFrames = 240

  /// Number of finished frames.
  package var frameCount: Int { manifest.frameCount }
  /// The `origins` passed to `VideoWriter.write` with the last of these frames; empty if there is none.
  package var origins: [Int] { manifest.segments.last?.origins ?? [] }
  /// Number of encoder threads when the job started.
  package var encoderThreads: Int { manifest.encoderThreads }

  /// The folder's path for an output.
  package static func path(output: String) -> String {
    OutputFile.companion(of: OutputFile.resolvingLink(output), ending: ".segments")
  }

  /// Creates the folder of a job, or opens that of an earlier run.
  ///
  /// - Parameters:
  ///   - output: the output file.
  ///   - frames: frames per segment; nil uses that of the earlier run, or `usualFrames`.
  ///   - encoderThreads: threads of the encoder, for a new job.
  ///   - identity: everything that the result depends on.
  ///   - input: the source; the segments are readable only by those who can read it.
  ///   - resumes: whether to continue an earlier run. If not, there must not be one.
  /// - Throws: `VideoIOError.segmentsExist`, `segmentsInUse`, `segmentsDiffer`, `segmentsDamaged`,
  ///   `segmentsImpossible` if the output is not a file or files cannot be locked, `cannotCreate`.
  package init(
    output: String, frames: Int?, encoderThreads: Int, identity: WorkIdentity, input: String? = nil,
    resumes: Bool
  ) throws(VideoIOError) {
    if OutputFile.isStream(output) { throw .segmentsImpossible(path: output, reason: "it is no file") }
    let path = Self.path(output: output)
    let permissions = FilePermissions(like: input)
    let isNew = mkdir(FileName.cString(path), permissions.folderMode) == 0
    if !isNew, errno != EEXIST { throw .cannotCreate(path: path, reason: LibavError(errno: errno)) }
    // The folder may hold hours of work: its own entry must be on disk, too.
    do throws(LibavError) {
      if isNew { try DiskFile.synchronizeFolder(OutputFile.directory(of: path)) }
    } catch {
      rmdir(FileName.cString(path))
      throw .cannotCreate(path: path, reason: error)
    }
    let lock = try FolderLock.take(folder: path)
    let found = try Self.readManifest(folder: path)
    if found != nil, !resumes { throw .segmentsExist(path: path) }
    manifest =
      found
      ?? SegmentManifest(
        segmentFrames: frames ?? Self.usualFrames, encoderThreads: encoderThreads, identity: identity)
    (self.path, self.lock, self.isNew, self.permissions) = (path, lock, isNew, permissions)
    guard found != nil else { return }
    if let frames, frames != manifest.segmentFrames {
      let difference = WorkIdentity.Difference(
        path: "segmentFrames", before: "\(manifest.segmentFrames)", now: "\(frames)")
      throw .segmentsDiffer(path: path, [difference])
    }
    let differences = identity.differences(from: manifest.identity)
    if !differences.isEmpty { throw .segmentsDiffer(path: path, differences) }
    try dropDamaged()
  }

  private static func readManifest(folder: String) throws(VideoIOError) -> SegmentManifest? {
    let bytes: [UInt8]
    do throws(LibavError) {
      let file = try DiskFile(readingOwn: folder + "/manifest.json")
      let size = try file.status().st_size
      guard size <= 1 << 30 else { throw LibavError(errno: EFBIG) }
      bytes = try file.read(Int(size))
    } catch {
      if error.code == LibavError(errno: ENOENT).code { return nil }
      throw .segmentsDamaged(path: folder, reason: "the manifest cannot be read: \(error)")
    }
    guard let manifest = SegmentManifest(json: bytes) else {
      throw .segmentsDamaged(path: folder, reason: "the manifest is not from this program")
    }
    return manifest
  }

  /// Drops the first damaged segment and all that follow it.
  private mutating func dropDamaged() throws(VideoIOError) {
    for (index, segment) in manifest.segments.enumerated() {
      if Self.isWhole(file(index), segment) { continue }
      manifest.segments.removeSubrange(index...)
      warnings.append(
        MediaRemark(
          .storage, "segment \(index) in \(path) is damaged; it and the following ones are made again")
      )
      return
    }
  }

  private static func isWhole(_ path: String, _ segment: SegmentManifest.Segment) -> Bool {
    guard let file = try? DiskFile(readingOwn: path), let status = try? file.status(),
      Int(status.st_size) == segment.bytes, let found = try? SegmentReplay.examine(path)
    else { return false }
    // One packet per frame, or frames would be missing where segments are joined.
    return found
      == SegmentFinding(sha256: segment.sha256, frames: segment.frames, packets: segment.frames)
  }

  /// Path of a segment's file.
  func file(_ index: Int) -> String { path + "/\(index).segment" }

  /// Adds a segment whose file is on disk.
  mutating func commit(_ segment: SegmentManifest.Segment) throws(VideoIOError) {
    manifest.segments.append(segment)
    do throws(LibavError) {
      try DiskFile.replace(
        path + "/manifest.json", folder: path, with: manifest.json, permissions: permissions)
    } catch {
      manifest.segments.removeLast()
      throw .cannotWrite(path: path + "/manifest.json", reason: error)
    }
  }

  /// Removes the folder and its contents.
  package func remove() {
    for name in Self.names(in: path) where Self.isOurs(name) { unlink(FileName.cString(path + "/" + name)) }
    rmdir(FileName.cString(path))
  }

  /// Removes the folder if it contains nothing that a later run could use, otherwise only its useless files.
  package func removeUnlessUsed() {
    let count = (try? Self.readManifest(folder: path))??.segments.count
    if let count, count > 0 {
      for name in Self.names(in: path) {
        guard let number = Self.number(of: name) else { continue }
        if number >= count { unlink(FileName.cString(path + "/" + name)) }
      }
    } else if isNew || count != nil {
      remove()
    }
  }

  private static func isOurs(_ name: String) -> Bool {
    ["manifest.json", "manifest.json.new", FolderLock.name].contains(name) || number(of: name) != nil
  }

  private static func number(of name: String) -> Int? {
    guard name.hasSuffix(".segment") else { return nil }
    return Int(name.dropLast(8))
  }

  private static func names(in folder: String) -> [String] {
    guard let stream = opendir(FileName.cString(folder)) else { return [] }
    defer { closedir(stream) }
    var result: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) {
          String(cString: $0)
        }
      }
      if name != "." && name != ".." { result.append(name) }
    }
    return result
  }
}

/// Locks a folder against a second run.
private final class FolderLock: Sendable {
  static let name = "lock"

  private let file: DiskFile

  private init(_ file: consuming DiskFile) { self.file = file }

  static func take(folder: String) throws(VideoIOError) -> FolderLock {
    let path = folder + "/" + name
    do throws(LibavError) {
      let file = try DiskFile(lockable: path)
      switch file.lock() {
      case .taken:
        // The previous holder may have removed the file when it finished.
        if try FilePlace(file.status()) == FilePlace(path: path) { return FolderLock(file) }
      case .held: break
      case .impossible:
        throw LibavError(errno: ENOLCK)
      }
    } catch {
      guard error.code == LibavError(errno: ENOLCK).code else {
        throw .cannotCreate(path: path, reason: error)
      }
      throw .segmentsImpossible(
        path: folder, reason: "its file system has no locks, so a second run could not be kept out")
    }
    throw .segmentsInUse(path: folder)
  }
}
