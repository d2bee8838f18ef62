// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Tensors
import VideoIO

/// How the low-resolution input of a training window is made from its ground truth: always by bicubic downscaling, and for
/// a fraction of the windows with degradations of real footage (compression, noise, slight blur).
package struct Degradation: Sendable, Codable, Hashable {
  /// Fraction of the windows that are only downscaled.
  package var cleanShare: Float = 0.6
  /// Fraction of the denoising windows that are defocused; half as many are darkened. nil (older recipes) means none.
  package var varietyShare: Float?
  /// Fraction of the windows in which conditioned networks receive the quantizers if known; nil (older recipes) means
  /// none.
  package var quantizerShare: Float?
  /// Fraction of the windows that come from photographs in synthetic motion; nil means 0.6.
  package var photographShare: Float?
  /// Flatter windows are avoided: least mean difference of horizontal neighbours in levels; nil means 1.5.
  package var leastDetail: Float?

  // Recipes in model files have an earlier name of the key.
  private enum CodingKeys: String, CodingKey {
    case cleanShare, varietyShare, photographShare, leastDetail
    case quantizerShare = "toldShare"
  }

  /// Defaults.
  package init() {}

  /// Downscales and degrades the frames of a window.
  /// - Parameter factor: 2 or 4.
  package func callAsFunction(
    _ window: [PlanarFrame], factor: Int, using random: inout SplitMix64
  ) throws -> [PlanarFrame] {
    var frames = try window.map { try Self.shrink($0, factor: factor) }
    if random.chance(cleanShare) { return frames }
    if random.chance(0.25) {
      let amount = random.uniform(0.05...0.25)
      for frame in frames { Self.soften(frame, amount: amount) }
    }
    if random.chance(0.4) {
      let deviation = random.uniform(0.5...6)
      for frame in frames { Self.addNoise(frame, deviation: deviation, using: &random) }
    }
    if random.chance(0.6) { frames = try Self.recompress(frames, using: &random) }
    return frames
  }

  /// Highest standard deviation of noise in the training of denoising, in 8-bit levels.
  static let mostNoise: Float = 55

  /// Returns noisy frames, and the level passed to the network: half the time the true one, otherwise nil, to estimate it
  /// from the frames. Some windows stay clean, so that the network preserves clean film; others have signal-dependent,
  /// coarser or compressed noise, as from cameras and codecs.
  func noisy(
    _ window: [PlanarFrame], using random: inout SplitMix64
  ) throws -> (frames: [PlanarFrame], level: Float?) {
    var frames = window.map { $0.copy() }
    let isKnown = random.chance(0.5)
    if random.chance(0.08) { return (frames, isKnown ? 0 : nil) }
    // Squared: weak noise is more common, and the network can gain or lose more there.
    let draw = random.uniform()
    let level = Self.mostNoise * (random.chance(0.5) ? draw : draw * draw)
    let isCamera = !random.chance(cleanShare)
    for frame in frames {
      Self.addNoise(
        frame, deviation: level, chroma: isCamera ? random.uniform(0.4...1) : 1, dependsOnSignal: isCamera,
        using: &random)
    }
    if isCamera && random.chance(0.4) { frames = try Self.recompress(frames, using: &random) }
    return (frames, isKnown && !isCamera ? level : nil)
  }

  /// Fraction of the denoising windows with repeated frames.
  static let repeatedShare: Float = 0.12

  /// A window in which some frames are repeated including their noise, as in sources with duplicate frames and short scenes:
  /// an untrained network would mistake repeated noise of the centre frame for detail.
  static func repeating(_ window: [PlanarFrame], using random: inout SplitMix64) -> [PlanarFrame] {
    let middle = window.count / 2
    let share = random.uniform(0.2...1)
    var result = window
    for distance in 1...max(1, middle) where middle > 0 {
      if random.chance(share) { result[middle - distance] = result[middle - distance + 1] }
      if random.chance(share) { result[middle + distance] = result[middle + distance - 1] }
    }
    return result
  }

  /// The frames unchanged for the clean share, otherwise compressed.
  func compressed(_ window: [PlanarFrame], using random: inout SplitMix64) throws -> [PlanarFrame] {
    random.chance(cleanShare) ? window : try Self.recompress(window, using: &random)
  }

  static func shrink(_ frame: PlanarFrame, factor: Int) throws -> PlanarFrame {
    let small = PlanarFrame(width: frame.width / factor, height: frame.height / factor)
    try scale([(frame.luma, small.luma)], from: (frame.width, frame.height), to: (small.width, small.height))
    try scale(
      [(frame.chroma[0], small.chroma[0]), (frame.chroma[1], small.chroma[1])],
      from: (frame.width / 2, frame.height / 2), to: (small.width / 2, small.height / 2))
    return small
  }

  private static func scale(
    _ planes: [(from: UnsafeMutablePointer<UInt8>, to: UnsafeMutablePointer<UInt8>)], from: (Int, Int),
    to: (Int, Int)
  ) throws {
    var scaler = try PlaneScaler(sourceWidth: from.0, sourceHeight: from.1, width: to.0, height: to.1)
    for plane in planes {
      try scaler.scale(
        UnsafeRawBufferPointer(start: plane.from, count: from.0 * from.1), bytesPerRow: from.0,
        into: UnsafeMutableRawBufferPointer(start: plane.to, count: to.0 * to.1), bytesPerRow: to.0)
    }
  }

  /// Blends every sample with the mean of its four neighbours.
  static func soften(_ frame: PlanarFrame, amount: Float) {
    let (w, h) = (frame.width, frame.height)
    let old = Array(UnsafeBufferPointer(start: frame.luma, count: w * h))
    let share = Int(amount * 256)
    for y in 1..<(h - 1) {
      for x in 1..<(w - 1) {
        let i = y * w + x
        let sum = Int(old[i - 1]) + Int(old[i + 1]) + Int(old[i - w]) + Int(old[i + w])
        frame.luma[i] = UInt8((Int(old[i]) * (1024 - 4 * share) + sum * share + 512) >> 10)
      }
    }
  }

  /// Adds Gaussian noise of standard deviation `deviation`, times `chroma` in chroma, where cameras and codecs leave less.
  /// - Parameter dependsOnSignal: whether noise grows with the square root of brightness, like shot noise.
  static func addNoise(
    _ frame: PlanarFrame, deviation: Float, chroma: Float = 0.6, dependsOnSignal: Bool = false,
    using random: inout SplitMix64
  ) {
    let count = frame.width * frame.height
    for i in 0..<(count + count / 2) {
      // Chroma follows luma in memory.
      var strength = i < count ? deviation : deviation * chroma
      if dependsOnSignal && i < count { strength *= (Float(frame.luma[i]) / 128 + 0.2).squareRoot() }
      let value = Float(frame.luma[i]) + strength * random.normal()
      frame.luma[i] = UInt8(max(0, min(255, value.rounded())))
    }
  }

  private static func recompress(
    _ frames: [PlanarFrame], using random: inout SplitMix64
  ) throws -> [PlanarFrame] {
    let old = random.chance(0.15)
    let codec = old ? "mpeg2video" : "libx264"
    let quality = old ? 2 + random.index(8) : 18 + random.index(17)
    // Without mbtree: in libx264, the results of its AVX-512 code depend on uninitialised memory, so windows of equal seeds
    // would differ.
    let options: [String: String] =
      old
      ? ["qmin": "\(quality)", "qmax": "\(quality)"]
      : ["crf": "\(quality)", "preset": "veryfast", "bf": "1", "mbtree": "0"]
    let encoded = try frames.enumerated().map { try $1.videoFrame(time: $0) }
    return try CodecRoundTrip.recompress(encoded, codec: codec, options: options).map(PlanarFrame.init)
  }
}

extension PlanarFrame {
  /// A writable copy.
  func copy() -> PlanarFrame {
    let result = PlanarFrame(width: width, height: height)
    result.luma.update(from: luma, count: width * height * 3 / 2)
    return result
  }

  /// A copy as a `VideoFrame`.
  func videoFrame(time: Int) throws -> VideoFrame {
    var buffer = try FrameBuffer(width: width, height: height, format: .yuv420p, like: nil)
    for (index, source) in ([luma] + chroma).enumerated() {
      let width = index == 0 ? self.width : self.width / 2
      let height = index == 0 ? self.height : self.height / 2
      buffer.withMutablePlane(index) { target, bytesPerRow in
        for row in 0..<height {
          target.baseAddress!.advanced(by: row * bytesPerRow).copyMemory(
            from: source + row * width, byteCount: width)
        }
      }
    }
    return buffer.freeze(presentationTimestamp: Int64(time), duration: 1)
  }
}
