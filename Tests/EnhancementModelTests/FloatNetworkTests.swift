// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct FloatNetworkTests {
  /// The graph in double precision, operation by operation.
  private func oracle(_ network: NetworkWeights, _ frames: [FloatTensor]) -> [Double] {
    let graph = network.architecture.graph
    let (height, width) = (frames[0].height, frames[0].width)
    var values: [[Double]] = []
    for operation in graph.operations {
      switch operation {
      case .frame(let slot): values.append(frames[slot].buffer.map { Double($0) })
      case .add(let a, let b): values.append(zip(values[a], values[b]).map { $0 + $1 })
      case .attention(let attention):
        values.append(
          attended(
            values[attention.query], attention.keys.map { values[$0] }, attention.values.map { values[$0] }))
      case .convolution(let index, let inputs, let rectified):
        let layer = graph.layers[index]
        var result = [Double](repeating: 0, count: width * height * layer.outputChannels)
        for y in 0..<height {
          for x in 0..<width {
            for output in 0..<layer.outputChannels {
              var sum = Double(network.biases[index][output])
              for (slot, input) in inputs.enumerated() {
                for tap in 0..<9 {
                  let (sy, sx) = (y + tap / 3 - 1, x + tap % 3 - 1)
                  guard sy >= 0, sy < height, sx >= 0, sx < width else { continue }
                  for c in 0..<layer.inputChannels {
                    let value = values[input][(sy * width + sx) * layer.inputChannels + c]
                    let at = ((output * inputs.count + slot) * layer.inputChannels + c) * 9 + tap
                    sum += Double(network.weights[index][at]) * (rectified ? max(0, value) : value)
                  }
                }
              }
              result[(y * width + x) * layer.outputChannels + output] = sum
            }
          }
        }
        values.append(result)
      }
    }
    return values[values.count - 1]
  }

  /// Attention with heads of eight channels, according to its definition.
  private func attended(_ query: [Double], _ keys: [[Double]], _ values: [[Double]]) -> [Double] {
    var result: [Double] = []
    for first in stride(from: 0, to: query.count, by: 8) {
      var exponentials: [Double] = []
      for key in keys {
        var score = 0.0
        for c in first..<first + 8 { score += query[c] * key[c] }
        exponentials.append(exp(score / 8.0.squareRoot()))
      }
      let total = exponentials.reduce(0, +)
      for c in first..<first + 8 {
        var sum = 0.0
        for (exponential, value) in zip(exponentials, values) { sum += exponential * value[c] }
        result.append(sum / total)
      }
    }
    return result
  }

  @Test(arguments: [
    Architecture.small(), .small(window: 1, blocks: 0),
    .small(window: 5, alignment: .none, blocks: 2, scale: 4),
    .small(window: 3, fusion: .attention, heads: 2), .small(window: 5, blocks: 0, fusion: .attention),
  ])
  func agreesWithTheOracle(_ architecture: Architecture) throws {
    let weights = NetworkWeights.random(architecture, seed: 2)
    let window = (0..<architecture.window).map {
      texturedFrame(width: 14, height: 10, seed: 1, x: 0.7 * Double($0), y: 0.3 * Double($0))
    }
    let expected = oracle(weights, WindowPacker(architecture).floatInputs(window))
    for threads in [1, 2] {
      let network = try FloatNetwork(weights, width: 14, height: 10, threads: threads)
      let found = try network.predict(window).residual
      #expect(found.gridWidth == 7 && found.gridHeight == 5 && found.channels == architecture.outputChannels)
      for (value, wanted) in zip(values(found), expected) {
        let units = max(-32768, min(32767, wanted * 255 * 64))
        #expect(abs(Double(value) - units) < 0.6)
      }
    }
  }

  @Test(.enabled(if: FloatPrecision.hasBFloat16, "oneDNN has no bf16 for this processor"))
  func bfloat16IsClose() throws {
    let weights = NetworkWeights.random(.small(), seed: 2)
    let window = (0..<3).map { texturedFrame(width: 14, height: 10, seed: 1, x: Double($0)) }
    let exact = values(try FloatNetwork(weights, width: 14, height: 10, threads: 1).predict(window).residual)
    let coarse = values(
      try FloatNetwork(weights, width: 14, height: 10, threads: 1, precision: .bfloat16).predict(window)
        .residual)
    let size = exact.reduce(0.0) { $0 + Double($1) * Double($1) }
    let error = zip(exact, coarse).reduce(0.0) {
      $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1))
    }
    #expect(error < 4e-4 * size && size > 0)
    #expect(exact != coarse)
  }

  @Test func nanDoesNotTrap() throws {
    var weights = NetworkWeights.random(.small(window: 1), seed: 2)
    weights.weights[0][5] = .nan
    weights.weights[1][5] = .infinity
    let network = try FloatNetwork(weights, width: 6, height: 4, threads: 1)
    // A ReLU may replace NaN by zero.
    _ = try? network.predict([texturedFrame(width: 6, height: 4, seed: 1)])
  }

  /// Weights that files may contain because they are finite, and NaN itself.
  @Test(arguments: [Float(1e35), -3e38, .nan]) func nonFiniteOutputIsRefused(bias: Float) throws {
    var weights = NetworkWeights.random(.small(window: 1), seed: 2)
    let last = weights.biases.count - 1
    for value in [bias, 0] {
      weights.biases[last][3] = value
      let network = try FloatNetwork(weights, width: 6, height: 4, threads: 1)
      let window = [texturedFrame(width: 6, height: 4, seed: 1)]
      if value == 0 {
        _ = try network.predict(window)
      } else {
        #expect(throws: ModelError.notFinite) { try network.predict(window) }
      }
    }
  }
}
