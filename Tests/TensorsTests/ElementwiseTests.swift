// SPDX-License-Identifier: Apache-2.0
import Kernels
import Tensors
import Testing

/// Returns a tensor of random numbers in -1 ... 1.
func randomTensor(
  batch: Int = 1, height: Int, width: Int, channels: Int, _ random: inout SplitMix64
) -> FloatTensor {
  let tensor = FloatTensor(batch: batch, height: height, width: width, channels: channels)
  for i in 0..<tensor.count { tensor.pointer[i] = random.uniform(-1...1) }
  return tensor
}

@Suite struct ElementwiseTests {
  private func float(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  @Test func bfloatsRoundToNearest() {
    var random = SplitMix64(seed: 1)
    for _ in 0..<20_000 {
      let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
      guard value.isFinite else { continue }
      let bits = bfloat16Bits(value)
      guard float(bits).isFinite else {
        // Only values more than half a step beyond the largest bfloat16 are infinite.
        #expect(value.magnitude >= 0x1.ffp127)
        continue
      }
      let error = abs(Double(float(bits)) - Double(value))
      for other in [bits &- 1, bits &+ 1] where float(other).isFinite && (other ^ bits) & 0x8000 == 0 {
        let distance = abs(Double(float(other)) - Double(value))
        #expect(error < distance || error == distance && bits & 1 == 0, "\(value)")
      }
    }
    for value in [0, -0.0, 1, -2, .infinity, -.infinity] as [Float] {
      #expect(float(bfloat16Bits(value)).bitPattern == value.bitPattern)
    }
    // Ties round to even: 1 + 2^-8 is between 1 and 1 + 2^-7.
    #expect(float(bfloat16Bits(1 + 0x1p-8)) == 1 && float(bfloat16Bits(1 + 0x3p-8)) == 1 + 0x1p-6)
  }

  @Test(arguments: FloatPrecision.allCases, [false, true])
  func operandsJoinChannels(_ precision: FloatPrecision, _ rectified: Bool) {
    var random = SplitMix64(seed: 2)
    for channels in [[5], [8, 8], [3, 1, 16]] {
      let inputs = channels.map { randomTensor(batch: 2, height: 3, width: 4, channels: $0, &random) }
      let wanted = (0..<24).flatMap { pixel in
        inputs.flatMap { input in
          (0..<input.channels).map { c -> Float in
            let value = input.pointer[pixel * input.channels + c]
            return rectified ? max(0, value) : value
          }
        }
      }
      switch gatherOperand(inputs, rectified: rectified, precision: precision) {
      case .float(let tensor):
        #expect(precision == .float32 && Array(tensor.buffer) == wanted)
        #expect(tensor.channels == channels.reduce(0, +) && tensor.batch == 2)
      case .bfloat(let tensor):
        #expect(precision == .bfloat16)
        #expect((0..<tensor.count).map { tensor.pointer[$0] } == wanted.map(bfloat16Bits))
      }
    }
  }

  @Test(arguments: FloatPrecision.allCases, [false, true])
  func gradientsAreAddedToTheirSources(_ precision: FloatPrecision, _ rectified: Bool) {
    var random = SplitMix64(seed: 3)
    for channels in [[6], [4, 8, 2]] {
      let inputs = channels.map { randomTensor(height: 3, width: 4, channels: $0, &random) }
      let operand = gatherOperand(inputs, rectified: rectified, precision: precision)
      let gradient = randomTensor(height: 3, width: 4, channels: channels.reduce(0, +), &random)
      var offset = 0
      for input in inputs {
        let target = FloatTensor(like: input)
        target.fill(0.5)
        scatterGradient(gradient, offset: offset, rectifiedOperand: rectified ? operand : nil, addTo: target)
        for pixel in 0..<12 {
          for c in 0..<input.channels {
            let passes = !rectified || input.pointer[pixel * input.channels + c] > 0
            let part = gradient.pointer[pixel * gradient.channels + offset + c]
            #expect(target.pointer[pixel * input.channels + c] == (passes ? 0.5 + part : 0.5))
          }
        }
        offset += input.channels
      }
    }
  }

  @Test func sums() {
    var random = SplitMix64(seed: 4)
    let a = randomTensor(height: 5, width: 7, channels: 3, &random)
    let b = randomTensor(height: 5, width: 7, channels: 3, &random)
    let wanted = zip(a.buffer, b.buffer).map { $0 + $1 }
    // Keep the tensor alive, which owns the memory.
    let sum = add(a, b)
    withExtendedLifetime(sum) { #expect(Array(sum.buffer) == wanted) }
    accumulate(a, into: b)
    #expect(Array(b.buffer) == wanted)
    #expect(a.count == 105 && a.pixels == 35 && a.hasShape(of: b))
    #expect(!a.hasShape(of: FloatTensor(height: 7, width: 5, channels: 3)))
  }
}

@Suite struct SplitMix64Tests {
  @Test func numbersMatchThePublishedOnes() {
    var random = SplitMix64(seed: 0)
    #expect(
      (0..<3).map { _ in random.next() } == [
        0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f,
      ])
    var other = SplitMix64(seed: 1_234_567)
    #expect((0..<2).map { _ in other.next() } == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973])
  }

  @Test func numbersHaveTheirDistributions() {
    var random = SplitMix64(seed: 9)
    let uniform = (0..<20_000).map { _ in random.uniform() }
    #expect(uniform.allSatisfy { $0 >= 0 && $0 < 1 } && abs(uniform.reduce(0, +) / 20_000 - 0.5) < 0.01)
    let ranged = (0..<1000).map { _ in random.uniform(-3...5) }
    #expect(ranged.allSatisfy { $0 >= -3 && $0 <= 5 } && ranged.min()! < -2.9 && ranged.max()! > 4.9)
    let normal = (0..<20_000).map { _ in random.normal() }
    let mean = normal.reduce(0, +) / 20_000
    #expect(abs(mean) < 0.03 && abs(normal.reduce(0) { $0 + $1 * $1 } / 20_000 - 1) < 0.04)
    #expect(normal.allSatisfy { abs($0) <= 6 })
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<7000 { counts[random.index(7)] += 1 }
    #expect(counts.allSatisfy { $0 > 850 && $0 < 1150 })
    #expect(!(0..<100).contains { _ in random.chance(0) } && (0..<100).allSatisfy { _ in random.chance(1) })
  }

  @Test func generatorContinuesFromItsState() {
    var random = SplitMix64(seed: 5)
    _ = random.next()
    var copy = SplitMix64(seed: random.state)
    #expect(copy.next() == random.next() && copy.state == random.state)
  }

  @Test(arguments: [1, 15, 16, 17, 1023, 1025, 3000]) func fakeQuantizationIsRoundingAndClamping(count: Int) {
    var random = SplitMix64(seed: UInt64(count))
    func tensor(_ range: ClosedRange<Float>) -> FloatTensor {
      let tensor = FloatTensor(height: 1, width: count, channels: 1)
      for i in 0..<count { tensor.pointer[i] = random.uniform(range) }
      return tensor
    }
    let values = tensor(-90...90)
    let (unrounded, codes) = (FloatTensor(like: values), FloatTensor(like: values))
    fakeQuantize(values, multiplier: 0.25, range: -3...12, unrounded: unrounded, codes: codes)
    let gradient = tensor(-1...1)
    let target = tensor(-1...1)
    let before = (0..<count).map { target.pointer[$0] }
    let slope = fakeQuantizeBackward(
      gradient, unrounded: unrounded, multiplier: 0.25, range: -3...12, addTo: target)
    var expected = 0.0
    for i in 0..<count {
      let x = values.pointer[i] * 0.25
      let code = max(-3, min(12, x.rounded(.toNearestOrEven)))
      let g = gradient.pointer[i]
      let isInside = x >= -3 && x <= 12
      #expect(unrounded.pointer[i] == x && codes.pointer[i] == code)
      #expect(target.pointer[i] == before[i] + (isInside ? g * 0.25 : 0))
      expected += Double(g) * Double(isInside ? code - x : code)
    }
    #expect(abs(Double(slope) - expected) < 1e-3)
  }

  @Test func streamsAreRoundedAddedAndClamped() {
    let values = FloatTensor(height: 1, width: 4, channels: 1)
    let other = FloatTensor(like: values)
    for (i, pair) in [(0.5, 3.0), (1.5, -4), (40000, -10), (-32760, -100)].enumerated() {
      values.pointer[i] = Float(pair.0)
      other.pointer[i] = Float(pair.1)
    }
    makeStream(values, adding: other)
    #expect((0..<4).map { values.pointer[$0] } == [3, -2, 32767, -32768])
    makeStream(values, adding: nil)
    #expect((0..<4).map { values.pointer[$0] } == [3, -2, 32767, -32768])
  }
}

@Suite struct AttendedSlotsTests {
  private static let (heads, slots) = (3, 4)

