// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import VideoIO

/// Identifies a file or folder independently of its path.
package struct FileIdentity: Hashable, Sendable {
  /// The type of the file.
  package enum Kind { case file, folder, other }

  package let device, number: UInt64
  package let kind: Kind
  /// Size in bytes.
  package let size: Int

  /// Identifies the target of `path`, following links; nil if it does not exist.
  package init?(path: String) {
    var status = stat()
    guard stat(FileName.cString(path), &status) == 0 else { return nil }
    device = UInt64(truncatingIfNeeded: status.st_dev)
    number = UInt64(truncatingIfNeeded: status.st_ino)
    size = Int(status.st_size)
    switch status.st_mode & S_IFMT {
    case S_IFREG: kind = .file
    case S_IFDIR: kind = .folder
    default: kind = .other
    }
  }

  package static func == (a: FileIdentity, b: FileIdentity) -> Bool {
    a.device == b.device && a.number == b.number
  }
  package func hash(into hasher: inout Hasher) {
    hasher.combine(device)
    hasher.combine(number)
  }
}

/// The files below a folder that may be videos.
package struct FolderScan {
  /// Paths relative to the folder, sorted.
  package private(set) var files: [String] = []
  /// Subfolders that cannot be read, with the reasons.
  package private(set) var unreadable: [(path: String, reason: String)] = []
  /// Number of files excluded by their names.
  package private(set) var passedOverCount = 0

  private let root: String
  private let excluded: [FileIdentity]

  /// Scans a folder recursively.
  /// - Parameter excluded: folders and files to ignore, such as an output folder inside the input.
  /// - Throws: `BatchError` if the folder itself cannot be read.
  package init(folder: String, excluding excluded: [String]) throws(BatchError) {
    root = folder
    self.excluded = excluded.compactMap { FileIdentity(path: $0) }
    visit("", ancestors: FileIdentity(path: folder).map { [$0] } ?? [])
    if let failed = unreadable.first(where: { $0.path.isEmpty }) {
      throw .cannotReadFolder(path: folder, reason: failed.reason)
    }
  }

  private mutating func visit(_ folder: String, ancestors: [FileIdentity]) {
    guard let names = Self.names(in: FolderScan.join(root, folder)) else {
      unreadable.append((folder, String(cString: strerror(errno))))
      return
    }
    for name in names where !name.hasPrefix(".") {
      let path = folder.isEmpty ? name : folder + "/" + name
      let identity = FileIdentity(path: FolderScan.join(root, path))
      if let identity, excluded.contains(identity) { continue }
      switch identity?.kind {
      case .folder:
        // A link to a parent folder would be followed for ever.
        if let identity, !ancestors.contains(identity) { visit(path, ancestors: ancestors + [identity]) }
      case .other:
        // Opening a pipe may block for ever.
        passedOverCount += 1
      case .file, nil:
        // Keep broken links: opening them later fails with their names.
        if FileEnding.passedOver.contains(NamePattern.split(name).ending.lowercased()) {
          passedOverCount += 1
        } else {
          files.append(path)
        }
      }
    }
  }

  /// Returns the sorted names in a folder; nil if it cannot be read, with the reason in `errno`.
  private static func names(in folder: String) -> [String]? {
    guard let stream = opendir(FileName.cString(folder)) else { return nil }
    defer { closedir(stream) }
    var result: [String] = []
    while let entry = readdir(stream) {
      let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      let name = FileName.text(bytes)
      if name != "." && name != ".." { result.append(name) }
    }
    return result.sorted()
  }

  /// Joins a folder and a path relative to it.
  package static func join(_ folder: String, _ path: String) -> String {
    if path.isEmpty { return folder }
    return folder.hasSuffix("/") ? folder + path : folder + "/" + path
  }

  /// Returns whether a path is a folder.
  package static func isFolder(_ path: String) -> Bool { FileIdentity(path: path)?.kind == .folder }
}
