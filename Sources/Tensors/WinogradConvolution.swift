// SPDX-License-Identifier: Apache-2.0
internal import CQuantKernels
internal import Kernels

/// A 3x3 convolution of floats by Winograd's algorithm, for shapes and processors for which there are kernels
/// (`VEFloatConvolution.h`).
///
/// Not thread-safe: use by one thread at a time.
final class WinogradConvolution {
  private let kernels: OpaquePointer
  private let shape: ve_float_convolution
  /// The shape of the backward direction, whose inputs are the outputs.
  private let reversed: ve_float_convolution
  private let forwardWeights: AlignedBuffer
  private let backwardWeights: AlignedBuffer?
  private var weights: UnsafePointer<Float>?
  private var bias: [Float] = []
  /// Whether transformed weights are those of `weights`.
  private var isForwardReady = false
  private var isBackwardReady = false

  /// Fails if there are no kernels for this shape or processor.
  init?(
    batch: Int, height: Int, width: Int, inputChannels: Int, outputChannels: Int, training: Bool
  ) {
    shape = ve_float_convolution(
      batch: Int32(batch), height: Int32(height), width: Int32(width), inputs: Int32(inputChannels),
      outputs: Int32(outputChannels))
    guard let kernels = ve_float_kernels_for(shape, ve_isa_best()) else { return nil }
    self.kernels = kernels
    var reversed = shape
    (reversed.inputs, reversed.outputs) = (shape.outputs, shape.inputs)
    self.reversed = reversed
    forwardWeights = AlignedBuffer(Float.self, count: ve_float_transformed_count(shape))
    backwardWeights = training ? AlignedBuffer(Float.self, count: ve_float_transformed_count(shape)) : nil
  }

  /// Sets weights (OIHW), which are read when they are first used, and biases.
  func setWeights(_ weights: UnsafePointer<Float>, bias: UnsafePointer<Float>) {
    self.weights = weights
    self.bias = Array(UnsafeBufferPointer(start: bias, count: Int(shape.outputs)))
    (isForwardReady, isBackwardReady) = (false, false)
  }

  /// `result` (NHWC) = convolution of `source` (NHWC) + bias, on `threads` threads.
  func forward(_ source: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>, threads: Int) {
    let transformed = forwardWeights.values(Float.self)
    if !isForwardReady, let weights {
      let input = 9, output = 9 * Int(shape.inputs)
      ve_float_transform_weights(kernels, shape, weights, input, output, false, transformed)
      isForwardReady = true
    }
    bias.withUnsafeBufferPointer {
      convolve(shape, source, transformed, $0.baseAddress, into: result, threads: threads)
    }
  }

  /// Computes the gradient of the source from that of the result.
  func backwardData(
    _ gradient: UnsafePointer<Float>, into sourceGradient: UnsafeMutablePointer<Float>, threads: Int
  ) {
    guard let transformed = backwardWeights?.values(Float.self) else {
      preconditionFailure("not prepared for training")
    }
    if !isBackwardReady, let weights {
      let input = 9 * Int(shape.inputs), output = 9
      ve_float_transform_weights(kernels, reversed, weights, input, output, true, transformed)
      isBackwardReady = true
    }
    convolve(reversed, gradient, transformed, nil, into: sourceGradient, threads: threads)
  }

  /// Computes the gradients of weights (OIHW) and biases.
  func backwardWeights(
    _ source: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>,
    into weightGradient: UnsafeMutablePointer<Float>, bias biasGradient: UnsafeMutablePointer<Float>
  ) {
    let scratch = AlignedBuffer(Float.self, count: ve_float_gradient_scratch_count(shape))
    ve_float_weight_gradient(
      kernels, shape, source, gradient, weightGradient, biasGradient, scratch.values(Float.self))
  }

  private func convolve(
    _ shape: ve_float_convolution, _ source: UnsafePointer<Float>, _ weights: UnsafePointer<Float>,
    _ bias: UnsafePointer<Float>?, into result: UnsafeMutablePointer<Float>, threads: Int
  ) {
    nonisolated(unsafe) let (kernels, source, weights, bias, result) = (
      kernels, source, weights, bias, result
    )
    Parallel.bands(
      rows: Int(ve_float_tiles(shape)), multiple: Int(VE_FLOAT_TILES), threads: threads,
      scratchBytes: ve_float_scratch_count(shape) * MemoryLayout<Float>.stride
    ) { tiles, scratch in
      ve_float_convolve(
        kernels, shape, source, weights, bias, result, Int32(tiles.lowerBound), Int32(tiles.upperBound),
        scratch!.assumingMemoryBound(to: Float.self))
    }
  }
}
