// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel

/// Rewrites model files with a checksum, for files made by other programs or before checksums were introduced.
struct Stamp: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Rewrite model files with a checksum of their bytes.",
    discussion: "Example: videnhance stamp models/*.safetensors", shouldDisplay: false)

  @Argument(help: "Model files.", completion: .file()) var models: [String]

  func run() throws {
    for path in models { try Safetensors(path: path).write(path: path) }
  }
}
