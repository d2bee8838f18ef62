// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import Kernels

extension InstructionSet: ExpressibleByArgument {
  /// By the name that VIDENHANCE_ISA takes.
  public init?(argument: String) {
    guard let match = Self.allCases.first(where: { $0.name == argument }) else { return nil }
    self = match
  }

  /// For messages and completions: those that this machine has.
  public static var allValueStrings: [String] { supported.map(\.name) }

  /// - Throws: what is said where the machine lacks it.
  func validate() throws {
    if isSupported { return }
    let names = Self.supported.map(\.name).joined(separator: ", ")
    throw ValidationError("--isa \(name): this machine has \(names) only")
  }
}
