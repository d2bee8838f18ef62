// SPDX-License-Identifier: Apache-2.0
internal import Kernels

/// A dense NHWC tensor of 32-bit floats: `[batch, height, width, channels]`, channels innermost.
///
/// A tensor is a reference to its memory: assignments share it, without copy-on-write.
package final class FloatTensor: @unchecked Sendable {
  // Unchecked: the memory is only accessed through `pointer`, and threads that share a tensor write disjoint parts or
  // only read, as with any buffer.

  /// Images, rows, columns and channels.
  package let batch, height, width, channels: Int
  /// `count` floats, 64-byte aligned, contents undefined after `init(batch:height:width:channels:)`.
  package let pointer: UnsafeMutablePointer<Float>

  private let memory: AlignedBuffer

  /// Creates an uninitialised tensor. Every extent must be positive.
  package init(batch: Int = 1, height: Int, width: Int, channels: Int) {
    precondition(batch > 0 && height > 0 && width > 0 && channels > 0, "a tensor's extents are positive")
    self.batch = batch
    self.height = height
    self.width = width
    self.channels = channels
    memory = AlignedBuffer(Float.self, count: batch * height * width * channels)
    pointer = memory.values(Float.self)
  }

  /// Creates an uninitialised tensor of the same shape as `other`.
  package convenience init(like other: FloatTensor) {
    self.init(batch: other.batch, height: other.height, width: other.width, channels: other.channels)
  }

  /// Number of floats.
  package var count: Int { batch * height * width * channels }
  /// Number of pixels: batch x height x width.
  package var pixels: Int { batch * height * width }
  /// The floats.
  package var buffer: UnsafeMutableBufferPointer<Float> { .init(start: pointer, count: count) }

  /// Whether all four extents are equal.
  package func hasShape(of other: FloatTensor) -> Bool {
    batch == other.batch && height == other.height && width == other.width && channels == other.channels
  }

  /// Sets every element.
  package func fill(_ value: Float) { buffer.update(repeating: value) }
}

/// A 16-bit tensor of the same layout: bfloat16 operands of convolutions, stored as bit patterns.
package final class BFloatTensor: @unchecked Sendable {
  // Unchecked for the same reason as FloatTensor.

  /// Number of elements.
  package let count: Int
  /// Bit patterns, 64-byte aligned.
  package let pointer: UnsafeMutablePointer<UInt16>

  private let memory: AlignedBuffer

  /// Allocates uninitialised storage for `count` elements.
  package init(count: Int) {
    self.count = count
    memory = AlignedBuffer(UInt16.self, count: count)
    pointer = memory.values(UInt16.self)
  }
}
