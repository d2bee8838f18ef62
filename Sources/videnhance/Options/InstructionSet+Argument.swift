// SPDX-License-Identifier: Apache-2.0
package import ArgumentParser
package import Kernels

extension InstructionSet: ExpressibleByArgument {
  /// Parses the names that VIDENHANCE_ISA accepts.
  package init?(argument: String) {
    guard let match = Self.allCases.first(where: { $0.name == argument }) else { return nil }
    self = match
  }

  /// The sets that this machine supports, for messages and completions.
  package static var allValueStrings: [String] { supported.map(\.name) }

  /// - Throws: `ValidationError` if the machine does not support the set.
  func validate() throws {
    if isSupported { return }
    let names = Self.supported.map(\.name).joined(separator: ", ")
    throw ValidationError("--isa \(name): this machine has \(names) only")
  }
}
