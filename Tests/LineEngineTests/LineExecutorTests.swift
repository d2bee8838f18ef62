// SPDX-License-Identifier: Apache-2.0
import Foundation
import Kernels
import Tensors
import Testing

@testable import LineEngine

/// Calls `body` with 0 ..< count, each on a thread of its own, however few processors there are.
func runOnThreads(_ count: Int, _ body: @Sendable (Int) -> Void) {
  let finished = DispatchSemaphore(value: 0)
  // Closures outlive their threads' work for a moment, so they have pointers to what must not escape.
  withoutActuallyEscaping(body) { body in
    let shared = UnsafeMutablePointer<@Sendable (Int) -> Void>.allocate(capacity: 1)
    shared.initialize(to: body)
    nonisolated(unsafe) let work = shared
    for index in 0..<count {
      Thread {
        work.pointee(index)
        finished.signal()
      }.start()
    }
    for _ in 0..<count { finished.wait() }
    shared.deinitialize(count: 1)
    shared.deallocate()
  }
}

@Suite struct LineExecutorTests {
  static let width = 70
  static let height = 61

  /// More threads than processors wait for each other without deadlock and give the same bytes as one thread.
  @Test(arguments: [2, 4, 8, 16])
  func resultDoesNotDependOnThreads(threads: Int) throws {
    let expected = try Self.run(threads: 1, pictures: 1)
    #expect(Set(expected).count > 100, "a picture that is worth comparing")
    #expect(try Self.run(threads: threads, pictures: 20) == expected)
  }

  /// Strips of columns change neither bytes nor memory, whatever their width: from the lag of the steps to more than the
  /// picture's width.
  @Test(arguments: [1, 9, 10, 23, 34, 35, 69, 70, 100])
  func stripsMakeTheSameBytes(strip: Int) throws {
    let expected = try Self.run(threads: 1, pictures: 1)
    for threads in [1, 2, 5] {
      #expect(try Self.run(threads: threads, pictures: 2, strip: strip) == expected, "\(threads) threads")
    }
  }

  @Test func stripsFitTheCache() throws {
    let plan = LinePlan(
      try Self.steps(), sources: [LineExecutor.Source(channels: 8, zeroPoint: 0)], width: 4000, chunk: 8)
    let column = (plan.codes + plan.streams).reduce(0) { $0 + $1.rows * $1.pixelBytes }
    let columns = LineStrip.columns(for: plan, cacheBytes: 2 << 20)
    #expect(columns % 32 == 0 && columns * column <= 1 << 20 && (columns + 32) * column > 1 << 20)
    #expect(LineStrip.columns(for: plan, cacheBytes: 1) == 96)
    #if os(Linux)
      #expect(LineStrip.cacheBytes.map { $0 > 1 << 14 } ?? true)
    #endif
  }

  /// Returns the last of several equal pictures.
  private static func run(threads: Int, pictures: Int, strip: Int? = nil) throws -> [Int16] {
    let executor = LineExecutor(
      try steps(), sources: [LineExecutor.Source(channels: 8, zeroPoint: 0)], width: width, height: height,
      threads: threads, strip: strip)
    executor.launch = runOnThreads
    var result = [Int16](repeating: 0, count: width * height * 8)
    for _ in 0..<pictures {
      result.withUnsafeMutableBufferPointer { result in
        result.update(repeating: 0)
        executor.run(into: .whole(result.baseAddress!)) { rows, targets in
          for y in rows {
            for x in 0..<width {
              let point = targets[0].origin + y * targets[0].rowStride + x * targets[0].pixelStride
              for channel in 0..<8 { point[channel] = UInt8((x * 7 + y * 13 + x * y * channel) % 16) }
            }
          }
        }
      }
    }
    return result
  }

  /// Three residual blocks between two layers, as in the shipped networks.
  private static func steps() throws -> [LineStep] {
    var random = SplitMix64(seed: 1)
    func kernel() throws -> IntegerConvolution {
      try #require(
        IntegerConvolution(
          IntegerConvolutionParameters(
            slots: 1, inputChannels: 8, outputChannels: 8, activationLevels: 15, weightLevels: 7,
            weights: (0..<8 * 8 * 9).map { _ in Int8(random.index(15) - 7) },
            bias: Array(repeating: 100, count: 8), multiplier: Array(repeating: 0.3, count: 8))))
    }
    let codes = LineStep.Codes(zeroPoint: 4, levels: 15, multiplier: 0.05)
    var steps = [LineStep(try kernel(), inputs: [.source(0)], channels: 8, keepsStream: true, codes: [codes])]
    for block in 0..<3 {
      steps.append(
        LineStep(try kernel(), inputs: [.codes(step: 2 * block, output: 0)], channels: 8, codes: [codes]))
      steps.append(
        LineStep(
          try kernel(), inputs: [.codes(step: 2 * block + 1, output: 0)], channels: 8, addend: 2 * block,
          keepsStream: true, codes: [codes]))
    }
    steps.append(
      LineStep(
        try kernel(), inputs: [.codes(step: 6, output: 0)], channels: 8, keepsStream: true, isOutput: true))
    return steps
  }
}
