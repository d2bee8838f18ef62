// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// Shows the version.
struct Version: ParsableCommand {
  /// The version of the program and its packages; the Makefile reads it here.
  static let current = "0.1.0"

  static let configuration = CommandConfiguration(
    abstract: "Show the version.",
    discussion: "Example: videnhance version\n\nSame as videnhance --version.")

  func run() { print(Self.current) }
}
