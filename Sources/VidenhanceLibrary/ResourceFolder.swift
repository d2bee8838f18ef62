// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Finds files shipped with the program. Searches relative to the program, so that a copied folder works anywhere.
package enum ResourceFolder {
  /// Path of a shipped file; nil if there is none.
  package static func path(of name: String) -> String? {
    guard let program = Bundle.main.executableURL?.resolvingSymlinksInPath() else { return nil }
    let folder = program.deletingLastPathComponent()
    // The program's path is free of links, so ".." may be resolved lexically.
    return places.map {
      folder.appendingPathComponent($0).appendingPathComponent(name).standardizedFileURL.path
    }.first { FileManager.default.fileExists(atPath: $0) }
  }

  /// Relative to the program: SwiftPM's bundle on Linux and macOS, loose files, a folder of models, and the
  /// installed location.
  private static let places = [
    "videnhance_EnhancementModel.resources",
    "videnhance_EnhancementModel.bundle/Contents/Resources",
    "videnhance_EnhancementModel.bundle",
    "",
    "models",
    "../share/videnhance",
  ]
}
