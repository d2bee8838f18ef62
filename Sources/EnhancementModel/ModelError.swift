// SPDX-License-Identifier: Apache-2.0

/// What can be wrong with a model file or its use.
public enum ModelError: Error, Equatable, CustomStringConvertible {
  /// The file cannot be read or written.
  case cannotOpen(path: String, reason: String)
  /// The file is not a safetensors file, or is damaged; `detail` says where.
  case damaged(path: String, detail: String)
  /// The metadata describes no network that this version can build.
  case badArchitecture(String)
  /// A tensor that the architecture needs is absent, has another shape, or holds numbers that it cannot.
  case missingTensor(name: String)
  /// No weights are shipped for what was asked.
  case notShipped(name: String)
  /// A float network's sums left the range of numbers: infinities or NaN came out.
  case notFinite

  /// One lower-case line.
  public var description: String {
    switch self {
    case .cannotOpen(let path, let reason): "cannot open model \(path): \(reason)"
    case .damaged(let path, let detail): "model \(path) is damaged: \(detail)"
    case .badArchitecture(let detail): "model describes an unknown network: \(detail)"
    case .missingTensor(let name): "model lacks tensor \(name), or it has another shape or bad numbers"
    case .notShipped(let name): "no weights are shipped for \(name); pass a file with --model-file"
    case .notFinite: "the network's numbers overflow (infinite or NaN): its weights are no good"
    }
  }
}
