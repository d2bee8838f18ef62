// SPDX-License-Identifier: Apache-2.0

/// An error in a model file or its use.
package enum ModelError: Error, Equatable, CustomStringConvertible {
  /// The file cannot be read or written.
  case cannotOpen(path: String, reason: String)
  /// The file is not a safetensors file, or is damaged; `detail` describes where.
  case damaged(path: String, detail: String)
  /// The metadata does not describe a network that this version supports.
  case badArchitecture(String)
  /// The file holds a network for another task, scale or number of bits than what is asked for.
  case otherNetwork(path: String, detail: String)
  /// A tensor that the architecture needs is missing, has the wrong shape, or holds invalid numbers.
  case missingTensor(name: String)
  /// No shipped weights match the request.
  case notShipped(name: String)
  /// The output of a float network contains infinities or NaN.
  case notFinite

  /// One lower-case line for the user.
  package var description: String {
    switch self {
    case .cannotOpen(let path, let reason): "cannot open model \(path): \(reason)"
    case .damaged(let path, let detail): "model \(path) is damaged: \(detail)"
    case .badArchitecture(let detail): "model describes an unknown network: \(detail)"
    case .otherNetwork(let path, let detail): "\(path) is a model \(detail)"
    case .missingTensor(let name):
      "tensor \(name) of the model is missing, or has a wrong shape or invalid values"
    case .notShipped(let name): "no weights are shipped for \(name)"
    case .notFinite: "the network's values overflow (infinite or NaN): its weights are unusable"
    }
  }

  /// Advice in one lower-case line; nil if there is none.
  package var hint: String? {
    switch self {
    case .cannotOpen: nil
    case .damaged, .missingTensor: "get a new copy of the file"
    case .badArchitecture: "the file may be for another version"
    case .otherNetwork: nil
    case .notShipped: "pass a model file"
    case .notFinite: nil
    }
  }
}
