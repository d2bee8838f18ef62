// SPDX-License-Identifier: Apache-2.0
import Tensors
import TestSupport
import Testing

@testable import EnhancementModel

@Suite struct BlendMaskTests {
  private let frames = [
    texturedFrame(width: 34, height: 22, seed: 1), texturedFrame(width: 34, height: 22, seed: 2),
  ]

  private func output(mask: Int16, residual: Int16 = 0) -> Residual {
    let result = Residual(gridWidth: 17, gridHeight: 11, channels: 16)
    for i in 0..<17 * 11 * 16 { result.values[i] = i % 16 < 6 ? residual : i % 16 < 12 ? mask : 999 }
    return result
  }

  private func packed(_ frame: PlanarFrame) -> [Int] {
    var result = [Int](repeating: 0, count: 17 * 11 * 6)
    result.withUnsafeMutableBufferPointer {
      frame.pack(into: $0.baseAddress!, pixelStride: 6, rowStride: 6 * 17) { Int($0) }
    }
    return result
  }

  @Test(arguments: [1, 2, 3]) func fullMaskSelectsOneFrame(threads: Int) {
    let (a, b) = (packed(frames[0]), packed(frames[1]))
    for (mask, wanted) in [(Int16(8192), b), (-8192, a)] {
      let added = BlendMask.apply(output(mask: mask, residual: 5), warped: frames, threads: threads)
      #expect(added.channels == 6)
      for i in a.indices {
        let sum = InterpolationPacker.blend(a[i], b[i], instant: 128) + Int(added.values[i])
        #expect(sum == wanted[i] * 64 + 5)
      }
    }
  }

  @Test func zeroMaskKeepsTheResidual() {
    let added = BlendMask.apply(output(mask: 0, residual: -77), warped: frames, threads: 2)
    #expect(values(added).allSatisfy { $0 == -77 })
  }

  @Test func extremesAreClipped() {
    #expect(BlendMask.added(residual: 32767, mask: 32767, difference: 255) == 32767)
    #expect(BlendMask.added(residual: -32768, mask: 32767, difference: -255) == -32768)
    #expect(BlendMask.added(residual: 0, mask: -1, difference: 127) == 0)
    #expect(BlendMask.added(residual: 0, mask: -1, difference: 129) == -1)
  }

  @Test func onlyInterpolationHasAMask() {
    var architecture = Architecture.balancedDenoising
    architecture.hasMask = true
    #expect(throws: ModelError.self) { try architecture.validate() }
    #expect(Architecture.balancedInterpolation.outputChannels == 12)
    #expect(Architecture.balancedInterpolation.residualChannels == 6)
  }

  /// The float network's mask has the same meaning as the integer network's: its last layer is scaled to
  /// integers and applied.
  @Test func floatNetworkAppliesTheMask() throws {
    let architecture = Architecture(
      task: .interpolation, scale: 1, window: 2, alignment: .block, encoderChannels: 8, channels: 16,
      blocks: 1,
      hasMask: true)
    let weights = NetworkWeights.random(architecture, seed: 4)
    let network = try FloatNetwork(weights, width: 34, height: 22, threads: 1)
    let prediction = try network.predict(frames)
    let given = prediction.residual
    let alignment = try #require(prediction.alignment)
    #expect(given.channels == 6)
    var bare = architecture
    bare.hasMask = nil
    // The same network with only the residual's half of the last layer.
    let tail = try #require(architecture.graph.layers.firstIndex { $0.name == "tail" })
    var (numbers, biases) = (weights.weights, weights.biases)
    numbers[tail] = Array(numbers[tail].prefix(numbers[tail].count / 2))
    biases[tail] = Array(biases[tail].prefix(6))
    let alone = try FloatNetwork(
      NetworkWeights(architecture: bare, weights: numbers, biases: biases, recipe: ""), width: 34, height: 22,
      threads: 1
    ).predict(frames).residual
    let (a, b) = (packed(alignment.warped[0]), packed(alignment.warped[1]))
    var (equal, moved) = (0, 0)
    for i in a.indices {
      let difference = abs(Int(given.values[i]) - Int(alone.values[i]))
      if a[i] == b[i] {
        #expect(difference == 0)
        equal += 1
      } else if difference > 0 {
        moved += 1
      }
    }
    #expect(moved > a.count / 2, "\(moved) of \(a.count) moved, \(equal) with equal frames")
  }
}
