// SPDX-License-Identifier: Apache-2.0
import Tensors
import TestSupport
import Testing

@testable import EnhancementModel

@Suite struct NoiseLevelTests {
  static func flat(_ level: Float, width: Int = 256, height: Int = 192, seed: UInt64 = 7) -> PlanarFrame {
    var random = SplitMix64(seed: seed)
    let frame = PlanarFrame(width: width, height: height)
    for i in 0..<width * height * 3 / 2 {
      frame.luma[i] = UInt8(max(0, min(255, (128 + level * random.normal()).rounded())))
    }
    return frame
  }

  @Test(arguments: [Float(2), 5, 10, 20, 30]) func gaussianNoiseIsMeasured(level: Float) {
    let found = NoiseLevel.estimate(Self.flat(level))
    #expect(abs(found - level) < 0.04 * level + 0.1, "\(found)")
  }

  @Test func flatAndTinyPicturesHaveNone() {
    #expect(NoiseLevel.estimate(Self.flat(0)) == 0)
    #expect(NoiseLevel.estimate(Self.flat(9, width: 8, height: 8)) == 0)
  }

  @Test func codesAreHalfLevelsFrom128() {
    #expect([-1, 0, 0.5, 25, 63, 1000].map(NoiseLevel.code) == [128, 128, 129, 178, 254, 254])
  }

  /// Returns frames of one picture, each with different noise.
  /// - Parameter isCorrelated: whether noise is blurred twice by [1 2 1] / 4 in both directions.
  static func film(
    _ level: Float, isCorrelated: Bool = false, picture: (Int, Int) -> Float = { _, _ in 128 }
  ) -> [PlanarFrame] {
    let (width, height) = (256, 192)
    var random = SplitMix64(seed: 3)
    return (0..<5).map { _ in
      var noise = (0..<width * height).map { _ in level * random.normal() }
      for stride in isCorrelated ? [1, 1, width, width] : [] {
        let old = noise
        for i in stride..<noise.count - stride {
          noise[i] = (old[i - stride] + 2 * old[i] + old[i + stride]) / 4
        }
      }
      let frame = PlanarFrame(width: width, height: height)
      frame.luma.update(repeating: 128, count: width * height * 3 / 2)
      for i in 0..<width * height {
        frame.luma[i] = UInt8(max(0, min(255, (picture(i % width, i / width) + noise[i]).rounded())))
      }
      return frame
    }
  }

  private func level(_ film: [PlanarFrame]) -> Float {
    let surveys = film.map(NoiseSurvey.init)
    let pairs = zip(film.indices, film.indices.dropFirst()).filter { film[$0.0] !== film[$0.1] }
    return NoiseSurvey.level(
      of: surveys, changes: pairs.map { surveys[$0.0].difference(from: surveys[$0.1]) })
  }

  @Test(arguments: [Float(2), 5, 10, 20, 30]) func whiteNoiseIsMeasuredOverTime(level: Float) {
    let found = self.level(Self.film(level))
    #expect(abs(found - level) < 0.05 * level + 0.2, "\(found)")
  }

  /// The level is determined by the density at low frequencies, of which the finest scale contains almost
  /// nothing.
  @Test(arguments: [Float(10), 20, 30]) func correlatedNoiseIsMeasured(level: Float) {
    let film = Self.film(level, isCorrelated: true)
    let found = self.level(film)
    #expect(NoiseLevel.estimate(film[2]) < 0.3 * level)
    #expect(found > 0.6 * level && found < 1.1 * level, "\(found)")
  }

  /// Static texture is not noise, although a single frame cannot distinguish the two.
  @Test func staticTextureIsNotNoise() {
    var random = SplitMix64(seed: 9)
    let texture = (0..<256 * 192).map { _ in 128 + 12 * random.normal() }
    let film = Self.film(2) { texture[$1 * 256 + $0] }
    #expect(NoiseLevel.estimate(film[2]) > 11)
    #expect(level(film) < 6)
  }

  @Test func repeatedFramesAreIgnored() {
    let film = Self.film(12)
    let repeated = [film[0], film[0], film[1], film[1], film[2]]
    #expect(abs(level(repeated) - 12) < 0.8)
    // Without any change, the level is estimated from single frames.
    #expect(abs(level([film[0], film[0], film[0]]) - 12) < 0.8)
  }

