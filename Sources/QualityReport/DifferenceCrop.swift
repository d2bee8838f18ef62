// SPDX-License-Identifier: Apache-2.0
internal import EnhancementPipeline
internal import VideoIO

/// The area of a frame that differs most from another frame.
struct DifferenceCrop {
  /// Its position and extents, in luma samples.
  let x, y, width, height: Int

  /// Searches for the largest squared difference at every 32nd position, using every fourth sample of every fourth row.
  /// - Parameters:
  ///   - width: maximum width; limited to that of the frames, like the height.
  ///   - alignment: the extents are multiples of this, for subsampled chroma.
  /// - Throws: `PipelineError.extentsDiffer`.
  init(of frame: VideoFrame, _ other: VideoFrame, width: Int, height: Int, alignment: Int = 1)
    throws(PipelineError)
  {
    guard frame.width == other.width, frame.height == other.height else {
      throw .extentsDiffer(
        found: "\(frame.width)x\(frame.height)", expected: "\(other.width)x\(other.height)")
    }
    let (width, height) = (
      min(width, frame.width) / alignment * alignment, min(height, frame.height) / alignment * alignment
    )
    let depth = max(frame.format.bitDepth, other.format.bitDepth)
    let (a, b) = (QualityMeter.luma(frame, depth: depth), QualityMeter.luma(other, depth: depth))
    var best = (error: Int64(-1), x: 0, y: 0)
    for y in stride(from: 0, through: frame.height - height, by: 32) {
      for x in stride(from: 0, through: frame.width - width, by: 32) {
        var error: Int64 = 0
        for row in stride(from: y, to: y + height, by: 4) {
          for column in stride(from: x, to: x + width, by: 4) {
            let difference = Int64(a[row * frame.width + column] - b[row * frame.width + column])
            error += difference * difference
          }
        }
        if error > best.error { best = (error, x, y) }
      }
    }
    (x, y, self.width, self.height) = (best.x, best.y, width, height)
  }

  /// The FFmpeg filter for this crop.
  var filter: String { "crop=\(width):\(height):\(x):\(y)" }
}
