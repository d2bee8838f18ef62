// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Everything that determines the result of a job, as the leaves of an encoded value by path, such as
/// `encoder.crf`.
///
/// Properties added to the value become part of the identity automatically.
package struct WorkIdentity: Codable, Hashable, Sendable {
  /// A leaf that differs between two identities.
  package struct Difference: Hashable, Sendable {
    /// Path of the leaf.
    package let path: String
    /// Both values as text; nil if the leaf is missing.
    package let before, now: String?

    package init(path: String, before: String?, now: String?) {
      self.path = path
      self.before = before
      self.now = now
    }
  }

  let leaves: [String: String]

  /// Creates an identity from the leaves of `value`; nil properties have none.
  package init(_ value: some Encodable) {
    var leaves: [String: String] = [:]
    let encoded = try? JSONDecoder().decode(JSONTree.self, from: JSONEncoder().encode(value))
    encoded?.visit { leaves[$0] = $1 }
    self.leaves = leaves
  }

  package init(from decoder: any Decoder) throws {
    leaves = try decoder.singleValueContainer().decode([String: String].self)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(leaves)
  }

  /// Returns the differences from an earlier identity, sorted by path.
  package func differences(from earlier: WorkIdentity) -> [Difference] {
    Set(leaves.keys).union(earlier.leaves.keys).sorted().compactMap { path in
      let (before, now) = (earlier.leaves[path], leaves[path])
      return before == now ? nil : Difference(path: path, before: before, now: now)
    }
  }
}

/// A JSON value.
private enum JSONTree: Decodable {
  case object([String: JSONTree])
  case array([JSONTree])
  case leaf(String)

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let object = try? container.decode([String: JSONTree].self) {
      self = .object(object)
    } else if let array = try? container.decode([JSONTree].self) {
      self = .array(array)
    } else if let text = try? container.decode(String.self) {
      self = .leaf(text)
    } else if let flag = try? container.decode(Bool.self) {
      self = .leaf("\(flag)")
    } else if let number = try? container.decode(Int64.self) {
      self = .leaf("\(number)")
    } else {
      self = .leaf(container.decodeNil() ? "null" : "\(try container.decode(Double.self))")
    }
  }

  /// Calls `take` with each leaf and its path.
  func visit(_ path: String = "", _ take: (String, String) -> Void) {
    let prefix = path.isEmpty ? "" : path + "."
    switch self {
    case .object(let object): for (key, value) in object { value.visit(prefix + key, take) }
    case .array(let array):
      for (index, value) in array.enumerated() { value.visit(prefix + "\(index)", take) }
    case .leaf(let text): take(path, text)
    }
  }
}

extension WorkIdentity.Difference: CustomStringConvertible {
  /// A description, such as `encoder crf was 16, is 30`.
  package var description: String { text(name: words) }

  /// Returns the description with another name for the leaf.
  package func text(name: String) -> String {
    "\(name) was \(before ?? "the default"), is \(now ?? "the default")"
  }

  /// The path in words: `findsSceneCuts` becomes `finds scene cuts`; indices count from 1.
  private var words: String {
    path.split(separator: ".").map { part in
      if let number = Int(part) { return "\(number + 1)" }
      return part.reduce(into: "") { text, letter in
        text += letter.isUppercase ? " " + letter.lowercased() : String(letter)
      }
    }.joined(separator: " ")
  }
}