  /// Frames of a film with a quantizer, of which every `period`-th has noise of 9 levels and the others of 5.
  private func pulsing(_ period: Int, offset: Int, quantizer: UInt8?) -> [PlanarFrame] {
    (0..<7).map { index in
      let frame = Self.flat((index + offset) % period == 0 ? 9 : 5, seed: UInt64(index + 1))
      frame.quantizers = quantizer.map { QuantizerMap(width: 256, height: 192, value: 2 * $0) }
      return frame
    }
  }

  /// Frames whose codec keeps less noise than that of the others do not lower the level of the windows around them.
  @Test(arguments: [3, 4]) func theLevelDoesNotFollowFrameTypes(period: Int) {
    let steady = (0..<period).map { level(pulsing(period, offset: $0, quantizer: 24)) }
    #expect(steady.max()! - steady.min()! < 0.5, "\(steady)")
  }

  /// The quantizer counts where frames and changes agree on noise that is weak at fine scales, and only from 27 on.
  @Test func coarseQuantizersHideNoise() {
    func found(_ quantizer: UInt8?, texture: Float = 0) -> Float {
      var random = SplitMix64(seed: 9)
      let picture = (0..<256 * 192 / 16).map { _ in 128 + texture * random.normal() }
      let film = Self.film(12, isCorrelated: true) { picture[$1 / 4 * 64 + $0 / 4] }
      for frame in film {
        frame.quantizers = quantizer.map { QuantizerMap(width: 256, height: 192, value: 2 * $0) }
      }
      return level(film)
    }
    let plain = found(nil)
    #expect(abs(found(20) - plain) < 0.25 * plain)
    #expect(found(30) > found(20) + 1)
    #expect(found(34) > found(30) + 1)
    // Texture: frames have much more of it than changes.
    #expect(abs(found(34, texture: 40) - found(20, texture: 40)) < 0.5)
  }

  @Test func strengthScalesTheLevelOfDenoisingOnly() throws {
    var architecture = Architecture.balancedDenoising
    architecture.window = 3
    let window = (0..<3).map { Self.flat(12, width: 64, height: 48, seed: UInt64($0)) }
    func code(_ noiseLevel: Float?, _ strength: Float) -> UInt8? {
      WindowPacker(architecture).prepare(
        window, given: WindowConditions(noiseLevel: noiseLevel, strength: strength)
      ).noiseCode
    }
    #expect(code(20, 0.5) == NoiseLevel.code(10))
    #expect(code(20, 0) == NoiseLevel.code(0))
    #expect(code(50, 2) == NoiseLevel.code(NoiseLevel.most))
    #expect(code(nil, 1) == NoiseLevel.code(level(window)))
    #expect(code(nil, 1.5) == NoiseLevel.code(1.5 * level(window)))
    architecture = .realSuperResolution
    architecture.window = 3
    #expect(code(20, 0.5) == NoiseLevel.code(20))
  }

  @Test func theNoiseLevelIsAnInputOfTheCentre() throws {
    var architecture = Architecture.balancedDenoising
    architecture.window = 3
    try architecture.validate()
    let window = (0..<3).map { Self.flat(12, width: 64, height: 48, seed: UInt64($0)) }
    #expect((0..<3).map(architecture.channels(ofSlot:)) == [38, 7, 38])
    let packer = WindowPacker(architecture)
    let level = level(window)
    #expect(
      packer.codes(window)[1].enumerated().allSatisfy {
        $0.offset % 7 != 6 || $0.element == NoiseLevel.code(level)
      })
    let known = packer.prepare(window, given: WindowConditions(noiseLevel: 30))
    #expect(known.noiseCode == NoiseLevel.code(30))
    #expect(known.codes()[1][6] == NoiseLevel.code(30))
    #expect(known.codes()[1][0] == window[1].luma[0])
    // Cached search data depends on the level: here frames are searched without smoothing.
    let calm = WindowConditions(noiseLevel: 0)
    let fresh = WindowPacker(architecture).prepare(window, given: calm).codes()
    #expect(packer.prepare(window, given: calm).codes() == fresh)
    #expect(known.codes()[0] != fresh[0])
    var wrong = architecture
    wrong.scale = 2
    #expect(throws: ModelError.self) { try wrong.validate() }
  }
}
