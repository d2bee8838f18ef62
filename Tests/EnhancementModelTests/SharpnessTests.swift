// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Tensors
import Testing

@Suite struct SharpnessTests {
  /// Random rectangles, sampled like a picture that was reduced in size: edges are about a sample wide.
  private func rectangles(width: Int, height: Int, seed: UInt64) -> PlanarFrame {
    var random = SplitMix64(seed: seed)
    let (fineWidth, fineHeight) = (3 * width, 3 * height)
    var fine = [Int](repeating: 90, count: fineWidth * fineHeight)
    for _ in 0..<width * height / 400 {
      let (w, h) = (6 + random.index(90), 6 + random.index(90))
      let (left, top) = (random.index(fineWidth - 6), random.index(fineHeight - 6))
      let level = 20 + random.index(210)
      for y in top..<min(fineHeight, top + h) {
        for x in left..<min(fineWidth, left + w) { fine[y * fineWidth + x] = level }
      }
    }
    let frame = PlanarFrame(width: width, height: height)
    frame.luma.update(repeating: 128, count: width * height * 3 / 2)
    for y in 0..<height {
      for x in 0..<width {
        var sum = 0
        for dy in 0..<3 { for dx in 0..<3 { sum += fine[(3 * y + dy) * fineWidth + 3 * x + dx] } }
        frame.luma[y * width + x] = UInt8((sum + 4) / 9)
      }
    }
    return frame
  }

  /// A frame after a Gaussian of `deviation` samples.
  private func blurred(_ frame: PlanarFrame, _ deviation: Double) -> PlanarFrame {
    let radius = Int((4 * deviation).rounded(.up))
    let taps = (-radius...radius).map { exp(-Double($0 * $0) / (2 * deviation * deviation)) }
    let sum = taps.reduce(0, +)
    func filtered(_ source: [Double], _ step: Int, _ place: (Int) -> (Int, Int)) -> [Double] {
      source.indices.map { index in
        let (at, length) = place(index)
        return taps.enumerated().reduce(0.0) { total, tap in
          let other = max(0, min(length - 1, at + tap.offset - radius))
          return total + tap.element / sum * source[index + (other - at) * step]
        }
      }
    }
    let (width, height) = (frame.width, frame.height)
    let luma = (0..<width * height).map { Double(frame.luma[$0]) }
    let across = filtered(luma, 1) { ($0 % width, width) }
    let down = filtered(across, width) { ($0 / width, height) }
    let result = PlanarFrame(width: width, height: height)
    result.luma.update(repeating: 128, count: width * height * 3 / 2)
    for (index, value) in down.enumerated() { result.luma[index] = UInt8(max(0, min(255, value.rounded()))) }
    return result
  }

  @Test func blurLowersSharpness() throws {
    for seed in 1...3 {
      let frames = (0..<2).map { rectangles(width: 240, height: 160, seed: UInt64(10 * seed + $0)) }
      let sharp = try #require(Sharpness.estimate(frames))
      #expect(sharp > 0.8, "\(sharp)")
      var last = sharp
      for deviation in [0.6, 0.9, 1.3] {
        let soft = try #require(Sharpness.estimate(frames.map { blurred($0, deviation) }))
        #expect(soft < last - 0.08, "\(deviation): \(soft) after \(last)")
        last = soft
      }
      #expect(last < 0.5)
    }
  }

  /// Without edges there is nothing to tell from.
  @Test func picturesWithoutEdgesAreUnknown() {
    let frame = PlanarFrame(width: 160, height: 120)
    for y in 0..<120 { for x in 0..<160 { frame.luma[y * 160 + x] = UInt8(40 + x) } }
    #expect(Sharpness.estimate([frame]) == nil)
    #expect(Sharpness.estimate([]) == nil)
    #expect(Sharpness.estimate([rectangles(width: 8, height: 8, seed: 1)]) == nil)
  }

  /// Of large frames, the centre decides.
  @Test func onlyTheCentreOfLargeFramesCounts() {
    let whole = rectangles(width: 800, height: 700, seed: 5)
    let centre = PlanarFrame(width: 640, height: 640)
    for y in 0..<640 {
      for x in 0..<640 { centre.luma[y * 640 + x] = whole.luma[(y + 30) * 800 + x + 80] }
    }
    for x in 0..<800 * 30 { whole.luma[x] = UInt8(x % 251) }
    #expect(Sharpness.features(of: [whole]) == Sharpness.features(of: [centre]))
  }
}
