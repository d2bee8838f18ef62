// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Videnhance

/// Shows the version.
struct Version: ParsableCommand {
  /// The version of the package.
  static let current = PackageVersion.current

  static let configuration = CommandConfiguration(
    abstract: "Show the version.",
    discussion: "Example: videnhance version\n\nSame as videnhance --version.")

  func run() { print(Self.current) }
}
