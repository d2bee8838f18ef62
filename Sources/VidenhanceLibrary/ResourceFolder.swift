// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Files shipped with the program. They are looked for relative to it, so a copied folder works anywhere.
public enum ResourceFolder {
  /// Path of a shipped file; nil if there is none.
  public static func path(of name: String) -> String? {
    guard let program = Bundle.main.executableURL?.resolvingSymlinksInPath() else { return nil }
    let folder = program.deletingLastPathComponent()
    // The program's folder has no links left in it, so ".." may be resolved by name.
    return places.map {
      folder.appendingPathComponent($0).appendingPathComponent(name).standardizedFileURL.path
    }.first { FileManager.default.fileExists(atPath: $0) }
  }

  /// Beside the program: SwiftPM's bundle on Linux and on macOS, loose files, a folder of models; and an
  /// installed tree.
  private static let places = [
    "videnhance_EnhancementModel.resources",
    "videnhance_EnhancementModel.bundle/Contents/Resources",
    "videnhance_EnhancementModel.bundle",
    "",
    "models",
    "../share/videnhance",
  ]
}
