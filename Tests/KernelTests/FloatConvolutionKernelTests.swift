// SPDX-License-Identifier: Apache-2.0
import CQuantKernels
import Testing

/// Kernels of all instruction sets add in the same order, so networks trained on different processors do not differ.
@Suite struct FloatConvolutionKernelTests {
  private struct Results: Equatable {
    var result, gradientByWeights, gradientByBias: [Float]
  }

  private static func results(_ shape: ve_float_convolution, _ isa: ve_isa, rotated: Bool) throws -> Results {
    let kernels = try #require(ve_float_kernels_for(shape, isa))
    var generator = SplitMix64(state: 7)
    func random(_ count: Int32) -> [Float] {
      (0..<count).map { _ in Float.random(in: -1...1, using: &generator) }
    }
    let pixels = shape.batch * shape.height * shape.width
    let source = random(pixels * shape.inputs)
    let gradient = random(pixels * shape.outputs)
    let (weights, bias) = (random(shape.inputs * shape.outputs * 9), random(shape.outputs))
    let transformed = aligned(ve_float_transformed_count(shape))
    let scratch = aligned(ve_float_gradient_scratch_count(shape))
    defer {
      transformed.deallocate()
      scratch.deallocate()
    }
    ve_float_transform_weights(kernels, shape, weights, 9, 9 * Int(shape.inputs), rotated, transformed)
    var found = Results(
      result: [Float](repeating: .nan, count: gradient.count),
      gradientByWeights: [Float](repeating: .nan, count: weights.count),
      gradientByBias: [Float](repeating: .nan, count: bias.count))
    let tiles = ve_float_tiles(shape)
    for first in stride(from: 0, to: tiles, by: Int(VE_FLOAT_TILES)) {
      let end = min(tiles, first + VE_FLOAT_TILES)
      ve_float_convolve(
        kernels, shape, source, transformed, rotated ? nil : bias, &found.result, first, end, scratch)
    }
    ve_float_weight_gradient(
      kernels, shape, source, gradient, &found.gradientByWeights, &found.gradientByBias, scratch)
    return found
  }

  private static func aligned(_ count: Int) -> UnsafeMutablePointer<Float> {
    UnsafeMutableRawPointer.allocate(byteCount: 4 * count, alignment: 64).bindMemory(
      to: Float.self, capacity: count)
  }

  @Test(arguments: [(16, 16), (64, 64), (80, 48), (32, 112)], [false, true])
  func instructionSetsAgree(_ channels: (inputs: Int32, outputs: Int32), rotated: Bool) throws {
    let shape = ve_float_convolution(
      batch: 2, height: 13, width: 22, inputs: channels.inputs, outputs: channels.outputs)
    let isas = supportedIsas.filter { ve_float_kernels_for(shape, $0) != nil }
    guard let first = isas.first else { return }
    let expected = try Self.results(shape, first, rotated: rotated)
    let values = expected.result + expected.gradientByWeights + expected.gradientByBias
    #expect(values.allSatisfy { $0.isFinite })
    for isa in isas.dropFirst() {
      let found = try Self.results(shape, isa, rotated: rotated)
      #expect(found == expected, "\(name(isa))")
    }
  }

  @Test func shapesWithoutKernelsAreRefused() {
    let shape = ve_float_convolution(batch: 1, height: 5, width: 5, inputs: 16, outputs: 16)
    #expect(ve_float_kernels_for(shape, VE_ISA_SCALAR) == nil)
    for isa in supportedIsas {
      for (key, value) in [
        (\ve_float_convolution.inputs, 12), (\.outputs, 4), (\.inputs, 0), (\.outputs, -8), (\.inputs, 1032),
        (\.batch, 0), (\.height, -1), (\.width, 0),
      ] as [(WritableKeyPath<ve_float_convolution, Int32>, Int32)] {
        var refused = shape
        refused[keyPath: key] = value
        #expect(ve_float_kernels_for(refused, isa) == nil)
      }
    }
  }
}
