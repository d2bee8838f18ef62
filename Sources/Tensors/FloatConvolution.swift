// SPDX-License-Identifier: Apache-2.0
internal import CDNNL
internal import CQuantKernels

/// Precision of a floating-point convolution's operands. Sums are always 32-bit.
package enum FloatPrecision: String, Sendable, CaseIterable, Codable {
  /// 32-bit operands.
  case float32 = "f32"
  /// bfloat16 operands: half the memory.
  case bfloat16 = "bf16"

  /// Whether the processor has bf16 dot products that oneDNN uses.
  package static var hasBFloat16: Bool { ve_dnn_has_fast_bf16() }

  /// The precision in which this processor trains faster, measured at the first use if it has bf16: on some processors bf16
  /// dot products take several cycles each, and floats have Winograd's algorithm.
  package static let fastest: FloatPrecision = {
    guard hasBFloat16 else { return .float32 }
    guard let inFloat = leastTime(.float32), let inBFloat16 = leastTime(.bfloat16) else { return .float32 }
    return inBFloat16 < inFloat ? .bfloat16 : .float32
  }()

  /// The least time of three forward and backward passes of a layer like most of those of the shipped networks; nil if it is
  /// not supported.
  private static func leastTime(_ precision: FloatPrecision) -> Duration? {
    let (batch, side, channels) = (2, 48, 64)
    let source = FloatTensor(batch: batch, height: side, width: side, channels: channels)
    let result = FloatTensor(like: source)
    let weights = FloatTensor(height: channels, width: channels, channels: 9)
    let weightGradient = FloatTensor(like: weights)
    let bias = FloatTensor(height: 1, width: 1, channels: channels)
    for tensor in [source, weights, bias] { tensor.fill(0.5) }
    // One thread, as in a shard of training: several of oneDNN's would wait for each other by spinning.
    let threads = ve_dnn_threads()
    _ = ve_dnn_set_threads(1)
    defer { _ = ve_dnn_set_threads(threads) }
    do {
      let convolution = try FloatConvolution(
        batch: batch, height: side, width: side, inputChannels: channels, outputChannels: channels,
        precision: precision, training: true)
      let operand = gatherOperand([source], rectified: false, precision: precision)
      return try (0..<3).map { _ in
        try ContinuousClock().measure {
          try convolution.setWeights(weights.pointer, bias: bias.pointer)
          try convolution.forward(operand.raw, into: result.pointer)
          try convolution.backwardData(operand.raw, into: result.pointer)
          try convolution.backwardWeights(
            operand.raw, operand.raw, into: weightGradient.pointer, bias: bias.pointer)
        }
      }.min()
    } catch {
      return nil
    }
  }
}

/// oneDNN does not support a shape, or failed; `status` is its `dnnl_status_t`.
package struct ConvolutionError: Error, Equatable, CustomStringConvertible {
  /// oneDNN's status code.
  package let status: Int32
  /// What was attempted.
  package let action: String
  /// One lower-case line for the user.
  package var description: String { "oneDNN cannot \(action) (status \(status))" }
}

