// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Training

/// Makes the degraded clips that networks for real footage are trained on.
struct Degrade: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make clips like real footage, to train networks on.",
    discussion: """
      Each film of a data folder, and photographs in synthetic motion, are blurred, resized, sharpened, given grain and \
      sent through real encoders, in random order and strength, from fixed seeds. Existing clips are kept.

      Example:
        videnhance degrade --data data --scale 2
      """)

  @Option(help: "Folder of clips and photographs (make data).", completion: .directory) var data: String
  @Option(help: "Reduction relative to the ground truth: 1 (restore), 2 or 4.") var scale: [Int] = [2]
  @Option(help: "Number of degraded versions of each film.") var passes: Int = 1

  func validate() throws {
    if scale.contains(where: { ![1, 2, 4].contains($0) }) {
      throw ValidationError("--scale must be 1, 2 or 4")
    }
    if passes < 1 { throw ValidationError("--passes must be positive") }
  }

  func run() throws {
    for factor in scale {
      try DegradedClips.make(folder: URL(fileURLWithPath: data), factor: factor, passes: passes) {
        Console.line($0)
      }
    }
  }
}
