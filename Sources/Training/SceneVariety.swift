// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors

/// Adds scenes that training material lacks: defocused and dark ones. Photographs are sharp and rendered film is bright, so
/// a denoiser trained only on those leaves low-frequency noise in smooth areas.
enum SceneVariety {
  /// The window unchanged, or defocused (everywhere, or increasingly towards one side), darkened, or both.
  static func varied(
    _ window: [PlanarFrame], share: Float, using random: inout SplitMix64
  ) -> [PlanarFrame] {
    let isBlurred = random.chance(share)
    let isDark = random.chance(share / 2)
    guard isBlurred || isDark else { return window }
    let frames = window.map { $0.copy() }
    if isBlurred {
      let radius = 1 + random.index(8)
      // Defocus everywhere, or beyond a line across the picture.
      let ramp = random.chance(0.5) ? nil : FocusRamp(using: &random)
      for frame in frames { defocus(frame, radius: radius, ramp: ramp) }
    }
    if isDark {
      let gain = random.uniform(0.15...0.8)
      for frame in frames { darken(frame, gain: gain) }
    }
    return frames
  }

  /// The amount of blur by position.
  struct FocusRamp {
    var x, y, offset: Float

    init(using random: inout SplitMix64) {
      // Slope per picture width, so that the transition is neither hard nor invisible.
      x = random.uniform(-6...6)
      y = random.uniform(-6...6)
      offset = random.uniform(-0.3...0.3)
    }

    /// 0 (sharp) ... 256, for a position in -0.5 ... 0.5 of the extents.
    func share(_ atX: Float, _ atY: Float) -> Int {
      Int(256 * max(0, min(1, 0.5 + offset + x * atX + y * atY)))
    }
  }

  /// Applies a box blur of side 2 radius + 1 twice in luma, with half the radius in chroma.
  static func defocus(_ frame: PlanarFrame, radius: Int, ramp: FocusRamp?) {
    let (w, h) = (frame.width, frame.height)
    defocus(frame.luma, width: w, height: h, radius: radius, ramp: ramp)
    for plane in frame.chroma {
      defocus(plane, width: w / 2, height: h / 2, radius: (radius + 1) / 2, ramp: ramp)
    }
  }

  private static func defocus(
    _ plane: UnsafeMutablePointer<UInt8>, width: Int, height: Int, radius: Int, ramp: FocusRamp?
  ) {
    var blurred = Array(UnsafeBufferPointer(start: plane, count: width * height))
    for _ in 0..<2 {
      blurred = boxMeans(blurred, lines: height, length: width, radius: radius)
      blurred = boxMeans(blurred, lines: width, length: height, radius: radius)
    }
    guard let ramp else {
      plane.update(from: blurred, count: blurred.count)
      return
    }
    for row in 0..<height {
      for column in 0..<width {
        let i = row * width + column
        let share = ramp.share(
          Float(column) / Float(width) - 0.5, Float(row) / Float(height) - 0.5)
        plane[i] = UInt8((Int(plane[i]) * (256 - share) + Int(blurred[i]) * share + 128) >> 8)
      }
    }
  }

  /// Running means along the lines of a plane, with replicated edges; the result is transposed.
  private static func boxMeans(_ plane: [UInt8], lines: Int, length: Int, radius: Int) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: plane.count)
    let size = 2 * radius + 1
    for line in 0..<lines {
      let start = line * length
      func sample(_ i: Int) -> Int { Int(plane[start + max(0, min(length - 1, i))]) }
      var sum = (-radius...radius).reduce(0) { $0 + sample($1) }
      for i in 0..<length {
        result[i * lines + line] = UInt8((sum + radius) / size)
        sum += sample(i + radius + 1) - sample(i - radius)
      }
    }
    return result
  }

  /// Moves luma towards black and chroma towards neutral.
  static func darken(_ frame: PlanarFrame, gain: Float) {
    let factor = Int(gain * 256)
    let luma = frame.width * frame.height
    // Chroma follows luma in memory.
    for i in 0..<(luma + luma / 2) {
      let base = i < luma ? 16 : 128
      let value = base + ((Int(frame.luma[i]) - base) * factor + 128) >> 8
      frame.luma[i] = UInt8(max(0, min(255, value)))
    }
  }
}