/// A k x k convolution with zero padding of k/2 on NHWC tensors of one fixed shape, by oneDNN or, where it is faster, by our
/// own kernels (`WinogradConvolution`).
///
/// Not thread-safe: use by one thread at a time.
package final class FloatConvolution {
  /// Extents of the input.
  package let batch, height, width: Int
  /// Input and output channels.
  package let inputChannels, outputChannels: Int
  /// Side of the kernel (odd), and stride.
  package let kernel, stride: Int
  /// Type of the operands.
  package let precision: FloatPrecision
  /// Extents of the output: ceil(extent / stride).
  package var outputHeight: Int { (height - 1) / stride + 1 }
  /// See `outputHeight`.
  package var outputWidth: Int { (width - 1) / stride + 1 }

  /// oneDNN's convolution; nil if `winograd` computes everything.
  private let handle: OpaquePointer?
  private let winograd: WinogradConvolution?
  /// Whether sums of integers are those of `winograd`, rounded; false once one of them was too far from an integer.
  private var roundsSums: Bool
  /// Greatest distance from integers at which rounding is safe: a wrong integer needs an error of 1 - this, while all errors
  /// seen are at most this.
  private static let safeDistance: Float = 0.1

  /// Prepares the primitives.
  /// - Parameter training: whether to prepare the two backward directions as well.
  /// - Parameter exact: whether operands, weights and biases are integers whose sums must be exact in the forward direction.
  /// - Throws: `ConvolutionError` if oneDNN has no implementation or memory runs out.
  package init(
    batch: Int, height: Int, width: Int, inputChannels: Int, outputChannels: Int, kernel: Int = 3,
    stride: Int = 1,
    precision: FloatPrecision, training: Bool, exact: Bool = false
  ) throws(ConvolutionError) {
    self.batch = batch
    self.height = height
    self.width = width
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.kernel = kernel
    self.stride = stride
    self.precision = precision
    winograd =
      precision == .float32 && kernel == 3 && stride == 1
      ? WinogradConvolution(
        batch: batch, height: height, width: width, inputChannels: inputChannels,
        outputChannels: outputChannels, training: training) : nil
    roundsSums = exact && winograd != nil
    if winograd != nil && !exact {
      handle = nil
      return
    }
    var description = ve_dnn_convolution_description(
      batch: Int32(batch), height: Int32(height), width: Int32(width), channels_in: Int32(inputChannels),
      channels_out: Int32(outputChannels), kernel: Int32(kernel), stride: Int32(stride),
      type: precision == .bfloat16 ? VE_DNN_BF16 : VE_DNN_F32, training: training && winograd == nil)
    var status: Int32 = 0
    guard let handle = ve_dnn_convolution_create(&description, &status) else {
      throw ConvolutionError(
        status: status, action: "make a \(inputChannels) -> \(outputChannels) convolution")
    }
    self.handle = handle
  }

  deinit { if let handle { ve_dnn_convolution_destroy(handle) } }

  /// Sets weights (OIHW) and biases. The memory must not change while the convolution uses it, since it may be read in
  /// place.
  package func setWeights(_ weights: UnsafePointer<Float>, bias: UnsafePointer<Float>)
    throws(ConvolutionError)
  {
    winograd?.setWeights(weights, bias: bias)
    if let handle { try check(ve_dnn_convolution_set_weights(handle, weights, bias), "take weights") }
  }

  /// `result` (NHWC floats) = convolution of `source` (NHWC, of `precision`'s type) + bias.
  package func forward(_ source: UnsafeRawPointer, into result: UnsafeMutablePointer<Float>)
    throws(ConvolutionError)
  {
    if let winograd, handle == nil || roundsSums {
      winograd.forward(source.assumingMemoryBound(to: Float.self), into: result, threads: Self.threads)
      if handle == nil { return }
      let count = batch * outputHeight * outputWidth * outputChannels
      if ve_round(result, count) < Self.safeDistance { return }
      roundsSums = false
    }
    try check(ve_dnn_convolution_forward(handle, source, result), "convolve")
  }

  /// Computes the gradient of the source from that of the result (`precision`'s type).
  package func backwardData(_ gradient: UnsafeRawPointer, into sourceGradient: UnsafeMutablePointer<Float>)
    throws(ConvolutionError)
  {
    if let winograd {
      let floats = gradient.assumingMemoryBound(to: Float.self)
      return winograd.backwardData(floats, into: sourceGradient, threads: Self.threads)
    }
    try check(ve_dnn_convolution_backward_data(handle, gradient, sourceGradient), "convolve backward")
  }

  /// Computes the gradients of weights (OIHW) and biases, overwriting previous values.
  package func backwardWeights(
    _ source: UnsafeRawPointer, _ gradient: UnsafeRawPointer,
    into weightGradient: UnsafeMutablePointer<Float>,
    bias biasGradient: UnsafeMutablePointer<Float>
  ) throws(ConvolutionError) {
    if let winograd {
      return winograd.backwardWeights(
        source.assumingMemoryBound(to: Float.self), gradient.assumingMemoryBound(to: Float.self),
        into: weightGradient, bias: biasGradient)
    }
    try check(
      ve_dnn_convolution_backward_weights(handle, source, gradient, weightGradient, biasGradient),
      "derive by weights")
  }

  private static var threads: Int { Int(ve_dnn_threads()) }

  private func check(_ status: Int32, _ action: String) throws(ConvolutionError) {
    if status != 0 { throw ConvolutionError(status: status, action: action) }
  }
}

/// Sets the number of threads that convolutions use when called from the current thread.
package func setConvolutionThreads(_ count: Int) { _ = ve_dnn_set_threads(Int32(count)) }

/// Version of the oneDNN library in use, such as "2.6.3".
package var oneDNNVersion: String {
  let v = ve_dnn_version()
  return "\(v / 10000).\(v / 100 % 100).\(v % 100)"
}
