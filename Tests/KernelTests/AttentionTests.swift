// SPDX-License-Identifier: Apache-2.0
import CQuantKernels
import Foundation
import Testing

@Suite struct AttentionTests {
  /// Random operands of a run, from a seed.
  private struct Problem {
    let slots, heads, width: Int
    let height = 3
    var plan = ve_attention()
    let levels, zeroPoint: Int32
    let rowBytes: Int
    var tensors: [[UInt8]]

    enum Fill: CaseIterable { case random, ends, most, zeros }

    init(slots: Int, heads: Int, width: Int, levels: Int32, fill: Fill, seed: UInt64) {
      var generator = SplitMix64(state: seed)
      func below(_ limit: Int32) -> Int32 { Int32.random(in: 0..<limit, using: &generator) }
      (self.slots, self.heads, self.width, self.levels) = (slots, heads, width, levels)
      plan.slots = Int32(slots)
      plan.heads = Int32(heads)
      plan.query_zero = below(levels + 1)
      // From results of a few codes to results that are all clipped.
      plan.multiplier = [1e-7, 2e-6, 5e-5, 3e38].randomElement(using: &generator)!
      let score = [0.002, 0.1, 1, 3e38].randomElement(using: &generator)! as Float
      Self.fill(&plan.key_zero) { _ in below(levels + 1) }
      Self.fill(&plan.value_zero) { _ in below(levels + 1) }
      Self.fill(&plan.score_multiplier) { _ in score * Float.random(in: 0.1...1, using: &generator) }
      Self.fill(&plan.weight_multiplier) { _ in
        Float(levels) / 0x1p30 * Float.random(in: 0.5...3, using: &generator)
      }
      Self.fill(&plan.weight_levels) { _ in levels }
      Self.fill(&plan.value_factor) { $0 == 0 ? 1024 : below(1025) }
      zeroPoint = below(levels + 1)
      let rowBytes = (width + 2) * heads * 8
      self.rowBytes = rowBytes
      let count = rowBytes * (height + 2)
      tensors = (0..<1 + 2 * slots).map { _ in
        (0..<count).map { _ in
          switch fill {
          case .random: UInt8(below(levels + 1))
          case .ends: UInt8(below(2) * levels)
          case .most: UInt8(levels)
          case .zeros: 0
          }
        }
      }
    }

    private static func fill<Tuple, Value>(_ tuple: inout Tuple, _ make: (Int) -> Value) {
      withUnsafeMutableBytes(of: &tuple) { bytes in
        let values = bytes.bindMemory(to: Value.self)
        for index in values.indices { values[index] = make(index) }
      }
    }

