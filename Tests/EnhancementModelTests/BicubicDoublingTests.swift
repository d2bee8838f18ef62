// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import Testing

@Suite struct BicubicDoublingTests {
  /// Keys' cubic kernel with a = -1/2.
  private func keys(_ t: Double) -> Double {
    let x = abs(t)
    if x < 1 { return 1.5 * x * x * x - 2.5 * x * x + 1 }
    if x < 2 { return -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 }
    return 0
  }

  /// Returns the interpolated sample at column `x` and row `y` of the doubled plane.
  private func oracle<Sample: BinaryInteger>(
    _ plane: [Sample], width: Int, height: Int, stride: Int, _ x: Int, _ y: Int
  ) -> Double {
    // Sample centres: (x + 1/2) / 2 - 1/2 in the source.
    let (sx, sy) = ((Double(x) + 0.5) / 2 - 0.5, (Double(y) + 0.5) / 2 - 0.5)
    var sum = 0.0
    for j in Int(sy.rounded(.down)) - 2...Int(sy.rounded(.down)) + 3 {
      for i in Int(sx.rounded(.down)) - 2...Int(sx.rounded(.down)) + 3 {
        let sample = plane[max(0, min(height - 1, j)) * stride + max(0, min(width - 1, i))]
        sum += keys(sx - Double(i)) * keys(sy - Double(j)) * Double(Int(sample))
      }
    }
    return sum
  }

  private func check<Sample: FixedWidthInteger & UnsignedInteger>(
    _: Sample.Type, width: Int, height: Int, stride: Int, isNoise: Bool, seed: UInt64
  ) {
    var random = SplitMix64(seed: seed)
    // Noise of extreme values gives the largest overshoot.
    let plane = (0..<stride * height).map { _ in
      isNoise ? (random.chance(0.5) ? Sample.max : 0) : Sample(truncatingIfNeeded: random.next())
    }
    let canary = Int32.min
    var result = [Int32](repeating: canary, count: 4 * width * height + 1)
    BicubicDoubling.double(plane, width: width, height: height, stride: stride, into: &result)
    var worst = 0.0
    for y in 0..<2 * height {
      for x in 0..<2 * width {
        let wanted = 64 * oracle(plane, width: width, height: height, stride: stride, x, y)
        worst = max(worst, abs(Double(result[y * 2 * width + x]) - wanted))
      }
    }
    #expect(worst <= 0.5 + 1e-6, "\(width)x\(height)")
    #expect(result[4 * width * height] == canary)
  }

  @Test(arguments: [(1, 1), (2, 1), (1, 2), (2, 2), (3, 3), (4, 4), (5, 2), (17, 9), (8, 31)])
  func agreesWithDoublePrecision(_ width: Int, _ height: Int) {
    for isNoise in [false, true] {
      check(UInt8.self, width: width, height: height, stride: width + 3, isNoise: isNoise, seed: 1)
      check(UInt16.self, width: width, height: height, stride: width, isNoise: isNoise, seed: 2)
    }
  }

  @Test func flatPlanesStayFlat() {
    for value in [UInt16(0), 1, 255, 1023, .max] {
      var result = [Int32](repeating: 0, count: 4 * 15)
      BicubicDoubling.double(
        [UInt16](repeating: value, count: 15), width: 5, height: 3, stride: 5, into: &result)
      #expect(result.allSatisfy { $0 == 64 * Int32(value) })
    }
  }

  @Test func rampsStayRamps() {
    let plane = (0..<60).map { UInt8(10 + 4 * ($0 % 12)) }
    var result = [Int32](repeating: 0, count: 240)
    BicubicDoubling.double(plane, width: 12, height: 5, stride: 12, into: &result)
    // Away from the repeated edges: 10 + 4 (x / 2 - 1/4) levels.
    for x in 4..<20 { #expect(result[3 * 24 + x] == 64 * 10 + Int32(128 * x) - 64) }
  }
}
