// SPDX-License-Identifier: Apache-2.0
internal import CQuantKernels
package import Kernels

/// The operands of an attention over frame slots, and its arithmetic in floating point; `VEAttention.h`
/// defines both.
///
/// Queries, keys and values are `[batch, height, width, heads * AttentionParameters.headChannels]`, with the
/// channels of a head adjacent.
package final class AttendedSlots: @unchecked Sendable {
  // Unchecked: used by one thread at a time, like the tensors.

  /// The queries.
  package let query: FloatTensor
  /// Keys and values by slot.
  package let keys, values: [FloatTensor]
  /// Weights of each slot, with one channel per head: written by `attend`, and before rounding by
  /// `attendInCodes`.
  package let weights: [FloatTensor]
  private let heads: Int

  /// Creates an attention.
  /// - Precondition: all tensors have the same shape, with `heads * AttentionParameters.headChannels`
  ///   channels.
  package init(query: FloatTensor, keys: [FloatTensor], values: [FloatTensor], heads: Int) {
    precondition(
      keys.count == values.count && (1...AttentionParameters.mostSlots).contains(keys.count)
        && (keys + values).allSatisfy { $0.hasShape(of: query) }
        && query.channels == heads * AttentionParameters.headChannels, "operands of an attention disagree")
    self.query = query
    self.keys = keys
    self.values = values
    self.heads = heads
    weights = keys.map { _ in
      FloatTensor(batch: query.batch, height: query.height, width: query.width, channels: heads)
    }
  }

  /// All tensors read and written: query, keys, values and weights.
  package var operands: [FloatTensor] { [query] + keys + values + weights }

  /// Computes the weights and the result.
  package func attend() -> FloatTensor {
    let result = FloatTensor(like: query)
    withTensors { tensors, weights in
      ve_attention_forward(Int32(keys.count), Int32(heads), tensors, weights, result.pointer)
    }
    return result
  }

  /// Adds the gradients with respect to query, keys and values, given the gradient of the result.
  /// - Parameter targets: one for each of query, keys, values.
  package func backward(_ gradient: FloatTensor, addTo targets: [FloatTensor]) {
    withTensors { tensors, weights in
      withGradients(targets) { gradients in
        withConstants(weights) {
          ve_attention_backward(
            Int32(keys.count), Int32(heads), tensors, $0, gradient.pointer, gradients)
        }
      }
    }
  }

  /// Computes the integer engine's result in units of its codes before the last rounding, from codes minus
  /// zero points. The weights are written in units of their codes, before rounding and clipping.
  package func attendInCodes(_ parameters: AttentionParameters) -> FloatTensor {
    let result = FloatTensor(like: query)
    var plan = parameters.plan
    withTensors { tensors, weights in ve_attention_fake(&plan, tensors, weights, result.pointer) }
    return result
  }

  /// Adds the straight-through gradients with respect to query, keys and values, given the gradient of the
  /// result of `attendInCodes`.
  /// - Returns: by slot, the gradient with respect to the logarithm of the step of its weights.
  package func backwardInCodes(
    _ parameters: AttentionParameters, _ gradient: FloatTensor, addTo targets: [FloatTensor]
  ) -> [Float] {
    var plan = parameters.plan
    var steps = [Double](repeating: 0, count: keys.count)
    withTensors { tensors, weights in
      withGradients(targets) { gradients in
        withConstants(weights) {
          ve_attention_fake_backward(&plan, tensors, $0, gradient.pointer, gradients, &steps)
        }
      }
    }
    return steps.map { Float($0) }
  }

  // MARK: - Pointers

  private typealias Mutable = UnsafePointer<UnsafeMutablePointer<Float>?>

  private func withTensors(_ body: (UnsafePointer<ve_attention_tensors>, Mutable) -> Void) {
    let (keyPointers, valuePointers) = (Self.constants(keys), Self.constants(values))
    let weightPointers = weights.map { Optional($0.pointer) }
    keyPointers.withUnsafeBufferPointer { keyPointers in
      valuePointers.withUnsafeBufferPointer { valuePointers in
        weightPointers.withUnsafeBufferPointer { weightPointers in
          var tensors = ve_attention_tensors(
            pixels: query.pixels, query: query.pointer, keys: keyPointers.baseAddress,
            values: valuePointers.baseAddress)
          body(&tensors, weightPointers.baseAddress!)
        }
      }
    }
    withExtendedLifetime(self) {}
  }

  private func withGradients(
    _ targets: [FloatTensor], _ body: (UnsafePointer<ve_attention_gradients>) -> Void
  ) {
    precondition(targets.count == 1 + 2 * keys.count, "a gradient for query, keys and values")
    let pointers = targets.map { Optional($0.pointer) }
    pointers.withUnsafeBufferPointer { pointers in
      var gradients = ve_attention_gradients(
        query: pointers[0], keys: pointers.baseAddress! + 1,
        values: pointers.baseAddress! + 1 + keys.count)
      body(&gradients)
    }
    withExtendedLifetime(targets) {}
  }

  private func withConstants(
    _ pointers: Mutable, _ body: (UnsafePointer<UnsafePointer<Float>?>) -> Void
  ) {
    UnsafeRawPointer(pointers).withMemoryRebound(to: UnsafePointer<Float>?.self, capacity: keys.count, body)
  }

  private static func constants(_ tensors: [FloatTensor]) -> [UnsafePointer<Float>?] {
    tensors.map { UnsafePointer($0.pointer) }
  }
}
