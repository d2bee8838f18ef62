// SPDX-License-Identifier: Apache-2.0
package import CQuantKernels

/// Parameters of an integer attention over frame slots; `VEAttention.h` defines the arithmetic.
package struct AttentionParameters: Sendable {
  /// Number of channels per head.
  package static let headChannels = Int(VE_HEAD_CHANNELS)
  /// Largest number of heads.
  package static let mostHeads = Int(VE_MAX_HEADS)
  /// Largest number of slots.
  package static let mostSlots = Int(VE_MAX_ATTENDED)

  /// Number of heads.
  package let heads: Int
  /// Zero point of the queries.
  package let queryZero: Int32
  /// Zero points of keys and values, by slot.
  package let keyZeros, valueZeros: [Int32]
  /// Largest code of the weights, by slot.
  package let weightLevels: [Int32]
  /// Factors by slot: from sums of products of codes to scores, and from normalized weights to their codes.
  package let scoreMultipliers, weightMultipliers: [Float]
  /// Unit of the products of weights and values by slot, relative to the largest unit, in 1/1024.
  package let valueFactors: [Int32]
  /// Factor from weighted sums to output codes.
  package let multiplier: Float

  /// Scales of an attention's codes: one entry per slot, all positive.
  package struct Steps {
    var query: Float
    var keys, values, weights: [Float]
    var output: Float

    package init(query: Float, keys: [Float], values: [Float], weights: [Float], output: Float) {
      self.query = query
      self.keys = keys
      self.values = values
      self.weights = weights
      self.output = output
    }
  }

  /// Folds the scales of all codes into the multipliers.
  /// - Returns: nil if a multiplier is not finite because the scales differ too much.
  /// - Precondition: at most `mostSlots` slots and `mostHeads` heads; zero points in 0...255, levels in
  ///   1...255.
  package init?(
    heads: Int, queryZero: Int32, keyZeros: [Int32], valueZeros: [Int32], weightLevels: [Int32], steps: Steps
  ) {
    let slots = keyZeros.count
    precondition(
      (1...Self.mostSlots).contains(slots) && (1...Self.mostHeads).contains(heads)
        && [valueZeros.count, weightLevels.count, steps.keys.count, steps.values.count, steps.weights.count]
          .allSatisfy { $0 == slots },
      "attention out of range")
    precondition(
      (keyZeros + valueZeros + [queryZero]).allSatisfy { (0...255).contains($0) }
        && weightLevels.allSatisfy { (1...255).contains($0) }, "codes out of range")
    self.heads = heads
    self.queryZero = queryZero
    self.keyZeros = keyZeros
    self.valueZeros = valueZeros
    self.weightLevels = weightLevels
    let scale = Float(VE_SCORE_UNITS) / Float(Self.headChannels).squareRoot()
    scoreMultipliers = steps.keys.map { steps.query * $0 * scale }
    weightMultipliers = steps.weights.map { 1 / (Float(VE_WEIGHT_ONE) * $0) }
    let units = zip(steps.weights, steps.values).map { $0 * $1 }
    let greatest = units.max()!
    let factors = units.map { ($0 / greatest * Float(VE_VALUE_ONE)).rounded(.toNearestOrEven) }
    multiplier = greatest / (Float(VE_VALUE_ONE) * steps.output)
    guard multiplier.isFinite, (scoreMultipliers + weightMultipliers + factors).allSatisfy(\.isFinite) else {
      return nil
    }
    valueFactors = factors.map { Int32($0) }
  }

  /// The parameters as a C structure.
  package var plan: ve_attention {
    var plan = ve_attention()
    plan.slots = Int32(keyZeros.count)
    plan.heads = Int32(heads)
    plan.query_zero = queryZero
    plan.multiplier = multiplier
    Self.fill(&plan.key_zero, keyZeros)
    Self.fill(&plan.value_zero, valueZeros)
    Self.fill(&plan.score_multiplier, scoreMultipliers)
    Self.fill(&plan.weight_multiplier, weightMultipliers)
    Self.fill(&plan.weight_levels, weightLevels)
    Self.fill(&plan.value_factor, valueFactors)
    return plan
  }

  /// Copies values to a C array, which Swift imports as a tuple.
  private static func fill<Tuple, Value>(_ tuple: inout Tuple, _ values: [Value]) {
    withUnsafeMutableBytes(of: &tuple) { bytes in
      values.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
  }
}

/// A kernel that computes rows of tensors, as a step of a `LineExecutor`.
package protocol RowKernel: Sendable {
  /// Bytes of scratch memory per thread.
  var scratchBytes: Int { get }
  /// Computes all rows of `io` on the calling thread.
  func run(_ io: inout ve_conv3x3_io, _ scratch: UnsafeMutableRawPointer)
}

extension IntegerConvolution: RowKernel {}

/// An integer attention over frame slots.
package final class IntegerAttention: RowKernel, @unchecked Sendable {
  // Unchecked: immutable, but C structures are not Sendable.

  package let scratchBytes = 0
  private let plan: ve_attention
  private let instructionSet: InstructionSet

  /// Creates the kernel.
  package init(_ parameters: AttentionParameters, instructionSet: InstructionSet = .best) {
    plan = parameters.plan
    self.instructionSet = instructionSet
  }

  /// Computes all rows of `io`, whose inputs are the query, then the keys, then the values of all slots.
  package func run(_ io: inout ve_conv3x3_io, _ scratch: UnsafeMutableRawPointer) {
    withUnsafePointer(to: plan) { ve_attention_run($0, &io, 0, io.height, instructionSet.handle) }
  }
}
