// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The recipe of the network that training started from, nested in the recipe of the new network.
package indirect enum RecipeValue: Codable, Hashable, Sendable {
  case object([String: RecipeValue])
  case array([RecipeValue])
  case text(String)
  case flag(Bool)
  case integer(Int64)
  case natural(UInt64)
  case number(Double)
  case null

  /// Parses a recipe: JSON as such, other text as a string, and empty text as null.
  package init(recipe: String) {
    let parsed = try? JSONDecoder().decode(RecipeValue.self, from: Data(recipe.utf8))
    self = parsed ?? (recipe.isEmpty ? .null : .text(recipe))
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let object = try? container.decode([String: RecipeValue].self) {
      self = .object(object)
    } else if let array = try? container.decode([RecipeValue].self) {
      self = .array(array)
    } else if let text = try? container.decode(String.self) {
      self = .text(text)
    } else if let flag = try? container.decode(Bool.self) {
      self = .flag(flag)
    } else if let integer = try? container.decode(Int64.self) {
      self = .integer(integer)
    } else if let natural = try? container.decode(UInt64.self) {
      self = .natural(natural)
    } else {
      self = .number(try container.decode(Double.self))
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .object(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .text(let value): try container.encode(value)
    case .flag(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .natural(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .null: try container.encodeNil()
    }
  }
}

/// The training and conversion settings of a network, written into its file as one line of JSON.
package protocol Recipe: Encodable {}

extension Recipe {
  /// JSON in one line, with sorted keys; empty if a number is infinite or NaN.
  package var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}