  /// Operands in codes less their zero points, and the real value of each code.
  private static func operands(_ random: inout SplitMix64, step: Float) -> [FloatTensor] {
    (0..<1 + 2 * slots).map { _ in
      let tensor = FloatTensor(batch: 2, height: 3, width: 5, channels: heads * 8)
      for i in 0..<tensor.count { tensor.pointer[i] = random.uniform(-120...120).rounded() * step }
      return tensor
    }
  }

  private static func attended(_ operands: [FloatTensor]) -> AttendedSlots {
    AttendedSlots(
      query: operands[0], keys: Array(operands[1...slots]), values: Array(operands[(1 + slots)...]),
      heads: heads)
  }

  private static func zeros(like tensors: [FloatTensor]) -> [FloatTensor] {
    tensors.map {
      let result = FloatTensor(like: $0)
      result.fill(0)
      return result
    }
  }

  /// The sum of results times a direction: a number whose gradient by the results is the direction.
  private static func projection(_ result: FloatTensor, on direction: FloatTensor) -> Double {
    zip(result.buffer, direction.buffer).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }

  @Test func gradientsAgreeWithFiniteDifferences() {
    var random = SplitMix64(seed: 3)
    let operands = Self.operands(&random, step: 0.01)
    let direction = Self.operands(&random, step: 0.01)[0]
    let slots = Self.attended(operands)
    _ = slots.attend()
    // Weights are shares.
    for i in 0..<slots.weights[0].count {
      #expect(abs(slots.weights.reduce(0) { $0 + $1.pointer[i] } - 1) < 1e-5)
    }
    let gradients = Self.zeros(like: operands)
    slots.backward(direction, addTo: gradients)
    for (operand, gradient) in zip(operands, gradients) {
      for i in stride(from: 0, to: operand.count, by: 37) {
        let saved = operand.pointer[i]
        operand.pointer[i] = saved + 2e-2
        let above = Self.projection(Self.attended(operands).attend(), on: direction)
        operand.pointer[i] = saved - 2e-2
        let below = Self.projection(Self.attended(operands).attend(), on: direction)
        operand.pointer[i] = saved
        let slope = (above - below) / 4e-2
        #expect(abs(slope - Double(gradient.pointer[i])) < 2e-3 + 0.02 * abs(slope))
      }
    }
  }

