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

  @Test func theNoiseLevelIsAnInputOfTheCentre() throws {
    var architecture = Architecture.balancedDenoising
    architecture.window = 3
    try architecture.validate()
    let window = (0..<3).map { Self.flat(12, width: 64, height: 48, seed: UInt64($0)) }
    #expect((0..<3).map(architecture.channels(ofSlot:)) == [38, 7, 38])
    let packer = WindowPacker(architecture)
    let level = window.map { NoiseLevel.estimate($0) }.sorted()[1]
    #expect(
      packer.codes(window)[1].enumerated().allSatisfy {
        $0.offset % 7 != 6 || $0.element == NoiseLevel.code(level)
      })
    let known = packer.prepare(window, given: WindowConditions(noiseLevel: 30))
    #expect(known.noiseCode == NoiseLevel.code(30))
    #expect(known.codes()[1][6] == NoiseLevel.code(30))
    #expect(known.codes()[1][0] == window[1].luma[0])
    // What was kept of the frames depends on the level: this one is searched as it is, not smoothed.
    let calm = WindowConditions(noiseLevel: 0)
    let fresh = WindowPacker(architecture).prepare(window, given: calm).codes()
    #expect(packer.prepare(window, given: calm).codes() == fresh)
    #expect(known.codes()[0] != fresh[0])
    var wrong = architecture
    wrong.scale = 2
    #expect(throws: ModelError.self) { try wrong.validate() }
  }
}
