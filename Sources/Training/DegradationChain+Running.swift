// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Tensors
import VideoIO

extension DegradationChain {
  /// Applies `softness` to frames of the ground truth.
  /// - Throws: `VideoIOError` of the filter.
  func softened(_ truth: [PlanarFrame]) throws -> [PlanarFrame] { try Self.softened(truth, by: softness) }

  /// Blurs frames with a Gaussian of standard deviation `softness`; nil returns them unchanged.
  static func softened(_ frames: [PlanarFrame], by softness: Float?) throws -> [PlanarFrame] {
    guard let softness else { return frames }
    let whole = try frames.enumerated().map { try $1.videoFrame(time: $0) }
    return try filtered(whole, "gblur=sigma=\(softness):steps=2").map { PlanarFrame($0) }
  }

  /// Softens and downscales a clip, and applies all steps.
  ///
  /// Frames carry the quantizers of the last codec if FFmpeg exports them and no step follows.
  /// - Parameters:
  ///   - clip: frames of one size, in temporal order.
  ///   - factor: 1, 2 or 4; extents must be multiples of twice this.
  ///   - random: for grain.
  /// - Throws: `VideoIOError` of a filter or codec.
  func callAsFunction(
    _ clip: [PlanarFrame], factor: Int, using random: inout SplitMix64
  ) throws -> [PlanarFrame] {
    var frames = try softened(clip).enumerated().map { index, frame in
      let whole = try frame.videoFrame(time: index)
      return factor == 1
        ? whole
        : try whole.converted(width: frame.width / factor, height: frame.height / factor, scaler: kernel)
    }
    var quantizers: [BlockQuantizers?] = frames.map { _ in nil }
    for step in steps {
      quantizers = frames.map { _ in nil }
      switch step {
      case .filter(let description): frames = try Self.filtered(frames, description)
      case .grain(let deviation, let chroma, let size):
        frames = try frames.enumerated().map { index, frame in
          let planar = PlanarFrame(frame)
          Grain.add(to: planar, deviation: deviation, chroma: chroma, size: size, using: &random)
          return try planar.videoFrame(time: index)
        }
      case .codec(let name, let options):
        let coded = try CodecRoundTrip.roundTrip(frames, codec: name, options: options)
        frames = coded.map(\.frame)
        quantizers = coded.map(\.quantizers)
      }
    }
    return zip(frames, quantizers).map { frame, quantizers in
      let planar = PlanarFrame(frame)
      planar.quantizers = quantizers.map {
        QuantizerMap(columns: $0.columns, rows: $0.rows, values: $0.values)
      }
      return planar
    }
  }

  static func filtered(_ frames: [VideoFrame], _ description: String) throws -> [VideoFrame] {
    var filter = try FrameFilter(
      description, like: frames[0], timeBase: Rational(1, 25), frameRate: Rational(25, 1), threads: 1)
    var results: [VideoFrame] = []
    for frame in frames { results += try filter.push(frame) }
    results += try filter.finish()
    guard results.count == frames.count, results.allSatisfy({ $0.format == frames[0].format }) else {
      throw TrainingError.badFilter(description)
    }
    return results
  }
}

/// Noise of film, sensors and amplifiers: white, or correlated between samples.
enum Grain {
  /// Adds Gaussian noise to a frame.
  /// - Parameters:
  ///   - deviation: standard deviation in luma, in 8-bit levels, independent of `size`.
  ///   - chroma: factor on the deviation in chroma.
  ///   - size: standard deviation of the correlating blur, in samples; 0 yields white noise.
  static func add(
    to frame: PlanarFrame, deviation: Float, chroma: Float, size: Float, using random: inout SplitMix64
  ) {
    let planes = [
      (frame.luma, frame.width, frame.height, deviation),
      (frame.chroma[0], frame.width / 2, frame.height / 2, deviation * chroma),
      (frame.chroma[1], frame.width / 2, frame.height / 2, deviation * chroma),
    ]
    for (plane, width, height, strength) in planes {
      let noise = field(width: width, height: height, size: size, using: &random)
      for i in 0..<width * height {
        let value = Float(plane[i]) + strength * noise[i]
        plane[i] = UInt8(max(0, min(255, value.rounded())))
      }
    }
  }

  /// Noise of unit variance.
  private static func field(
    width: Int, height: Int, size: Float, using random: inout SplitMix64
  ) -> [Float] {
    var field = (0..<width * height).map { _ in random.normal() }
    guard size > 0 else { return field }
    // Five taps per direction, scaled to preserve the variance.
    let near = exp(-1 / (2 * size * size))
    let far = exp(-4 / (2 * size * size))
    let norm = 1 / (1 + 2 * near * near + 2 * far * far).squareRoot()
    for (stride, count, lines, lineStride) in [(1, width, height, width), (width, height, width, 1)] {
      var line = [Float](repeating: 0, count: count)
      for index in 0..<lines {
        let start = index * lineStride
        for i in 0..<count { line[i] = field[start + i * stride] }
        for i in 0..<count {
          func at(_ j: Int) -> Float { line[max(0, min(count - 1, j))] }
          field[start + i * stride] =
            norm * (line[i] + near * (at(i - 1) + at(i + 1)) + far * (at(i - 2) + at(i + 2)))
        }
      }
    }
    return field
  }
}
