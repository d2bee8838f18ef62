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

/// How much a shipped network computes for a frame, and how good it is.
public enum NetworkTier: String, CaseIterable, Sendable {
  /// About a third of `balanced`; for super-resolution x2 only.
  case fast
  /// What a new user should get.
  case balanced
}

/// A model that comes with the package.
public struct ShippedModel: Sendable, Hashable {
  /// The network, whatever its bits, such as `sr-x2-balanced`.
  public let family: String
  /// Bits of its operands.
  public let bits: NetworkBits

  /// Its name without `.safetensors`, such as `sr-x2-balanced-4bit`.
  public var name: String { bits == .float ? family : "\(family)-\(bits.rawValue)bit" }

  /// Where it is; nil if it is missing.
  public var path: String? { ResourceFolder.path(of: name + ".safetensors") }

  /// A model; whether it is there, `path` tells.
  public init(family: String, bits: NetworkBits) {
    self.family = family
    self.bits = bits
  }

  /// All families of networks.
  public static let families = [
    "sr-x2-balanced", "sr-x2-fast", "sr-x4-balanced", "denoise-balanced",
    "interp-balanced",
  ]

  /// All that may be there: each family in full precision and at each number of bits.
  public static let all = families.flatMap { family in
    NetworkBits.allCases.reversed().map { ShippedModel(family: family, bits: $0) }
  }

  /// The one that runs when nothing is chosen.
  public static let usual = ShippedModel(family: "sr-x2-balanced", bits: .four)
}
