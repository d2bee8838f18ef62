// SPDX-License-Identifier: Apache-2.0

/// Bits of a network's weights and activations.
package enum NetworkBits: Int, CaseIterable, Sendable {
  case two = 2
  case three = 3
  case four = 4
  case six = 6
  case eight = 8
  /// Floating point.
  case float = 32
}

/// The trade-off between a shipped network's cost and quality.
package enum NetworkTier: String, CaseIterable, Sendable {
  /// About a third of the cost of `balanced`; super-resolution x2 only.
  case fast
  /// The default.
  case balanced
}

/// The kind of source, which selects between networks for the same task.
package enum SourceKind: String, CaseIterable, Sendable {
  /// Determined from the first frames: `SourceSurvey.isPristine`.
  case auto
  /// Compressed, noisy or soft footage.
  case real
  /// Masters, renderings, or footage of similar quality.
  case clean
}

/// A model that comes with the package.
package struct ShippedModel: Sendable, Hashable {
  /// The network's name without bits, such as `sr-x2-balanced`.
  package let family: String
  /// Bits of its operands.
  package let bits: NetworkBits

  /// Its name without `.safetensors`, such as `sr-x2-balanced-4bit`.
  package var name: String { bits == .float ? family : "\(family)-\(bits.rawValue)bit" }

  /// Path of the file; nil if it is missing.
  package var path: String? { ResourceFolder.path(of: name + ".safetensors") }

  /// Creates a reference to a model, which may be missing: see `path`.
  package init(family: String, bits: NetworkBits) {
    self.family = family
    self.bits = bits
  }

  /// All families of networks.
  package static let families = [
    "sr-x2-balanced", "sr-x2-balanced-real", "sr-x2-fast", "sr-x4-balanced", "denoise-balanced",
    "interp-balanced",
  ]

  /// All possible models: each family in full precision and at each number of bits.
  package static let all = families.flatMap { family in
    NetworkBits.allCases.reversed().map { ShippedModel(family: family, bits: $0) }
  }

  /// The default model.
  package static let usual = ShippedModel(family: "sr-x2-balanced", bits: .four)
}
