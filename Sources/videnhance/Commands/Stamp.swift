// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementModel

/// Writes model files again, so that they carry a checksum. For those that were made before there was one, or by other programs.
struct Stamp: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write model files again with a checksum of their bytes.",
    discussion: "Example: videnhance stamp models/*.safetensors", shouldDisplay: false)

  @Argument(help: "Model files.") var models: [String]

  func run() throws {
    for path in models { try Safetensors(path: path).write(path: path) }
  }
}
