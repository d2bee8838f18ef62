// SPDX-License-Identifier: Apache-2.0
internal import CQuantKernels

/// Unsigned 8-bit activation codes of one image, NHWC, with a border of one pixel filled with the zero point: the input of
/// integer convolutions.
package final class CodeTensor: @unchecked Sendable {
  // Unchecked: threads write disjoint bands of rows, and reads only happen after they have joined.

  /// Extents without the border.
  package let width, height, channels: Int
  /// Code of real zero, which fills the border.
  package let zeroPoint: UInt8
  /// Bytes from one row to the next.
  package var rowStride: Int { (width + 2) * channels }
  /// Pixel (0, 0).
  package let origin: UnsafeMutablePointer<UInt8>

  private let memory: AlignedBuffer

  /// Creates a tensor filled with the zero point.
  package init(width: Int, height: Int, channels: Int, zeroPoint: Int32) {
    precondition(
      channels % 4 == 0 && (0...255).contains(zeroPoint), "channels come in fours, codes are 8-bit")
    self.width = width
    self.height = height
    self.channels = channels
    self.zeroPoint = UInt8(zeroPoint)
    let bytes = (width + 2) * (height + 2) * channels + Int(VE_SLACK_BYTES)
    memory = AlignedBuffer(bytes: bytes)
    let codes = memory.values(UInt8.self)
    codes.initialize(repeating: self.zeroPoint, count: bytes)
    origin = codes + (width + 2) * channels + channels
  }
}

/// 16-bit values of one image, NHWC without border: residual streams and outputs.
package final class StreamTensor: @unchecked Sendable {
  // Unchecked for the same reason as CodeTensor.

  /// Extents.
  package let width, height, channels: Int
  /// The values.
  package let values: UnsafeMutablePointer<Int16>

  private let memory: AlignedBuffer

  /// Creates an uninitialised tensor.
  package init(width: Int, height: Int, channels: Int) {
    self.width = width
    self.height = height
    self.channels = channels
    memory = AlignedBuffer(Int16.self, count: width * height * channels)
    values = memory.values(Int16.self)
  }
}
