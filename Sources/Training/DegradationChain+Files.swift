// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
package import VideoIO

extension DegradationChain {
  /// Downscales only.
  package static let clean = DegradationChain(kernel: .bicubic, steps: [])

  /// The fixed kinds of `bench quality --tables restore`, which keep the size, by name.
  package static let fixedAtFullSize: [(name: String, chain: DegradationChain)] = [
    ("crf33", DegradationChain(kernel: .bicubic, steps: [.codec("libx264", options: ["crf": "33"])])),
    (
      "mpeg2q10",
      DegradationChain(
        kernel: .bicubic,
        steps: [.codec("mpeg2video", options: ["qmin": "10", "qmax": "10", "g": "15", "bf": "2"])])
    ),
  ]

  /// Applies all steps to a clip and writes a video with the last codec's own stream, so that readers get everything
  /// that a decoder exports; without a codec at the end, the file is lossless.
  /// - Parameters:
  ///   - clip: 8-bit 4:2:0 frames of one size, in temporal order; if empty, nothing is written.
  ///   - factor: 1, 2 or 4; extents must be multiples of twice this.
  ///   - info: the clip's file, for its frame rate and colour.
  ///   - path: a new file, whose extension selects the container; Matroska supports all codecs.
  ///   - seed: random seed for grain.
  /// - Throws: `VideoIOError` of a filter, codec or the file; `TrainingError.badFilter`.
  package func write(
    _ clip: [VideoFrame], factor: Int, like info: MediaInfo, to path: String, seed: UInt64 = 2026
  ) throws {
    guard !clip.isEmpty else { return }
    var frames = clip
    if factor > 1 {
      // Like the ffmpeg program, so that the figures can be reproduced; our own scaler rounds more exactly.
      frames = try Self.filtered(clip, "scale=iw/\(factor):ih/\(factor):flags=\(kernel.rawValue)")
    }
    var settings = EncoderSettings(codec: "ffv1", threads: 1)
    var random = SplitMix64(seed: seed)
    for (index, step) in steps.enumerated() {
      switch step {
      case .filter(let description): frames = try Self.filtered(frames, description)
      case .grain(let deviation, let chroma, let size):
        frames = try frames.map { frame in
          let planar = PlanarFrame(frame)
          Grain.add(to: planar, deviation: deviation, chroma: chroma, size: size, using: &random)
          return try planar.videoFrame(time: 0).retimed(
            presentationTimestamp: frame.presentationTimestamp, duration: frame.duration)
        }
      case .codec(let name, let options):
        guard index == steps.count - 1 else {
          frames = try CodecRoundTrip.recompress(frames, codec: name, options: options)
          continue
        }
        settings = EncoderSettings(codec: name, options: options, threads: 1)
      }
    }
    let first = frames[0]
    var writer = try VideoWriter(
      path: path, like: info, width: first.width, height: first.height, format: first.format,
      settings: settings)
    for frame in frames { try writer.write(frame) }
    try writer.finish()
  }
}
