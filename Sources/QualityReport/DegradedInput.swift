// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import EnhancementPipeline
internal import Foundation
internal import Tensors
internal import VideoIO

/// Degrades a file as input for a task, so that the result can be compared with the original.
package enum DegradedInput {
  /// Crops to extents that are divisible by twice `scale`, for chroma; the reference is cropped as well.
  package static func crop(scale: Int) -> String {
    "crop=trunc(iw/\(2 * scale))*\(2 * scale):trunc(ih/\(2 * scale))*\(2 * scale):0:0"
  }

  /// Describes what `write` does.
  package static func words(_ tasks: [EnhancementTask], scale: Int, level: Float) -> String {
    tasks.reversed().map { task in
      switch task {
      case .superResolution: "scaled to 1/\(scale) (bicubic)"
      case .denoising: "with Gaussian noise of \(Int(level.rounded())) levels"
      case .interpolation: "without every second frame"
      case .restoration: "unchanged"
      }
    }.joined(separator: ", ")
  }

  /// Writes the input for a comparison, losslessly and without sound. Degradations are applied in reverse order of the tasks.
  /// - Parameters:
  ///   - level: standard deviation of Gaussian noise, in 8-bit levels.
  ///   - frames: the most frames of the original to use; nil for all.
  ///   - options: the part of the original, and how it is deinterlaced.
  /// - Returns: the times in seconds of the result's frames, if these are a subset of the original's.
  package static func write(
    _ input: String, to output: String, tasks: [EnhancementTask], scale: Int, level: Float,
    frames limit: Int?, options: EnhancementJob.Options? = nil, threads: Int
  ) throws -> [Double] {
    var frames = try FileFrames(path: input, options: options, threads: threads)
    let info = frames.info
    let isThinned = tasks.contains(.interpolation)
    var scaler: FrameFilter?
    var writer: VideoWriter?
    var random = SplitMix64(seed: 30)
    var (count, times) = (0, [Double]())
    while let (frame, time) = try frames.next() {
      defer { count += 1 }
      if let limit, count > limit { break }
      if isThinned, count % 2 == 1 { continue }
      times.append(time)
      var kept = frame
      for task in tasks.reversed() {
        if task == .denoising { kept = try noisy(kept, level: level, using: &random) }
        guard task == .superResolution else { continue }
        if scaler == nil {
          let filter = crop(scale: scale) + ",scale=iw/\(scale):ih/\(scale):flags=bicubic"
          let made = try FrameFilter(filter, like: kept, timeBase: frames.timeBase, threads: threads)
          scaler = consume made
        }
        guard let small = try scaler?.push(kept).first else {
          throw CompareError(detail: "\(input) cannot be scaled")
        }
        kept = small
      }
      if writer == nil {
        writer = try VideoWriter(
          path: output, like: info, width: kept.width, height: kept.height, format: kept.format,
          timeBase: frames.timeBase, frameRate: frames.frameRate,
          settings: EncoderSettings(codec: "ffv1", threads: threads))
      }
      let length = kept.duration * (isThinned ? 2 : 1)
      try writer?.write(kept.retimed(presentationTimestamp: kept.presentationTimestamp, duration: length))
    }
    guard let finished = writer.take() else { throw CompareError(detail: "no frames in \(input)") }
    try finished.finish()
    return isThinned ? times : []
  }

  /// The frame with Gaussian noise added to all planes.
  private static func noisy(_ frame: VideoFrame, level: Float, using random: inout SplitMix64) throws
    -> VideoFrame
  {
    let most = Float(frame.format.maximumValue)
    let strength = level * Float(1 << (frame.format.bitDepth - 8))
    var generator = random
    defer { random = generator }
    return try VideoFrame.make(
      width: frame.width, height: frame.height, format: frame.format, like: frame,
      presentationTimestamp: frame.presentationTimestamp, duration: frame.duration
    ) { plane, bytes, bytesPerRow in
      let (columns, rows) = (frame.planeWidth(plane), frame.planeHeight(plane))
      frame.withPlane(plane) { source, sourceBytesPerRow in
        for y in 0..<rows {
          for x in 0..<columns {
            func value(_ sample: Float) -> Float {
              max(0, min(most, (sample + strength * generator.normal()).rounded()))
            }
            if frame.format.bytesPerSample == 1 {
              bytes[y * bytesPerRow + x] = UInt8(value(Float(source[y * sourceBytesPerRow + x])))
            } else {
              let sample = source.loadUnaligned(
                fromByteOffset: y * sourceBytesPerRow + 2 * x, as: UInt16.self)
              bytes.storeBytes(
                of: UInt16(value(Float(sample))), toByteOffset: y * bytesPerRow + 2 * x, as: UInt16.self)
            }
          }
        }
      }
    }
  }
}
