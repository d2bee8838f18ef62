// SPDX-License-Identifier: Apache-2.0

/// The real interval covered by an activation's codes; values outside are clipped.
package struct ClippingRange: Hashable, Codable, Sendable {
  /// Bounds lb and ub of PMQ-VE, eq. 1.
  package var lower, upper: Float

  /// Creates a range.
  package init(lower: Float, upper: Float) {
    self.lower = lower
    self.upper = upper
  }

  /// The range, extended to include zero and shifted so that zero has an exact code. Unlike the paper's quantizer, this
  /// one needs exact zeros, because of zero padding in integer arithmetic.
  package func snapped(levels: Int32) -> ClippingRange {
    let quantizer = ActivationQuantizer(range: self, levels: levels)
    return ClippingRange(
      lower: Float(-quantizer.zeroPoint) * quantizer.step,
      upper: Float(quantizer.levels - quantizer.zeroPoint) * quantizer.step)
  }
}

/// Uniform asymmetric quantizer: code = clamp(round(x / step) + zeroPoint, 0, levels) (PMQ-VE, eq. 1-2, with lb a multiple
/// of the step).
package struct ActivationQuantizer: Hashable, Codable, Sendable {
  /// Real distance between adjacent codes.
  package var step: Float
  /// Code of real zero, in 0...levels.
  package var zeroPoint: Int32
  /// Greatest code: 2^bits - 1, or less where a kernel has room for more codes, but not for twice as many.
  package var levels: Int32

  /// Creates a quantizer from its parameters.
  package init(step: Float, zeroPoint: Int32, levels: Int32) {
    self.step = step
    self.zeroPoint = zeroPoint
    self.levels = levels
  }

  /// Creates the quantizer of a range with codes 0...levels.
  ///
  /// Postconditions: real zero has a code; the step is positive.
  package init(range: ClippingRange, levels: Int32) {
    self.levels = levels
    let lower = min(0, range.lower)
    let upper = max(0, range.upper)
    step = max((upper - lower) / Float(levels), 1e-12)
    zeroPoint = max(0, min(levels, Int32((-lower / step).rounded())))
  }

  /// The packed frame: codes are the file's 8-bit samples, zero is 128, full range is 1.
  package static let frame = ActivationQuantizer(step: 1 / 255, zeroPoint: 128, levels: 255)

  /// Bits of a code.
  package var bits: Int { Int(32 - levels.leadingZeroBitCount) }
}
