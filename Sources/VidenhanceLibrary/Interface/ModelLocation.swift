// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// Where the shipped model files are.
public enum ModelLocation: Sendable, Hashable {
  /// In the package's resource bundle beside the program, or where an installed program has its models.
  case besideProgram
  /// In a folder: a copy of `Sources/EnhancementModel/Resources`, or of the files in it that are used.
  case folder(URL)

  /// Path of the folder; nil beside the program.
  var folder: String? {
    switch self {
    case .besideProgram: nil
    case .folder(let url): url.path(percentEncoded: false)
    }
  }
}
