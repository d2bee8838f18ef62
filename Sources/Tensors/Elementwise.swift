// SPDX-License-Identifier: Apache-2.0

internal import CQuantKernels

// Plain loops over pointers, which the optimiser vectorises. The loops that dominate a training step are in C
// (`VEElementwise.h`), for wider vectors.

/// The bfloat16 bit pattern nearest to `value`, ties to even. Preserves infinities; a NaN may become an infinity.
@inline(__always)
package func bfloat16Bits(_ value: Float) -> UInt16 {
  let bits = value.bitPattern
  return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16)
}

/// Operands of a convolution: floats or bfloat16, depending on the precision.
package enum ConvolutionOperand {
  /// 32-bit operands.
  case float(FloatTensor)
  /// bfloat16 operands.
  case bfloat(BFloatTensor)

  /// Start of the elements.
  package var raw: UnsafeRawPointer {
    switch self {
    case .float(let tensor): UnsafeRawPointer(tensor.pointer)
    case .bfloat(let tensor): UnsafeRawPointer(tensor.pointer)
    }
  }
}

/// Concatenates tensors of equal batch, height and width along channels as a convolution's operand, rectified (ReLU) if
/// `rectified`.
package func gatherOperand(_ inputs: [FloatTensor], rectified: Bool, precision: FloatPrecision)
  -> ConvolutionOperand
{
  let first = inputs[0]
  let total = inputs.reduce(0) { $0 + $1.channels }
  let floor: Float = rectified ? 0 : -.infinity
  switch precision {
  case .float32:
    let result = FloatTensor(batch: first.batch, height: first.height, width: first.width, channels: total)
    gather(inputs, total: total, into: result.pointer) { max($0, floor) }
    return .float(result)
  case .bfloat16:
    let result = BFloatTensor(count: first.pixels * total)
    var offset = 0
    for input in inputs {
      ve_to_bfloat16(
        input.pointer, input.pixels, input.channels, rectified ? 1 : 0, result.pointer + offset, total)
      offset += input.channels
    }
    return .bfloat(result)
  }
}

@inline(__always)
private func gather<T>(
  _ inputs: [FloatTensor], total: Int, into result: UnsafeMutablePointer<T>, _ map: (Float) -> T
) {
  var offset = 0
  for input in inputs {
    let channels = input.channels
    let source = input.pointer
    if channels == total {
      for i in 0..<input.count { result[i] = map(source[i]) }
    } else {
      for pixel in 0..<input.pixels {
        let from = source + pixel &* channels
        let to = result + (pixel &* total &+ offset)
        for c in 0..<channels { to[c] = map(from[c]) }
      }
    }
    offset += channels
  }
}

/// Adds channels `offset ..< offset + target.channels` of `gradient` (of the concatenated operand) to `target`, where the
/// rectified operand was positive (everywhere if `operand` is nil).
package func scatterGradient(
  _ gradient: FloatTensor, offset: Int, rectifiedOperand operand: ConvolutionOperand?,
  addTo target: FloatTensor
) {
  let from = gradient.pointer + offset
  switch operand {
  case nil:
    scatter(gradient, from: from, addTo: target) { _ in true }
  case .float(let tensor)?:
    let mask = tensor.pointer + offset
    scatter(gradient, from: from, addTo: target) { mask[$0] > 0 }
  case .bfloat(let tensor)?:
    // A rectified bfloat16 is positive exactly when its bits are not all zero.
    let mask = tensor.pointer + offset
    scatter(gradient, from: from, addTo: target) { mask[$0] != 0 }
  }
}

/// `value` or zero, without a branch: a conditional load would prevent vectorisation.
@inline(__always)
private func masked(_ value: Float, _ passes: Bool) -> Float {
  Float(bitPattern: value.bitPattern & (0 &- (passes ? 1 : 0)))
}

@inline(__always)
private func scatter(
  _ gradient: FloatTensor, from: UnsafeMutablePointer<Float>, addTo target: FloatTensor,
  where passes: (Int) -> Bool
) {
  let total = gradient.channels
  let channels = target.channels
  let to = target.pointer
  if channels == total {
    for i in 0..<target.count { to[i] += masked(from[i], passes(i)) }
    return
  }
  for pixel in 0..<target.pixels {
    let source = pixel &* total
    let result = pixel &* channels
    for c in 0..<channels { to[result &+ c] += masked(from[source &+ c], passes(source &+ c)) }
  }
}

/// `result[i] = a[i] + b[i]`.
package func add(_ a: FloatTensor, _ b: FloatTensor) -> FloatTensor {
  precondition(a.hasShape(of: b), "tensors to add differ in shape")
  let result = FloatTensor(like: a)
  let (x, y, z) = (a.pointer, b.pointer, result.pointer)
  for i in 0..<a.count { z[i] = x[i] + y[i] }
  return result
}

/// `target[i] += source[i]`.
package func accumulate(_ source: FloatTensor, into target: FloatTensor) {
  precondition(source.hasShape(of: target), "tensors to add differ in shape")
  let (x, y) = (source.pointer, target.pointer)
  for i in 0..<source.count { y[i] += x[i] }
}

// MARK: - Fake quantization

/// `tensor[pixel][c] *= multiplier[c]`.
package func scale(_ tensor: FloatTensor, byChannel multiplier: [Float]) {
  precondition(multiplier.count == tensor.channels, "one multiplier a channel")
  ve_scale_channels(tensor.pointer, tensor.pixels, tensor.channels, multiplier)
}

/// Converts values to those of the 16-bit stream: rounds (ties to even), adds `addend`, clamps.
package func makeStream(_ values: FloatTensor, adding addend: FloatTensor?) {
  ve_fake_stream(values.pointer, values.count, addend.map { UnsafePointer($0.pointer) })
}

/// Codes of values minus their zero point: `codes = clamp(round(values * multiplier), range)`; `unrounded` receives the
/// products for the backward pass.
package func fakeQuantize(
  _ values: FloatTensor, multiplier: Float, range: ClosedRange<Float>, unrounded: FloatTensor,
  codes: FloatTensor
) {
  ve_fake_quantize(
    values.pointer, values.count, multiplier, range.lowerBound, range.upperBound, unrounded.pointer,
    codes.pointer)
}

/// Adds `gradient * multiplier` to `target` where the value was not clipped.
/// - Returns: the gradient with respect to the logarithm of the step: the sum of gradient * (code - value), or of gradient *
///   code where clipped.
package func fakeQuantizeBackward(
  _ gradient: FloatTensor, unrounded: FloatTensor, multiplier: Float, range: ClosedRange<Float>,
  addTo target: FloatTensor
) -> Float {
  Float(
    ve_fake_quantize_backward(
      gradient.pointer, unrounded.pointer, gradient.count, multiplier, range.lowerBound, range.upperBound,
      target.pointer))
}