  /// With fine codes the integers are close to the real numbers, and so are their gradients.
  @Test func codesComeCloseToRealNumbers() throws {
    var random = SplitMix64(seed: 5)
    let codes = Self.operands(&random, step: 1)
    let steps = (0..<1 + 2 * Self.slots).map { _ in random.uniform(0.006...0.012) }
    let real = zip(codes, steps).map { tensor, step -> FloatTensor in
      let result = FloatTensor(like: tensor)
      for i in 0..<tensor.count { result.pointer[i] = tensor.pointer[i] * step }
      return result
    }
    let output: Float = 0.005
    let parameters = try #require(
      AttentionParameters(
        heads: Self.heads, queryZero: 128, keyZeros: Array(repeating: 128, count: Self.slots),
        valueZeros: Array(repeating: 120, count: Self.slots),
        weightLevels: Array(repeating: 255, count: Self.slots),
        steps: AttentionParameters.Steps(
          query: steps[0], keys: Array(steps[1...Self.slots]), values: Array(steps[(1 + Self.slots)...]),
          weights: Array(repeating: 1 / 255, count: Self.slots), output: output)))
    let (exact, coarse) = (Self.attended(real), Self.attended(codes))
    let (wanted, found) = (exact.attend(), coarse.attendInCodes(parameters))
    func distance(_ a: [Float], _ b: [Float]) -> Float {
      let error = zip(a, b).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      return (error / a.reduce(0) { $0 + $1 * $1 }).squareRoot()
    }
    #expect(distance(Array(wanted.buffer), found.buffer.map { $0 * output }) < 0.01)
    let direction = Self.operands(&random, step: 0.01)[0]
    let (exactGradients, coarseGradients) = (Self.zeros(like: codes), Self.zeros(like: codes))
    exact.backward(direction, addTo: exactGradients)
    // If nothing is clipped, the mean gradient with respect to the logarithm of a step is zero.
    let bySteps = coarse.backwardInCodes(parameters, direction, addTo: coarseGradients)
    #expect(bySteps.count == Self.slots && bySteps.contains { $0 != 0 })
    for (place, (a, b)) in zip(exactGradients, coarseGradients).enumerated() {
      // The gradient of the result's real value with respect to the operand's real values.
      #expect(distance(Array(a.buffer), b.buffer.map { $0 * output / steps[place] }) < 0.03, "\(place)")
    }
  }
}
