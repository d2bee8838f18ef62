// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Kernels
import Tensors
import Testing

@testable import Training

@Suite struct ContrastLossTests {
  private let contrast = ContrastLoss(lumaChannels: 4)

  private func tensor(batch: Int, _ random: inout SplitMix64) -> FloatTensor {
    let tensor = FloatTensor(batch: batch, height: 4, width: 5, channels: 6)
    for i in 0..<tensor.count { tensor.pointer[i] = random.uniform(-0.2...0.2) }
    return tensor
  }

  private func zeros(like tensor: FloatTensor) -> FloatTensor {
    let result = FloatTensor(like: tensor)
    result.fill(0)
    return result
  }

  @Test func gradientAgreesWithFiniteDifferences() {
    var random = SplitMix64(seed: 14)
    let output = tensor(batch: 2, &random)
    let target = tensor(batch: 2, &random)
    let base = (0..<4 * 5 * 4).map { _ in Int16(random.index(64 * 255)) }
    let gradient = zeros(like: output)
    func loss() -> Float {
      contrast.add(output, target: target, base: base, image: 1, factor: 3, to: zeros(like: output))
    }
    _ = contrast.add(output, target: target, base: base, image: 1, factor: 3, to: gradient)
    for i in 0..<output.count {
      let value = output.pointer[i]
      output.pointer[i] = value + 1e-2
      let above = loss()
      output.pointer[i] = value - 1e-2
      let slope = (above - loss()) / 2e-2
      output.pointer[i] = value
      #expect(abs(slope - gradient.pointer[i]) < 2e-3 + 0.02 * abs(slope), "\(i)")
      // Neither the other image of the batch nor chroma counts.
      if i < output.count / 2 || i % 6 >= 4 { #expect(gradient.pointer[i] == 0) }
    }
  }

  /// Contrast that is too low grows, contrast that is too high shrinks; brightness does not count.
  @Test(arguments: [(Float(0.5), Float(-1)), (1, 0), (2, 1)]) func pullsContrastToThatOfTheTarget(
    strength: Float, sign: Float
  ) {
    var random = SplitMix64(seed: 15)
    let target = tensor(batch: 1, &random)
    let output = FloatTensor(like: target)
    for i in 0..<output.count { output.pointer[i] = target.pointer[i] * strength + 0.1 }
    let gradient = zeros(like: output)
    let flat = [Int16](repeating: 64 * 128, count: 4 * 5 * 4)
    let loss = contrast.add(output, target: target, base: flat, image: 0, factor: 1, to: gradient)
    let growth = (0..<output.count).reduce(Float(0)) { $0 + gradient.pointer[$1] * target.pointer[$1] }
    #expect(sign == 0 ? loss < 1e-6 : loss > 0.01)
    #expect(sign == 0 ? abs(growth) < 1e-3 : growth * sign > 0.01)
  }

  /// The contrast is that of the whole pictures: a base that has all of it leaves nothing to do.
  @Test func countsTheBase() {
    var random = SplitMix64(seed: 16)
    let none = FloatTensor(height: 4, width: 5, channels: 6)
    none.fill(0)
    let base = (0..<4 * 5 * 4).map { _ in Int16(random.index(64 * 255)) }
    let gradient = zeros(like: none)
    #expect(contrast.add(none, target: none, base: base, image: 0, factor: 1, to: gradient) == 0)
    #expect((0..<gradient.count).allSatisfy { gradient.pointer[$0] == 0 })
  }
}
