// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Kernels
@testable import Tensors

@Suite struct BandsTests {
  @Test(arguments: [1, 2, 3, 8], [1, 4, 5])
  func bandsCoverAllRowsOnce(_ threads: Int, _ multiple: Int) {
    let lock = NSLock()
    for rows in [0, 1, 3, 4, 5, 31, 32, 33, 135] {
      nonisolated(unsafe) var ranges: [Range<Int>] = []  // Guarded by `lock`.
      Parallel.bands(rows: rows, multiple: multiple, threads: threads) { band, scratch in
        #expect(scratch == nil)
        lock.withLock { ranges.append(band) }
      }
      ranges.sort { $0.lowerBound < $1.lowerBound }
      #expect(ranges.flatMap { Array($0) } == Array(0..<rows))
      #expect(ranges.dropLast().allSatisfy { $0.count % multiple == 0 })
      if threads == 1 { #expect(ranges.count <= 1) }
      if rows == 135 && threads > 1 { #expect(ranges.count >= threads) }
    }
  }

  @Test func scratchIsAlignedAndNotShared() {
    let lock = NSLock()
    nonisolated(unsafe) var inUse = Set<UnsafeMutableRawPointer>()  // Guarded by `lock`.
    Parallel.bands(rows: 64, threads: 4, scratchBytes: 1000) { _, scratch in
      let scratch = scratch!
      #expect(Int(bitPattern: scratch) % 64 == 0)
      lock.withLock { #expect(inUse.insert(scratch).inserted) }
      memset(scratch, 1, 1000)
      lock.withLock { _ = inUse.remove(scratch) }
    }
  }
}

@Suite struct TensorMemoryTests {
  @Test func tensorsAreAligned() {
    for count in [1, 3, 17, 1000] {
      #expect(Int(bitPattern: FloatTensor(height: 1, width: count, channels: 1).pointer) % 64 == 0)
      #expect(Int(bitPattern: BFloatTensor(count: count).pointer) % 64 == 0)
    }
  }

  @Test func liveTensorsShareNoMemory() {
    let tensors = (0..<20).map { index -> FloatTensor in
      let tensor = FloatTensor(height: 3, width: 5, channels: 7)
      tensor.fill(Float(index))
      return tensor
    }
    releasePooledMemory()
    for (index, tensor) in tensors.enumerated() { #expect(tensor.buffer.allSatisfy { $0 == Float(index) }) }
  }

  #if !UNPOOLED
    @Test func blocksAreRecycledBySize() {
      let pool = AlignedPool()
      let block = pool.take(bytes: 4096)
      pool.give(block, bytes: 4096)
      let other = pool.take(bytes: 4160)
      #expect(other != block)
      #expect(pool.take(bytes: 4096) == block)
      pool.give(block, bytes: 4096)
      pool.give(other, bytes: 4160)
      pool.releaseAll()
    }
  #endif

  @Test func codesHaveABorderOfZeroPoints() {
    let tensor = CodeTensor(width: 5, height: 3, channels: 4, zeroPoint: 77)
    #expect(tensor.rowStride == 28)
    for y in -1...3 {
      for i in -4..<24 { #expect(tensor.origin[y * tensor.rowStride + i] == 77) }
    }
  }
}

@Suite struct IntegerConvolutionTests {
  private func parameters(
    slots: Int = 1, inputs: Int = 16, outputs: Int = 16, levels: Int32 = 255, bits: Int = 8, weight: Int8 = 1,
    bias: Int32 = 0
  ) -> IntegerConvolutionParameters {
    IntegerConvolutionParameters(
      slots: slots, inputChannels: inputs, outputChannels: outputs, activationLevels: levels,
      weightLevels: Int32(1 << (bits - 1)) - 1,
      weights: Array(repeating: weight, count: outputs * slots * inputs * 9),
      bias: Array(repeating: bias, count: outputs), multiplier: Array(repeating: 1, count: outputs))
  }

  @Test func inexactConvolutionsAreRefused() {
    #expect(IntegerConvolution(parameters()) != nil)
    #expect(IntegerConvolution(parameters(inputs: 6)) == nil, "inputs come in fours")
    #expect(IntegerConvolution(parameters(outputs: 12)) == nil, "outputs come in eights")
    #expect(IntegerConvolution(parameters(inputs: 260)) == nil)
    #expect(IntegerConvolution(parameters(slots: 17, inputs: 4)) == nil)
    #expect(IntegerConvolution(parameters(levels: 256)) == nil)
    #expect(IntegerConvolution(parameters(levels: 0)) == nil)
    #expect(IntegerConvolution(parameters(bits: 4, weight: 8)) == nil, "8 is no 4-bit weight")
    #expect(IntegerConvolution(parameters(bits: 4, weight: -8)) != nil)
    // 16 x 9 x 255 below the largest sum.
    #expect(IntegerConvolution(parameters(bias: .max - 36720)) != nil)
    #expect(IntegerConvolution(parameters(bias: .max - 36719)) == nil)
    #expect(IntegerConvolution(parameters(bias: .min)) == nil)
    // Only AVX2 transforms 16-bit operands; 8 bits do not fit any transform of bytes.
    if InstructionSet.best != .avx2 {
      #expect(IntegerConvolution(parameters(), algorithm: .winograd) == nil)
    }
  }

  @Test func instructionSetsHaveNames() {
    #expect(
      InstructionSet.allCases.map(\.name) == [
        "scalar", "avx2", "avxvnni", "avx512vnni", "amx", "neondot", "neoni8mm",
      ])
    #expect(InstructionSet.scalar.isSupported && InstructionSet.best.isSupported)
    for set in InstructionSet.allCases {
      let convolution = IntegerConvolution(parameters(bits: 4, weight: 7), instructionSet: set)
      #expect((convolution != nil) == set.isSupported)
    }
  }

  /// A box filter of ones over ones, computed by hand: 4, 6 or 9 pixels of 16 channels, with all addends and
  /// outputs.
  @Test func sumsAreAddedRoundedAndClamped() throws {
    let (width, height) = (5, 4)
    var p = parameters(levels: 15, bits: 4)
    p.multiplier = Array(repeating: 0.25, count: 16)
    let convolution = try #require(IntegerConvolution(p))
    let input = CodeTensor(width: width, height: height, channels: 16, zeroPoint: 0)
    for y in 0..<height { memset(input.origin + y * input.rowStride, 1, width * 16) }
    let stream = StreamTensor(width: width, height: height, channels: 16)
    for i in 0..<width * height * 16 { stream.values[i] = 100 }
    let codes = CodeTensor(width: width, height: height, channels: 16, zeroPoint: 3)
    convolution.run(
      [input], adding: UnsafePointer(stream.values), stream: stream.values, streamChannels: 16,
      codes: [CodeOutput(tensor: codes, multiplier: 0.5, zeroPoint: 3, levels: 70)], threads: 2)
    for y in 0..<height {
      for x in 0..<width {
        let columns = x == 0 || x == width - 1 ? 2 : 3
        let rows = y == 0 || y == height - 1 ? 2 : 3
        let sum = 100 + 16 * columns * rows / 4
        for c in 0..<16 {
          #expect(Int(stream.values[(y * width + x) * 16 + c]) == sum)
          // (100 + 36) / 2 + 3 exceeds 70.
          #expect(Int(codes.origin[y * codes.rowStride + x * 16 + c]) == min(70, sum / 2 + 3))
        }
      }
    }
    // The border is unchanged.
    #expect((-16..<96).allSatisfy { codes.origin[$0 - codes.rowStride] == 3 })
  }
}
