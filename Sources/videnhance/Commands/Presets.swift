// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// Lists the presets.
struct Presets: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the presets: sets of options by one name.",
    discussion: """
      Example: videnhance in.mp4 out.mp4 --preset web

      Options that are given beside a preset replace its own. With --verbose, a run prints what its preset stands for. \
      See docs/reference/presets.md.
      """)

  func run() {
    for preset in Preset.all {
      print("\(preset.name): \(preset.purpose)")
      print("  \(preset.text)")
    }
    print("auto: chosen from a few frames (fields, noise, compression, size); prints its choice")
  }
}
