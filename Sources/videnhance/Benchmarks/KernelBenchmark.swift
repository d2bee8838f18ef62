// SPDX-License-Identifier: Apache-2.0
import Foundation
import Kernels
import Tensors

/// Times one 64 -> 64 3x3 layer at each bit width, in alternating rounds, relative to the machine's peak, and compares every
/// result bit for bit with the scalar kernel.
struct KernelBenchmark {
  /// Grid of a 540p frame.
  var width = 480
  var height = 270
  /// Number of rounds, of which medians are reported.
  var rounds = 9
  var threads = 1
  var instructionSet = InstructionSet.best

  /// One line of the table.
  struct Row {
    var name: String
    var algorithm: String
    var milliseconds: Double
    var gigaOperations: Double
    var isExact: Bool
  }

  struct Result {
    /// Peak rate of the instruction that accumulates the sums, in 10^9 multiply-accumulates per second on all threads.
    var peak: Double
    var rows: [Row]
  }

  private struct Contender {
    let name: String
    let bits: Int
    let parameters: IntegerConvolutionParameters
    let convolution: IntegerConvolution
    let input: CodeTensor
    let output: CodeTensor
    var seconds: [Double] = []

    mutating func time(threads: Int) {
      let began = ContinuousClock.now
      run(convolution, into: output, threads: threads)
      let took = ContinuousClock.now - began
      seconds.append(Double(took.components.attoseconds) * 1e-18 + Double(took.components.seconds))
    }

    func run(_ convolution: IntegerConvolution, into output: CodeTensor, threads: Int) {
      let codes = CodeOutput(tensor: output, multiplier: 1, zeroPoint: 0, levels: Int32(1 << bits) - 1)
      convolution.run([input], adding: nil, stream: nil, streamChannels: 64, codes: [codes], threads: threads)
    }
  }

  func run() -> Result {
    var contenders: [Contender] = []
    for (weightBits, bits, algorithm) in [
      (8, 8, ConvolutionAlgorithm.direct), (6, 6, .direct), (6, 6, .automatic), (4, 6, .automatic),
      (4, 4, .direct), (4, 4, .automatic), (3, 3, .automatic), (2, 2, .automatic),
    ] {
      if let contender = contender(weightBits: weightBits, bits: bits, algorithm: algorithm) {
        contenders.append(contender)
      }
    }
    var peaks: [Double] = []
    for _ in 0..<rounds {
      peaks.append(
        instructionSet == .amx
          ? MachinePeak.tileProducts(seconds: 0.05) : MachinePeak.integerDotProducts(seconds: 0.05))
      for index in contenders.indices { contenders[index].time(threads: threads) }
    }
    let operations = Double(width * height) * 64 * 64 * 9
    let rows = contenders.map { contender in
      let seconds = median(contender.seconds)
      return Row(
        name: contender.name, algorithm: contender.convolution.algorithmName, milliseconds: seconds * 1e3,
        gigaOperations: operations / seconds / 1e9, isExact: isExact(contender))
    }
    return Result(peak: median(peaks) * Double(threads), rows: rows)
  }

  private func contender(weightBits: Int, bits: Int, algorithm: ConvolutionAlgorithm) -> Contender? {
    var random = SplitMix64(seed: UInt64(bits))
    let levels = Int32(1 << bits) - 1
    let half = 1 << (weightBits - 1)
    let weights = (0..<64 * 64 * 9).map { _ in Int8(random.index(2 * half) - half) }
    let bias = (0..<64).map { _ in Int32(random.index(2000) - 1000) }
    // Spreads outputs over all codes: this is roughly the deviation of sums of 576 products.
    let spread = Float(half) * Float(levels) * 0.33 * 24
    let parameters = IntegerConvolutionParameters(
      slots: 1, inputChannels: 64, outputChannels: 64, activationLevels: levels,
      weightLevels: Int32(half) - 1,
      weights: weights,
      bias: bias, multiplier: Array(repeating: Float(levels) / spread, count: 64))
    guard
      let convolution = IntegerConvolution(parameters, algorithm: algorithm, instructionSet: instructionSet)
    else { return nil }
    let input = CodeTensor(width: width, height: height, channels: 64, zeroPoint: 0)
    for y in 0..<height {
      for i in 0..<width * 64 { input.origin[y * input.rowStride + i] = UInt8(random.index(Int(levels) + 1)) }
    }
    return Contender(
      name: (weightBits == bits ? "\(bits)-bit" : "w\(weightBits)a\(bits)-bit")
        + (algorithm == .direct ? " direct" : " automatic"), bits: bits,
      parameters: parameters,
      convolution: convolution, input: input,
      output: CodeTensor(width: width, height: height, channels: 64, zeroPoint: 0))
  }

  private func isExact(_ contender: Contender) -> Bool {
    guard
      let scalar = IntegerConvolution(contender.parameters, algorithm: .direct, instructionSet: .scalar)
    else { return false }
    let expected = CodeTensor(width: width, height: height, channels: 64, zeroPoint: 0)
    contender.run(scalar, into: expected, threads: ProcessInfo.processInfo.activeProcessorCount)
    return (0..<height).allSatisfy { y in
      memcmp(
        expected.origin + y * expected.rowStride, contender.output.origin + y * expected.rowStride, width * 64
      ) == 0
    }
  }

  private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}