    /// Returns all bytes of the output, including the border, after rows 1 ..< height; the first row is not
    /// written.
    func run(_ isa: ve_isa) -> [UInt8] {
      var result = [UInt8](repeating: 0xA5, count: rowBytes * (height + 2))
      let origin = rowBytes + heads * 8
      let pointers = tensors.map { tensor -> UnsafeMutablePointer<UInt8> in
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: tensor.count)
        copy.initialize(from: tensor, count: tensor.count)
        return copy
      }
      defer { for pointer in pointers { pointer.deallocate() } }
      let inputs = pointers.map { ve_codes_input(data: $0 + origin, row_stride: rowBytes, wrap: ve_wrap()) }
      withUnsafePointer(to: plan) { plan in
        result.withUnsafeMutableBufferPointer { result in
          let output = ve_codes_output(
            data: result.baseAddress! + origin, row_stride: rowBytes, wrap: ve_wrap(), multiplier: 1,
            zero_point: zeroPoint, levels: levels)
          withUnsafePointer(to: output) { output in
            inputs.withUnsafeBufferPointer { inputs in
              var io = ve_conv3x3_io()
              io.width = Int32(width)
              io.height = Int32(height)
              io.inputs = inputs.baseAddress
              io.outputs = output
              io.output_count = 1
              ve_attention_run(plan, &io, 1, Int32(height), isa)
            }
          }
        }
      }
      return result
    }
  }

  @Test func tableIsTheExponential() {
    for d in 0..<511 {
      let expected = (32768 * exp(-Double(d) / 64)).rounded(.toNearestOrEven)
      #expect(Double(ve_attention_exponential(Int32(d))) == expected)
    }
    #expect(ve_attention_exponential(0) == 32768 && ve_attention_exponential(511) == 0)
    #expect(ve_attention_exponential(100_000) == 0)
  }

  /// Every instruction set equals the scalar reference for widths around the strip's 64 heads, and writes
  /// nothing beyond the pixels.
  @Test func equalsTheReference() {
    var (ran, seen) = (0, Set<UInt8>())
    for (index, levels) in ([255, 63, 15, 7, 3] as [Int32]).enumerated() {
      for (slots, heads, width) in [
        (1, 1, 1), (2, 1, 65), (3, 3, 21), (5, 4, 16), (5, 4, 17), (7, 8, 7), (5, 8, 8), (9, 32, 3),
        (4, 5, 26),
      ] {
        for fill in Problem.Fill.allCases {
          let problem = Problem(
            slots: slots, heads: heads, width: width, levels: levels, fill: fill,
            seed: UInt64(1000 * index + 10 * width + heads))
          let expected = problem.run(VE_ISA_SCALAR)
          seen.formUnion(expected)
          let inside = (0..<expected.count).filter { at in
            let (y, x) = (at / problem.rowBytes - 1, at % problem.rowBytes - heads * 8)
            return y >= 1 && y < problem.height && x >= 0 && x < width * heads * 8
          }
          var untouched = expected
          for at in inside { untouched[at] = 0xA5 }
          #expect(untouched.allSatisfy { $0 == 0xA5 }, "writes beyond its rows and pixels")
          for isa in supportedIsas where isa != VE_ISA_SCALAR {
            #expect(
              problem.run(isa) == expected,
              "\(name(isa)): \(slots) slots, \(heads) heads, \(width) wide, \(levels), \(fill)")
            ran += 1
          }
        }
      }
    }
    #expect(ran == 5 * 9 * 4 * (supportedIsas.count - 1) && seen.count > 200)
  }

  /// Equal scores share the weight equally; a much larger score takes all of it.
  @Test func weightsAreShares() {
    var plan = ve_attention()
    (plan.slots, plan.heads, plan.multiplier) = (2, 1, 1.0 / 1024 / 255)
    plan.score_multiplier.0 = 1
    plan.score_multiplier.1 = 1
    (plan.weight_levels.0, plan.weight_levels.1) = (255, 255)
    (plan.weight_multiplier.0, plan.weight_multiplier.1) = (255 / 0x1p30, 255 / 0x1p30)
    (plan.value_factor.0, plan.value_factor.1) = (1024, 1024)
    for (query, expected) in [(0, 150), (200, 50)] as [(UInt8, UInt8)] {
      let rows: [[UInt8]] = [[query], [1], [9], [250], [50]].map { Array(repeating: $0[0], count: 8) }
      var result = [UInt8](repeating: 0, count: 8)
      let pointers = rows.map { row -> UnsafeMutablePointer<UInt8> in
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: 8)
        copy.initialize(from: row, count: 8)
        return copy
      }
      defer { for pointer in pointers { pointer.deallocate() } }
      let inputs = pointers.map { ve_codes_input(data: $0, row_stride: 8, wrap: ve_wrap()) }
      result.withUnsafeMutableBufferPointer { result in
        let output = ve_codes_output(
          data: result.baseAddress!, row_stride: 8, wrap: ve_wrap(), multiplier: 1, zero_point: 0, levels: 255
        )
        withUnsafePointer(to: output) { output in
          inputs.withUnsafeBufferPointer { inputs in
            var io = ve_conv3x3_io()
            (io.width, io.height, io.output_count) = (1, 1, 1)
            (io.inputs, io.outputs) = (inputs.baseAddress, output)
            ve_attention_run(&plan, &io, 0, 1, VE_ISA_SCALAR)
          }
        }
      }
      // A share of one half is 127.5 of 255, rounded to even: 128.
      #expect(result.allSatisfy { abs(Int($0) - Int(expected)) <= 1 }, "\(result)")
    }
  }
}
