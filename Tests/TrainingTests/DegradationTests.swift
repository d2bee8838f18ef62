// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite struct DegradationTests {
  private func samples(_ frame: PlanarFrame) -> [UInt8] {
    Array(UnsafeBufferPointer(start: frame.luma, count: frame.width * frame.height * 3 / 2))
  }

  private func copy(_ frame: PlanarFrame) -> PlanarFrame {
    let result = PlanarFrame(width: frame.width, height: frame.height)
    result.luma.update(from: frame.luma, count: frame.width * frame.height * 3 / 2)
    return result
  }

  /// Returns the mean squared difference.
  private func error(_ a: PlanarFrame, _ b: PlanarFrame) -> Double {
    let (x, y) = (samples(a), samples(b))
    return zip(x, y).reduce(0) { $0 + pow(Double($1.0) - Double($1.1), 2) } / Double(x.count)
  }

  @Test(arguments: [2, 4]) func shrinkingMatchesTheProgram(_ factor: Int) throws {
    let bench = try Workbench()
    var random = SplitMix64(seed: 1)
    for frame in [texturedFrame(width: 96, height: 64, seed: 2), noiseFrame(width: 96, height: 64, &random)] {
      let small = try Degradation.shrink(frame, factor: factor)
      #expect(small.width == 96 / factor && small.height == 64 / factor)
      let planes = [
        (frame.luma, small.luma, 96, 64), (frame.chroma[0], small.chroma[0], 48, 32),
        (frame.chroma[1], small.chroma[1], 48, 32),
      ]
      for (from, to, width, height) in planes {
        let input = Data(bytes: from, count: width * height)
        try input.write(to: URL(fileURLWithPath: bench.path("in.raw")))
        let filter = "scale=\(width / factor):\(height / factor):flags=bicubic+accurate_rnd+bitexact"
        try bench.ffmpeg(
          "-f rawvideo -pix_fmt gray -s \(width)x\(height) -i DIR/in.raw -vf \(filter) -f rawvideo -pix_fmt gray",
          "out.raw")
        let wanted = try Data(contentsOf: URL(fileURLWithPath: bench.path("out.raw")))
        #expect(Data(bytes: to, count: width * height / factor / factor) == wanted)
      }
    }
  }

  @Test func softeningAveragesNeighbours() {
    var random = SplitMix64(seed: 1)
    let frame = noiseFrame(width: 12, height: 10, &random)
    let before = samples(frame)
    Degradation.soften(frame, amount: 0.25)
    let after = samples(frame)
    #expect(after[120...] == before[120...], "chroma stays")
    for y in 0..<10 {
      for x in 0..<12 {
        let i = y * 12 + x
        guard x > 0, y > 0, x < 11, y < 9 else {
          #expect(after[i] == before[i], "the rim stays")
          continue
        }
        let around = [i - 1, i + 1, i - 12, i + 12].map { Double(before[$0]) }
        let wanted = 0.75 * Double(before[i]) + 0.25 * around.reduce(0, +) / 4
        #expect(abs(Double(after[i]) - wanted) <= 0.5 + 1e-9)
        #expect(after[i] >= UInt8(min(around.min()!, Double(before[i]))))
        #expect(after[i] <= UInt8(max(around.max()!, Double(before[i]))))
      }
    }
    Degradation.soften(frame, amount: 0)
    #expect(samples(frame) == after)
  }

  @Test(arguments: [Float(1), 3, 6]) func noiseHasTheRequestedLevel(_ deviation: Float) {
    let frame = PlanarFrame(width: 128, height: 96)
    frame.luma.update(repeating: 120, count: 128 * 96 * 3 / 2)
    var random = SplitMix64(seed: 4)
    Degradation.addNoise(frame, deviation: deviation, using: &random)
    let all = samples(frame).map { Double($0) - 120 }
    for (part, strength) in [(all[..<12288], 1.0), (all[12288...], 0.6)] {
      let mean = part.reduce(0, +) / Double(part.count)
      let variance = part.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(part.count)
      let wanted = pow(Double(deviation) * strength, 2) + 1.0 / 12
      #expect(abs(mean) < 0.15)
      #expect(variance > 0.88 * wanted - 0.05 && variance < 1.12 * wanted + 0.05, "\(variance) for \(wanted)")
      #expect(part.allSatisfy { abs($0) <= 6 * Double(deviation) + 1 })
    }
    var again = SplitMix64(seed: 4)
    let second = PlanarFrame(width: 128, height: 96)
    second.luma.update(repeating: 120, count: 128 * 96 * 3 / 2)
    Degradation.addNoise(second, deviation: deviation, using: &again)
    #expect(samples(second) == samples(frame))
  }

  @Test func noiseStaysInRange() {
    for level in [UInt8(0), 255] {
      let frame = PlanarFrame(width: 16, height: 16)
      frame.luma.update(repeating: level, count: 384)
      var random = SplitMix64(seed: 4)
      Degradation.addNoise(frame, deviation: 6, using: &random)
      #expect(samples(frame).allSatisfy { abs(Int($0) - Int(level)) <= 37 })
      #expect(samples(frame).contains { $0 != level })
    }
  }

  @Test func cleanWindowsAreOnlyShrunk() throws {
    var degradation = Degradation()
    degradation.cleanShare = 1
    let window = (0..<3).map { texturedFrame(width: 64, height: 48, seed: 1, x: Double($0)) }
    var random = SplitMix64(seed: 1)
    for (frame, small) in zip(window, try degradation(window, factor: 2, using: &random)) {
      #expect(samples(small) == samples(try Degradation.shrink(frame, factor: 2)))
    }
  }

  @Test func degradedWindowsResembleTheirSource() throws {
    var degradation = Degradation()
    degradation.cleanShare = 0
    let window = (0..<3).map { texturedFrame(width: 128, height: 96, seed: 1, x: Double($0)) }
    let originals = window.map(copy)
    let clean = try window.map { try Degradation.shrink($0, factor: 2) }
    var spoiled = 0
    for seed in 0..<16 {
      var random = SplitMix64(seed: UInt64(seed))
      let low = try degradation(window, factor: 2, using: &random)
      #expect(low.count == 3 && low.allSatisfy { $0.width == 64 && $0.height == 48 })
      let errors = zip(low, clean).map(error)
      // At least 17 dB for any degradation.
      #expect(errors.allSatisfy { $0 < 1300 }, "seed \(seed): \(errors)")
      if errors.contains(where: { $0 > 0.1 }) { spoiled += 1 }
      var again = SplitMix64(seed: UInt64(seed))
      for (a, b) in zip(low, try degradation(window, factor: 2, using: &again)) {
        #expect(samples(a) == samples(b))
      }
    }
    #expect(spoiled >= 8, "\(spoiled) of 16")
    // The truth is unchanged.
    for (a, b) in zip(window, originals) { #expect(samples(a) == samples(b)) }
  }

  // MARK: - Scenes for denoising

  @Test func zeroVarietyKeepsTheWindow() {
    let window = (0..<3).map { texturedFrame(width: 32, height: 32, seed: 1, x: Double($0)) }
    var random = SplitMix64(seed: 1)
    for _ in 0..<20 {
      let same = SceneVariety.varied(window, share: 0, using: &random)
      #expect(zip(window, same).allSatisfy { $0 === $1 })
    }
  }

  @Test func defocusKeepsTheMeanAndFlattens() {
    let frame = texturedFrame(width: 64, height: 48, seed: 3)
    let before = copy(frame)
    SceneVariety.defocus(frame, radius: 4, ramp: nil)
    func statistics(_ frame: PlanarFrame) -> (mean: Double, variance: Double) {
      let luma = samples(frame).prefix(64 * 48).map(Double.init)
      let mean = luma.reduce(0, +) / Double(luma.count)
      return (mean, luma.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(luma.count))
    }
    let (old, new) = (statistics(before), statistics(frame))
    // Repeated edges have more weight.
    #expect(abs(old.mean - new.mean) < 3, "\(old) \(new)")
    #expect(new.variance < old.variance / 2, "\(old) \(new)")
    let flat = PlanarFrame(width: 32, height: 32)
    flat.luma.update(repeating: 77, count: 1536)
    SceneVariety.defocus(flat, radius: 8, ramp: nil)
    #expect(samples(flat).allSatisfy { $0 == 77 })
  }

  @Test func focusIsLostBeyondALine() {
    var random = SplitMix64(seed: 5)
    var ramp = SceneVariety.FocusRamp(using: &random)
    (ramp.x, ramp.y, ramp.offset) = (6, 0, 0)
    let frame = texturedFrame(width: 64, height: 32, seed: 4)
    let before = copy(frame)
    SceneVariety.defocus(frame, radius: 3, ramp: ramp)
    for y in 0..<32 {
      for x in 0..<20 { #expect(frame.luma[y * 64 + x] == before.luma[y * 64 + x]) }
    }
    #expect((0..<32).contains { frame.luma[$0 * 64 + 60] != before.luma[$0 * 64 + 60] })
  }

  @Test func darkeningGoesTowardsBlack() {
    let frame = texturedFrame(width: 16, height: 16, seed: 4)
    let before = copy(frame)
    SceneVariety.darken(frame, gain: 0.5)
    for i in 0..<384 {
      let base = i < 256 ? 16.0 : 128
      #expect(abs(Double(frame.luma[i]) - (base + (Double(before.luma[i]) - base) / 2)) <= 1)
    }
  }

  @Test func repeatedFramesReplaceNeighboursOnly() {
    let window = (0..<7).map { texturedFrame(width: 16, height: 16, seed: UInt64($0)) }
    var random = SplitMix64(seed: 2)
    var repeats = 0
    for _ in 0..<50 {
      let result = Degradation.repeating(window, using: &random)
      #expect(result.count == 7 && result[3] === window[3])
      for distance in 1...3 {
        for (slot, inner) in [(3 - distance, 4 - distance), (3 + distance, 2 + distance)] {
          #expect(result[slot] === window[slot] || result[slot] === result[inner])
          if result[slot] === result[inner] { repeats += 1 }
        }
      }
    }
    #expect(repeats > 50 && repeats < 300)
    let single = [window[0]]
    #expect(Degradation.repeating(single, using: &random)[0] === single[0])
  }

  @Test func varietyIsSeeded() {
    let window = (0..<3).map { texturedFrame(width: 48, height: 32, seed: 1, x: Double($0)) }
    var changed = 0
    for seed in 0..<24 {
      var (a, b) = (SplitMix64(seed: UInt64(seed)), SplitMix64(seed: UInt64(seed)))
      let one = SceneVariety.varied(window, share: 0.5, using: &a)
      for (x, y) in zip(one, SceneVariety.varied(window, share: 0.5, using: &b)) {
        #expect(samples(x) == samples(y))
      }
      if samples(one[0]) != samples(window[0]) { changed += 1 }
    }
    #expect((8...22).contains(changed), "\(changed) of 24")
  }
}
