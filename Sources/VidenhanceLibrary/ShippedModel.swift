// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel

/// The trade-off between a shipped network's cost and quality.
package enum NetworkTier: String, CaseIterable, Sendable {
  /// About a third of the cost of `balanced`; for interpolation, no network.
  case fast
  /// The default but for interpolation.
  case balanced
  /// Twice the cost of `balanced`, whose networks it uses where it has none of its own.
  case best

  /// The upscaling factors of the tier's networks.
  package var scales: [Int] { self == .fast ? [2] : [2, 4] }

  /// The tasks that have the tier, for messages.
  package var tasks: String {
    let names = EnhancementTask.allCases.filter { $0.tiers.contains(self) }.map(\.rawValue)
    return names.dropLast().joined(separator: ", ") + " or " + names[names.count - 1]
  }

  /// The tiers in which a network is looked for, in order.
  var candidates: [NetworkTier] { self == .best ? [.best, .balanced] : [self] }
}

extension EnhancementTask {
  /// The tiers to choose from. Restoration uses the networks of super-resolution x2. The fast tier of interpolation has no
  /// network.
  package var tiers: [NetworkTier] {
    switch self {
    case .superResolution, .restoration: NetworkTier.allCases
    case .interpolation: [.fast, .balanced]
    case .denoising: [.balanced]
    }
  }

  /// Whether networks for real footage take the source's sharpness.
  package var takesSharpness: Bool { self == .superResolution || self == .restoration }

  /// The tier unless one is chosen. On film that it was not trained on, the network for interpolation is slightly worse than
  /// motion compensation alone (docs/lab/networks.md).
  package var usualTier: NetworkTier { self == .interpolation ? .fast : .balanced }

  /// The tier if one is chosen for several tasks, some of which may lack it.
  package func tier(_ chosen: NetworkTier?) -> NetworkTier {
    guard let chosen else { return usualTier }
    return tiers.contains(chosen) ? chosen : .balanced
  }
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
  package var path: String? { path(in: nil) }

  /// Path of the file in a folder, or beside the program; nil if it is missing.
  func path(in folder: String?) -> String? { ResourceFolder.path(of: name + ".safetensors", in: folder) }

  /// Creates a reference to a model, which may be missing: see `path`.
  package init(family: String, bits: NetworkBits) {
    self.family = family
    self.bits = bits
  }

  /// All families of networks.
  package static let families = [
    "sr-x2-balanced", "sr-x2-balanced-real", "sr-x2-best", "sr-x2-best-real", "sr-x2-fast", "sr-x2-fast-real",
    "sr-x4-balanced", "sr-x4-balanced-real", "denoise-balanced", "interp-balanced",
  ]

  /// All possible models: each family in full precision and at each number of bits.
  package static let all = families.flatMap { family in
    NetworkBits.allCases.reversed().map { ShippedModel(family: family, bits: $0) }
  }

  /// The default model.
  package static let usual = ShippedModel(family: "sr-x2-balanced", bits: .four)
}
