// SPDX-License-Identifier: Apache-2.0
package import CQuantKernels

/// The algorithm of an integer convolution; results are identical.
package enum ConvolutionAlgorithm: UInt32, Sendable {
  /// The fastest exact algorithm.
  case automatic = 0
  /// Tap by tap.
  case direct = 1
  /// Exact Winograd, if operand ranges permit it.
  case winograd = 2
}

/// A destination of codes: code = clamp(rne(value * multiplier) + zeroPoint, 0, levels), where the value is the stream's, or
/// without a stream the accumulator's (then the multiplier is not used).
package struct CodeOutput {
  /// Pixel (0, 0) of the destination, and bytes from row to row.
  package var data: UnsafeMutablePointer<UInt8>
  /// See `data`.
  package var rowStride: Int
  /// Converts stream units to codes.
  package var multiplier: Float
  /// Code of real zero.
  package var zeroPoint: Int32
  /// Greatest code.
  package var levels: Int32

  /// Creates an output to `tensor`, which must outlive it.
  package init(tensor: CodeTensor, multiplier: Float, zeroPoint: Int32, levels: Int32) {
    self.init(
      data: tensor.origin, rowStride: tensor.rowStride, multiplier: multiplier, zeroPoint: zeroPoint,
      levels: levels)
  }

  /// Creates an output to memory.
  package init(
    data: UnsafeMutablePointer<UInt8>, rowStride: Int, multiplier: Float, zeroPoint: Int32, levels: Int32
  ) {
    self.data = data
    self.rowStride = rowStride
    self.multiplier = multiplier
    self.zeroPoint = zeroPoint
    self.levels = levels
  }
}

/// Parameters of an integer convolution.
package struct IntegerConvolutionParameters {
  /// Input tensors, channels of each (a multiple of 4), output channels (a multiple of 8).
  package var slots, inputChannels, outputChannels: Int
  /// Greatest activation code over all slots.
  package var activationLevels: Int32
  /// Greatest weight, 1 to 127; the magnitude of negative weights may exceed it by one.
  package var weightLevels: Int32
  /// `[output][slot][input][3][3]`.
  package var weights: [Int8]
  /// Added to the accumulators, with zero points folded in.
  package var bias: [Int32]
  /// Converts accumulators to output units, by output channel.
  package var multiplier: [Float]

  /// Creates parameters.
  package init(
    slots: Int, inputChannels: Int, outputChannels: Int, activationLevels: Int32, weightLevels: Int32,
    weights: [Int8],
    bias: [Int32], multiplier: [Float]
  ) {
    self.slots = slots
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.activationLevels = activationLevels
    self.weightLevels = weightLevels
    self.weights = weights
    self.bias = bias
    self.multiplier = multiplier
  }
}

/// A 3x3 integer convolution with weights packed for one instruction set. Immutable, so any number of threads may run
/// it.
package final class IntegerConvolution: @unchecked Sendable {
  // Unchecked: the plan behind `handle` is immutable.

  private let handle: OpaquePointer
  /// Bytes of scratch memory per thread.
  package let scratchBytes: Int
  private let slots: Int

  /// Packs the weights.
  /// - Returns: nil if parameters are out of range, an accumulator could overflow 32 bits, or `algorithm` cannot be exact.
  package init?(
    _ parameters: IntegerConvolutionParameters, algorithm: ConvolutionAlgorithm = .automatic,
    instructionSet: InstructionSet = .best
  ) {
    let p = parameters
    precondition(
      p.weights.count == p.outputChannels * p.slots * p.inputChannels * 9 && p.bias.count == p.outputChannels
        && p.multiplier.count == p.outputChannels, "parameters' counts disagree")
    var description = ve_conv3x3_description(
      slots: Int32(p.slots), channels_in: Int32(p.inputChannels), channels_out: Int32(p.outputChannels),
      activation_levels: p.activationLevels, weight_levels: p.weightLevels,
      algorithm: ve_conv3x3_algorithm(rawValue: algorithm.rawValue))
    guard let handle = ve_conv3x3_create(&description, p.weights, p.bias, p.multiplier, instructionSet.handle)
    else {
      return nil
    }
    self.handle = handle
    slots = p.slots
    scratchBytes = ve_conv3x3_scratch_bytes(handle)
  }

  deinit { ve_conv3x3_destroy(handle) }

  /// The name of the chosen algorithm, such as "direct" or "winograd-2x2".
  package var algorithmName: String { String(cString: ve_conv3x3_algorithm_name(handle)) }

  /// Computes the whole image, with bands of rows in parallel on `threads` threads.
  /// - Parameter stream: added to the result, if given.
  /// - Parameter result: receives the 16-bit sum, if given; may be `stream`'s memory.
  package func run(
    _ inputs: [CodeTensor], adding stream: UnsafePointer<Int16>?, stream result: UnsafeMutablePointer<Int16>?,
    streamChannels: Int, codes: [CodeOutput], threads: Int
  ) {
    precondition(inputs.count == slots, "one tensor a slot")
    let (width, height) = (inputs[0].width, inputs[0].height)
    let tensors = inputs.map { ve_codes_input(data: $0.origin, row_stride: $0.rowStride, wrap: ve_wrap()) }
    let outputs = codes.map {
      ve_codes_output(
        data: $0.data, row_stride: $0.rowStride, wrap: ve_wrap(), multiplier: $0.multiplier,
        zero_point: $0.zeroPoint, levels: $0.levels)
    }
    let streamStride = width * streamChannels * 2
    tensors.withUnsafeBufferPointer { tensors in
      outputs.withUnsafeBufferPointer { outputs in
        let io = ve_conv3x3_io(
          width: Int32(width), height: Int32(height), inputs: tensors.baseAddress, stream_in: stream,
          stream_in_stride: streamStride, stream_in_wrap: ve_wrap(), stream_out: result,
          stream_out_stride: streamStride, stream_out_wrap: ve_wrap(), outputs: outputs.baseAddress,
          output_count: Int32(outputs.count))
        // Bands are disjoint; inputs and plan are only read.
        nonisolated(unsafe) let (shared, plan) = (io, handle)
        Parallel.bands(rows: height, multiple: 2, threads: threads, scratchBytes: scratchBytes) {
          rows, scratch in
          var io = shared
          ve_conv3x3_run(plan, &io, Int32(rows.lowerBound), Int32(rows.upperBound), scratch)
        }
      }
    }
    withExtendedLifetime(inputs) {}
  }

  /// Computes all rows of `io` on the calling thread.
  package func run(_ io: inout ve_conv3x3_io, _ scratch: UnsafeMutableRawPointer) {
    ve_conv3x3_run(handle, &io, 0, io.height, scratch)
  }
}
