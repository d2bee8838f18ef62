// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Synchronization

/// Finds files shipped with the program. Searches relative to the program, so that a copied folder works anywhere.
package enum ResourceFolder {
  private static let library = Mutex<String?>(nil)

  /// Searches relative to the shared library at `path` instead of the program, which may be any host.
  package static func useLibrary(at path: String) { library.withLock { $0 = path } }

  /// Path of a shipped file; nil if there is none.
  /// - Parameter folder: the only folder to search; nil searches relative to the program.
  package static func path(of name: String, in folder: String? = nil) -> String? {
    if let folder {
      let path = URL(fileURLWithPath: folder).appendingPathComponent(name).path
      return FileManager.default.fileExists(atPath: path) ? path : nil
    }
    let library = library.withLock { $0 }.map { URL(fileURLWithPath: $0) }
    guard let program = (library ?? Bundle.main.executableURL)?.resolvingSymlinksInPath() else { return nil }
    let folder = program.deletingLastPathComponent()
    // The program's path is free of links, so ".." may be resolved lexically.
    return places.map {
      folder.appendingPathComponent($0).appendingPathComponent(name).standardizedFileURL.path
    }.first { FileManager.default.fileExists(atPath: $0) }
  }

  /// Relative to the program: SwiftPM's bundle on Linux and macOS, that of an app, loose files, a folder of models,
  /// and the installed location. Not by `Bundle.module`, which ends the process where the bundle is missing.
  private static let places = [
    "videnhance_EnhancementModel.resources",
    "videnhance_EnhancementModel.bundle/Contents/Resources",
    "videnhance_EnhancementModel.bundle",
    "../Resources/videnhance_EnhancementModel.bundle/Contents/Resources",
    "",
    "models",
    "../share/videnhance",
  ]
}
