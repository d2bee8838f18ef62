// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite struct RepeatedPatternTests {
  private func gray(_ level: UInt8, width: Int = 96, height: Int = 80) -> PlanarFrame {
    let frame = PlanarFrame(width: width, height: height)
    frame.luma.update(repeating: level, count: width * height)
    for plane in frame.chroma { plane.update(repeating: 128, count: width * height / 4) }
    return frame
  }

  private func luma(_ frame: PlanarFrame) -> [UInt8] {
    Array(UnsafeBufferPointer(start: frame.luma, count: frame.width * frame.height))
  }

  /// A flat photograph has both bars and gaps afterwards; chroma stays.
  @Test func barsCoverPartOfThePicture() {
    var drawn = 0
    for seed in 1...40 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      let picture = RepeatedPattern.picture(from: [gray(100)], side: 128, using: &random)
      #expect(picture.width == 128 && picture.height == 128)
      let (samples, keepsChroma) = withExtendedLifetime(picture) {
        let chroma = UnsafeBufferPointer(start: picture.chroma[0], count: 64 * 64)
        return (luma(picture), chroma.allSatisfy { $0 == 128 })
      }
      #expect(keepsChroma)
      let distances = samples.map { abs(Int($0) - 100) }
      let most = distances.max() ?? 0
      if most > 5, distances.count(where: { $0 < most / 2 }) > 128 * 128 / 5 { drawn += 1 }
    }
    #expect(drawn >= 30, "\(drawn)")
  }

  /// Half of the distances of bars are below four pixels, which a picture of half the size cannot show.
  @Test func barsAreFine() {
    var fine = 0
    for seed in 1...40 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      let picture = RepeatedPattern.picture(from: [gray(100)], side: 128, using: &random)
      let samples = withExtendedLifetime(picture) { luma(picture) }
      // Steps from bar to gap and back, in both directions, for each row or column that crosses bars.
      func crossings(_ stride: Int, _ across: Int) -> Int {
        (0..<128).map { line in
          (1..<128).count { position in
            let here = samples[line * across + position * stride] == 100
            return here != (samples[line * across + (position - 1) * stride] == 100)
          }
        }.max() ?? 0
      }
      if max(crossings(1, 128), crossings(128, 1)) > 2 * 128 / 5 { fine += 1 }
    }
    #expect((8...32).contains(fine), "\(fine)")
  }

  @Test func equalSeedsGiveEqualPictures() {
    var (first, second) = (SplitMix64(seed: 5), SplitMix64(seed: 5))
    let one = RepeatedPattern.picture(from: [gray(60), gray(200)], side: 64, using: &first)
    let two = RepeatedPattern.picture(from: [gray(60), gray(200)], side: 64, using: &second)
    withExtendedLifetime((one, two)) { #expect(luma(one) == luma(two)) }
  }
}
