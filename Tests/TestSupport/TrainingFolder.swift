// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A tiny folder of training data, made by the ffmpeg program.
package enum TrainingFolder {
  /// Two clips and two photographs to train on; one of each for validation.
  package static func fill(_ bench: Workbench) throws {
    for name in ["train", "val"] {
      try FileManager.default.createDirectory(atPath: bench.path(name), withIntermediateDirectories: true)
    }
    let clip = "-frames:v 8 -pix_fmt yuv420p -c:v ffv1"
    func source(_ size: String, _ scale: Double) -> String {
      "-f lavfi -i mandelbrot=size=\(size):rate=10:maxiter=100:start_scale=\(scale)"
    }
    try bench.ffmpeg("-f lavfi -i testsrc2=size=160x128:rate=10 \(clip)", "train/a.mkv")
    try bench.ffmpeg("\(source("192x128", 0.5)) \(clip)", "train/b.mkv")
    try bench.ffmpeg("\(source("272x260", 0.1)) \(clip)", "val/c.mkv")
    try bench.ffmpeg("\(source("480x420", 0.2)) -frames:v 1", "val/p.png")
    try bench.ffmpeg("\(source("480x420", 0.3)) -frames:v 1", "train/q.png")
    try bench.ffmpeg("\(source("420x440", 1.2)) -frames:v 1", "train/r.png")
    let lines = ["train/a.mkv\ttrain", "train/b.mkv\ttrain", "val/c.mkv\tval"].map { "\($0)\t0\t-\t1\t0\t1" }
    try lines.joined(separator: "\n").write(
      toFile: bench.path("sections.tsv"), atomically: true, encoding: .utf8)
  }
}
