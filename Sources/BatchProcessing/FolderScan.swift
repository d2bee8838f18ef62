// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import VideoIO

/// What a path leads to, whatever its name.
package struct FileIdentity: Hashable, Sendable {
  /// What kind of thing it is.
  package enum Kind { case file, folder, other }

  package let device, number: UInt64
  package let kind: Kind
  /// Length in bytes.
  package let size: Int

  /// Links are followed. Nil if there is nothing.
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
  /// Paths below the folder, sorted.
  package private(set) var files: [String] = []
  /// Folders below it that cannot be read, and why.
  package private(set) var unreadable: [(path: String, reason: String)] = []
  /// How many files were passed over for their names.
  package private(set) var passedOverCount = 0

  private let root: String
  private let excluded: [FileIdentity]

  /// Goes through a folder.
  /// - Parameter excluded: folders and files that are no part of it, such as the output within the input.
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
        // A link to a folder around it has no end.
        if let identity, !ancestors.contains(identity) { visit(path, ancestors: ancestors + [identity]) }
      case .other:
        // Opening a pipe may wait for ever.
        passedOverCount += 1
      case .file, nil:
        // A link that leads nowhere fails when it is opened, with its name.
        if FileEnding.passedOver.contains(NamePattern.split(name).ending.lowercased()) {
          passedOverCount += 1
        } else {
          files.append(path)
        }
      }
    }
  }

  /// The names in a folder, sorted; nil if it cannot be read, and `errno` says why.
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

  /// A path below a folder.
  package static func join(_ folder: String, _ path: String) -> String {
    if path.isEmpty { return folder }
    return folder.hasSuffix("/") ? folder + path : folder + "/" + path
  }

  /// Whether a path leads to a folder.
  package static func isFolder(_ path: String) -> Bool { FileIdentity(path: path)?.kind == .folder }
}
