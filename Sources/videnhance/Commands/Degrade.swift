// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BatchProcessing
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
    guard FolderScan.isFolder(data) else {
      let reason = FileManager.default.fileExists(atPath: data) ? "it is not a folder" : "no such folder"
      throw DegradeError(description: "cannot open \(data): \(reason) (hint: make data)")
    }
    var count = 0
    for factor in scale {
      try DegradedClips.make(folder: URL(fileURLWithPath: data), factor: factor, passes: passes) {
        count += 1
        Console.line($0)
      }
    }
    if count == 0 { Console.warning("nothing to make below \(data): the clips exist, or it has no films") }
  }
}

/// The reason that no clips are made.
private struct DegradeError: Error, CustomStringConvertible {
  var description: String
}
