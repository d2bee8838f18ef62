// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// Location of the shipped model files.
public enum ModelLocation: Sendable, Hashable {
  /// The package's resource bundle beside the program, or the models folder of an installed program.
  case besideProgram
  /// A folder: a copy of `Sources/EnhancementModel/Resources`, or of the required files in it.
  case folder(URL)

  /// Path of the folder; nil for the default location.
  var folder: String? {
    switch self {
    case .besideProgram: nil
    case .folder(let url): url.path(percentEncoded: false)
    }
  }
}
