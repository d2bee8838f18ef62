// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// Lists the presets.
struct Presets: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the presets: named sets of options.",
    discussion: """
      Example: videnhance in.mp4 out.mp4 --preset web

      Options given in addition to a preset replace its own. With --verbose, a run prints the options of its preset. \
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
