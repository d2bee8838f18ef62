// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Tensors

@Suite struct FloatConvolutionTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    var batch, height, width, inputs, outputs, kernel, stride: Int
    var testDescription: String {
      "\(batch)x\(height)x\(width), \(inputs) -> \(outputs), \(kernel)/\(stride)"
    }
  }

  static let shapes = [
    Shape(batch: 1, height: 5, width: 7, inputs: 6, outputs: 8, kernel: 3, stride: 1),
    Shape(batch: 2, height: 4, width: 4, inputs: 16, outputs: 24, kernel: 3, stride: 1),
    Shape(batch: 1, height: 1, width: 1, inputs: 8, outputs: 8, kernel: 3, stride: 1),
    Shape(batch: 2, height: 7, width: 6, inputs: 8, outputs: 16, kernel: 3, stride: 2),
    Shape(batch: 1, height: 6, width: 5, inputs: 8, outputs: 8, kernel: 5, stride: 1),
    Shape(batch: 1, height: 3, width: 5, inputs: 5, outputs: 7, kernel: 1, stride: 1),
    // Several blocks of tiles, the last of which is not full, and tiles beyond the edges.
    Shape(batch: 2, height: 13, width: 22, inputs: 24, outputs: 40, kernel: 3, stride: 1),
    Shape(batch: 1, height: 9, width: 50, inputs: 40, outputs: 8, kernel: 3, stride: 1),
    // For vectors of 16 floats: whole and half blocks of outputs.
    Shape(batch: 2, height: 13, width: 22, inputs: 16, outputs: 32, kernel: 3, stride: 1),
    Shape(batch: 1, height: 5, width: 30, inputs: 48, outputs: 16, kernel: 3, stride: 1),
  ]

  /// Returns random weights and biases.
  private struct Numbers {
    let weights: FloatTensor
    let bias: FloatTensor

    init(_ s: Shape, _ random: inout SplitMix64) {
      weights = randomTensor(height: s.outputs, width: s.inputs, channels: s.kernel * s.kernel, &random)
      bias = randomTensor(height: 1, width: 1, channels: s.outputs, &random)
    }
  }

  private func convolution(_ s: Shape, training: Bool = false, exact: Bool = false) throws -> FloatConvolution
  {
    try FloatConvolution(
      batch: s.batch, height: s.height, width: s.width, inputChannels: s.inputs, outputChannels: s.outputs,
      kernel: s.kernel, stride: s.stride, precision: .float32, training: training, exact: exact)
  }

  /// Calls `body` with the source, weight and result indices of every product.
  private func forEachProduct(
    _ s: Shape, _ outputHeight: Int, _ outputWidth: Int, _ body: (Int, Int, Int) -> Void
  ) {
    for n in 0..<s.batch {
      for y in 0..<outputHeight {
        for x in 0..<outputWidth {
          for o in 0..<s.outputs {
            let result = ((n * outputHeight + y) * outputWidth + x) * s.outputs + o
            for ky in 0..<s.kernel {
              for kx in 0..<s.kernel {
                let (sy, sx) = (y * s.stride + ky - s.kernel / 2, x * s.stride + kx - s.kernel / 2)
                guard sy >= 0, sy < s.height, sx >= 0, sx < s.width else { continue }
                for i in 0..<s.inputs {
                  body(
                    ((n * s.height + sy) * s.width + sx) * s.inputs + i,
                    ((o * s.inputs + i) * s.kernel + ky) * s.kernel + kx, result)
                }
              }
            }
          }
        }
      }
    }
  }

  private func expectNear(_ found: FloatTensor, _ wanted: [Double]) {
    #expect(found.count == wanted.count)
    let worst = zip(found.buffer, wanted).map { abs(Double($0) - $1) }.max()!
    #expect(worst < 2e-4, "\(worst)")
  }

  @Test(arguments: shapes) func allDirectionsAgreeWithTheOracle(_ s: Shape) throws {
    var random = SplitMix64(seed: 1)
    setConvolutionThreads(1)
    let convolution = try convolution(s, training: true)
    let (height, width) = (convolution.outputHeight, convolution.outputWidth)
    #expect(height == (s.height + s.stride - 1) / s.stride && width == (s.width + s.stride - 1) / s.stride)
    let numbers = Numbers(s, &random)
    try convolution.setWeights(numbers.weights.pointer, bias: numbers.bias.pointer)
    let source = randomTensor(batch: s.batch, height: s.height, width: s.width, channels: s.inputs, &random)
    let gradient = randomTensor(batch: s.batch, height: height, width: width, channels: s.outputs, &random)

    var result = (0..<gradient.count).map { Double(numbers.bias.pointer[$0 % s.outputs]) }
    var sourceGradient = [Double](repeating: 0, count: source.count)
    var weightGradient = [Double](repeating: 0, count: numbers.weights.count)
    var biasGradient = [Double](repeating: 0, count: s.outputs)
    forEachProduct(s, height, width) { from, weight, to in
      result[to] += Double(source.pointer[from]) * Double(numbers.weights.pointer[weight])
      sourceGradient[from] += Double(gradient.pointer[to]) * Double(numbers.weights.pointer[weight])
      weightGradient[weight] += Double(gradient.pointer[to]) * Double(source.pointer[from])
    }
    for i in 0..<gradient.count { biasGradient[i % s.outputs] += Double(gradient.pointer[i]) }

    let found = FloatTensor(like: gradient)
    try convolution.forward(source.pointer, into: found.pointer)
    expectNear(found, result)
    let bySource = FloatTensor(like: source)
    try convolution.backwardData(gradient.pointer, into: bySource.pointer)
    expectNear(bySource, sourceGradient)
    let (byWeights, byBias) = (FloatTensor(like: numbers.weights), FloatTensor(like: numbers.bias))
    // Previous contents are overwritten.
    byWeights.fill(7)
    byBias.fill(7)
    try convolution.backwardWeights(
      source.pointer, gradient.pointer, into: byWeights.pointer, bias: byBias.pointer)
    expectNear(byWeights, weightGradient)
    expectNear(byBias, biasGradient)
  }

  @Test func weightsCanBeReplaced() throws {
    var random = SplitMix64(seed: 2)
    let s = Self.shapes[1]
    let reused = try convolution(s)
    let source = randomTensor(batch: s.batch, height: s.height, width: s.width, channels: s.inputs, &random)
    for _ in 0..<3 {
      let numbers = Numbers(s, &random)
      let fresh = try convolution(s)
      let results = try [reused, fresh].map { convolution in
        let result = FloatTensor(batch: s.batch, height: s.height, width: s.width, channels: s.outputs)
        try convolution.setWeights(numbers.weights.pointer, bias: numbers.bias.pointer)
        try convolution.forward(source.pointer, into: result.pointer)
        return Array(result.buffer)
      }
      #expect(results[0] == results[1])
    }
  }

  @Test(arguments: [(15, 7), (63, 31), (255, 127)]) func sumsOfIntegersCanBeExact(codes: Int, weights: Int)
    throws
  {
    var random = SplitMix64(seed: 3)
    setConvolutionThreads(1)
    let s = Shape(batch: 1, height: 26, width: 19, inputs: 48, outputs: 16, kernel: 3, stride: 1)
    func integers(_ tensor: FloatTensor, upTo limit: Int) {
      for i in 0..<tensor.count { tensor.pointer[i] = Float(random.index(2 * limit + 1) - limit) }
    }
    let numbers = Numbers(s, &random)
    let source = FloatTensor(height: s.height, width: s.width, channels: s.inputs)
    integers(source, upTo: codes)
    integers(numbers.weights, upTo: weights)
    integers(numbers.bias, upTo: 100 * codes)
    var wanted = (0..<source.pixels * s.outputs).map { numbers.bias.pointer[$0 % s.outputs] }
    forEachProduct(s, s.height, s.width) { from, weight, to in
      wanted[to] += source.pointer[from] * numbers.weights.pointer[weight]
    }
    #expect(wanted.allSatisfy { abs($0) < 0x1p24 })
    for training in [false, true] {
      let convolution = try convolution(s, training: training, exact: true)
      try convolution.setWeights(numbers.weights.pointer, bias: numbers.bias.pointer)
      let result = FloatTensor(height: s.height, width: s.width, channels: s.outputs)
      for _ in 0..<2 {
        try convolution.forward(source.pointer, into: result.pointer)
        #expect(Array(result.buffer) == wanted)
      }
    }
  }

  @Test func threadsDoNotChangeResults() throws {
    var random = SplitMix64(seed: 4)
    let s = Shape(batch: 3, height: 21, width: 37, inputs: 16, outputs: 24, kernel: 3, stride: 1)
    let numbers = Numbers(s, &random)
    let source = randomTensor(batch: s.batch, height: s.height, width: s.width, channels: s.inputs, &random)
    let results = try [1, 2, 5].map { threads in
      setConvolutionThreads(threads)
      let convolution = try convolution(s)
      try convolution.setWeights(numbers.weights.pointer, bias: numbers.bias.pointer)
      let result = FloatTensor(batch: s.batch, height: s.height, width: s.width, channels: s.outputs)
      try convolution.forward(source.pointer, into: result.pointer)
      return Array(result.buffer)
    }
    #expect(results[0] == results[1] && results[0] == results[2])
  }

  @Test(.enabled(if: FloatPrecision.hasBFloat16, "oneDNN has no bf16 for this processor"))
  func theFasterPrecisionIsMeasured() throws {
    // Over a whole layer, forward and backward, the other one must not take much less time.
    let s = Shape(batch: 4, height: 48, width: 48, inputs: 64, outputs: 64, kernel: 3, stride: 1)
    var random = SplitMix64(seed: 5)
    setConvolutionThreads(1)
    let numbers = Numbers(s, &random)
    let source = randomTensor(batch: s.batch, height: s.height, width: s.width, channels: s.inputs, &random)
    let result = FloatTensor(like: source)
    var least: [FloatPrecision: Duration] = [:]
    for _ in 0..<5 {
      for precision in FloatPrecision.allCases {
        let convolution = try FloatConvolution(
          batch: s.batch, height: s.height, width: s.width, inputChannels: s.inputs,
          outputChannels: s.outputs, precision: precision, training: true)
        let operand = gatherOperand([source], rectified: false, precision: precision)
        try convolution.setWeights(numbers.weights.pointer, bias: numbers.bias.pointer)
        let time = try ContinuousClock().measure {
          try convolution.forward(operand.raw, into: result.pointer)
          try convolution.backwardData(operand.raw, into: result.pointer)
        }
        least[precision] = min(time, least[precision] ?? time)
      }
    }
    let chosen = least[.fastest]!
    #expect(least.values.allSatisfy { $0 * 2 > chosen }, "\(least)")
  }

  @Test func impossibleShapesAreRefused() {
    #expect(throws: ConvolutionError.self) {
      try FloatConvolution(
        batch: 1, height: 4, width: 4, inputChannels: 0, outputChannels: 8, precision: .float32,
        training: false)
    }
    let error = ConvolutionError(status: 3, action: "convolve")
    #expect("\(error)" == "oneDNN cannot convolve (status 3)")
    #expect(oneDNNVersion.split(separator: ".").count == 3)
  }
}
