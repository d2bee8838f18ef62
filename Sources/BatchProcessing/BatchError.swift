// SPDX-License-Identifier: Apache-2.0

/// Errors of a folder, and of a file because of its place in the folder.
package enum BatchError: Error, Equatable, CustomStringConvertible {
  case notAFolder(path: String)
  case cannotReadFolder(path: String, reason: String)
  case cannotMakeFolder(path: String, reason: String)
  case sameFolder(path: String)
  case cannotWriteJournal(path: String, reason: String)
  case unclearShare(String)
  case outputTaken(path: String, by: String)
  case outputIsInput(path: String)
  case emptyFile(path: String)
  case picture(path: String)

  /// One lower-case line.
  package var description: String {
    switch self {
    case .notAFolder(let path): "\(path) is not a folder"
    case .cannotReadFolder(let path, let reason): "cannot read folder \(path): \(reason)"
    case .cannotMakeFolder(let path, let reason): "cannot make folder \(path): \(reason)"
    case .sameFolder(let path):
      "output folder \(path) is the input folder"
    case .cannotWriteJournal(let path, let reason): "cannot write journal \(path): \(reason)"
    case .unclearShare(let detail): "\(detail)"
    case .outputTaken(let path, let other):
      "output \(path) is also that of \(other)"
    case .outputIsInput(let path):
      "output \(path) is itself an input"
    case .emptyFile(let path): "\(path) is empty"
    case .picture(let path): "\(path) is a picture, not a video"
    }
  }

  /// A remedy in one lower-case line; nil if there is none.
  package var hint: String? {
    switch self {
    case .sameFolder: "choose another one; it may be inside the input folder"
    case .unclearShare: "set it, or choose a share; 1/1 processes all files"
    case .outputTaken: "rename one, or add what distinguishes them to the name pattern"
    case .outputIsInput: "choose another output folder or name pattern"
    case .emptyFile: "get a new copy of it"
    case .notAFolder, .cannotReadFolder, .cannotMakeFolder, .cannotWriteJournal, .picture: nil
    }
  }
}
