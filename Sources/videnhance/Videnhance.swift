// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

@main
struct Videnhance: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "temporary", subcommands: [Train.self])
}
