// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Kernels
import LineEngine
import Tensors

/// The stack of convolutions for comparing engines: 30 -> 64, eight times 64 -> 64, 64 -> 24, all 3x3 and rectified,
/// on the 480 x 270 grid of a 540p frame; 42.25 billion multiply-accumulates.
///
/// The first and last layers have `edgeBits`, 8 in the shipped networks, and the others `bits`. Weights are random, since
/// they do not affect the time.
final class ReferenceStack {
  /// Channels from layer to layer.
  static let channels = [30] + Array(repeating: 64, count: 9) + [24]
  static let (width, height) = (480, 270)
  /// Multiply-accumulates.
  static var operations: Double {
    zip(channels, channels.dropFirst()).reduce(0) { $0 + Double($1.0 * $1.1 * 9 * width * height) }
  }

  private let runOnce: () throws -> Void

  /// The algorithm of its body: one of the integer kernels', or oneDNN.
  let algorithm: String

  /// Creates a stack for `threads` threads; 32 bits are floating point.
  init(bits: Int, edgeBits: Int = 8, threads: Int, instructionSet: InstructionSet = .best) throws {
    if bits == 32 {
      runOnce = try Self.floats(threads: threads)
      algorithm = "oneDNN \(oneDNNVersion)"
    } else {
      (runOnce, algorithm) = try Self.integers(
        bits: bits, edgeBits: edgeBits, threads: threads, instructionSet: instructionSet)
    }
  }

  /// Runs it once; returns the seconds.
  func seconds() throws -> Double {
    let start = ContinuousClock.now
    try runOnce()
    let took = ContinuousClock.now - start
    return Double(took.components.seconds) + Double(took.components.attoseconds) * 1e-18
  }

  private static func integers(
    bits: Int, edgeBits: Int, threads: Int, instructionSet: InstructionSet
  ) throws -> (() -> Void, String) {
    var random = SplitMix64(seed: 7)
    let last = channels.count - 2
    let first = CodeTensor(width: width, height: height, channels: 32, zeroPoint: Int32(1 << (edgeBits - 1)))
    let result = StreamTensor(width: width, height: height, channels: channels[last + 1])
    for y in 0..<height {
      for i in 0..<width * 32 { first.origin[y * first.rowStride + i] = UInt8(random.index(1 << edgeBits)) }
    }
    let layers = try (0...last).map { index in
      let isEdge = index == 0 || index == last
      let width = isEdge ? edgeBits : bits
      let (inputs, outputs) = (index == 0 ? 32 : channels[index], channels[index + 1])
      let (half, levels) = (1 << (width - 1), (1 << width) - 1)
      let outputLevels = (1 << (index >= last - 1 ? edgeBits : bits)) - 1
      // The approximate deviation of sums, so that outputs are spread over their codes.
      let spread = 0.33 * Float(half * levels) * Float(inputs * 9).squareRoot()
      let parameters = IntegerConvolutionParameters(
        slots: 1, inputChannels: inputs, outputChannels: outputs, activationLevels: Int32(levels),
        weightLevels: Int32(1 << (width - 1)) - 1,
        weights: (0..<outputs * inputs * 9).map { _ in Int8(random.index(2 * half) - half) },
        bias: Array(repeating: 0, count: outputs),
        multiplier: Array(repeating: Float(outputLevels) / spread, count: outputs))
      guard let layer = IntegerConvolution(parameters, instructionSet: instructionSet) else {
        throw ModelError.badArchitecture("the reference stack cannot run at \(bits) bits")
      }
      return (convolution: layer, levels: Int32(outputLevels))
    }
    let executor = LineExecutor(
      layers.enumerated().map { index, layer in
        LineStep(
          layer.convolution, inputs: [index == 0 ? .source(0) : .codes(step: index - 1, output: 0)],
          channels: channels[index + 1], keepsStream: index == last, isOutput: index == last,
          codes: index == last ? [] : [.init(zeroPoint: 0, levels: layer.levels, multiplier: 1)])
      }, sources: [.init(channels: 32, zeroPoint: Int32(first.zeroPoint))], width: width, height: height,
      threads: threads)
    let run = {
      executor.run(into: .whole(result.values)) { rows, targets in
        for y in rows {
          let to = targets[0].origin + y * targets[0].rowStride
          to.update(from: first.origin + y * first.rowStride, count: width * 32)
        }
      }
    }
    return (run, layers[1].convolution.algorithmName)
  }

  private static func floats(threads: Int) throws -> () throws -> Void {
    var random = SplitMix64(seed: 7)
    var graph = NetworkGraph()
    var value = graph.frame(slot: 0)
    for (index, (inputs, outputs)) in zip(channels, channels.dropFirst()).enumerated() {
      let layer = graph.layer(
        ConvolutionLayer(name: "\(index)", inputChannels: inputs, outputChannels: outputs, isEdge: false))
      value = graph.convolve(layer, [value], rectified: index > 0)
    }
    setConvolutionThreads(threads)
    let executor = try FloatExecutor(
      graph: graph, batch: 1, height: height, width: width, precision: .float32, training: false)
    let weights = graph.layers.map { layer in
      let tensor = FloatTensor(height: 1, width: layer.weightCount, channels: 1)
      for i in 0..<tensor.count { tensor.pointer[i] = random.uniform(-0.06...0.06) }
      return tensor
    }
    let bias = FloatTensor(height: 1, width: 256, channels: 1)
    bias.fill(0)
    for index in graph.layers.indices {
      try executor.setWeights(layer: index, weights[index].pointer, bias: bias.pointer)
    }
    let input = FloatTensor(height: height, width: width, channels: channels[0])
    for i in 0..<input.count { input.pointer[i] = random.uniform(-0.5...0.5) }
    return {
      setConvolutionThreads(threads)
      try withExtendedLifetime((weights, bias)) { _ = try executor.run(frames: [input]) }
    }
  }
}
