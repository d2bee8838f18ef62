// SPDX-License-Identifier: Apache-2.0

/// Bits of a network's weights and activations.
public enum NetworkBits: Int, CaseIterable, Sendable {
  case two = 2
  case three = 3
  case four = 4
  case six = 6
  case eight = 8
  /// Floating point.
  case float = 32
}

/// The trade-off between a shipped network's cost and quality.
public enum NetworkTier: String, CaseIterable, Sendable {
  /// About a third of the cost of `balanced`; super-resolution x2 only.
  case fast
  /// The default.
  case balanced
}

/// The kind of source, which selects between networks for the same task.
public enum SourceKind: String, CaseIterable, Sendable {
  /// Determined from the first frames: `SourceSurvey.isPristine`.
  case auto
  /// Compressed, noisy or soft footage.
  case real
  /// Masters, renderings, or footage of similar quality.
  case clean
}

/// A model that comes with the package.
public struct ShippedModel: Sendable, Hashable {
  /// The network's name without bits, such as `sr-x2-balanced`.
  public let family: String
  /// Bits of its operands.
  public let bits: NetworkBits

  /// Its name without `.safetensors`, such as `sr-x2-balanced-4bit`.
  public var name: String { bits == .float ? family : "\(family)-\(bits.rawValue)bit" }

  /// Path of the file; nil if it is missing.
  public var path: String? { ResourceFolder.path(of: name + ".safetensors") }

  /// Creates a reference to a model, which may be missing: see `path`.
  public init(family: String, bits: NetworkBits) {
    self.family = family
    self.bits = bits
  }

  /// All families of networks.
  public static let families = [
    "sr-x2-balanced", "sr-x2-balanced-real", "sr-x2-fast", "sr-x4-balanced", "denoise-balanced",
    "interp-balanced",
  ]

  /// All possible models: each family in full precision and at each number of bits.
  public static let all = families.flatMap { family in
    NetworkBits.allCases.reversed().map { ShippedModel(family: family, bits: $0) }
  }

  /// The default model.
  public static let usual = ShippedModel(family: "sr-x2-balanced", bits: .four)
}
