// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg
internal import Synchronization

/// Recycles the memory of pictures of one shape.
///
/// The pages of a new picture have to be mapped and cleared. Memory returns to the pool when the last reference to a frame
/// goes, in any thread, and is freed with the pool and its frames. A picture of another shape replaces the pool's memory.
package final class FramePool: Sendable {
  private let memory = Mutex<PooledMemory?>(nil)

  /// Creates an empty pool.
  package init() {}

  /// Gives a frame, whose extents and format are set, memory of the pool.
  /// - Returns: false, and nothing changes, if the pool has none of this shape; see `learn`.
  func fill(_ frame: UnsafeMutablePointer<AVFrame>) -> Bool {
    memory.withLock { $0 }?.fill(frame) ?? false
  }

  /// Makes the pool provide memory like that of a frame that FFmpeg allocated.
  func learn(from frame: UnsafeMutablePointer<AVFrame>) {
    let new = PooledMemory(like: frame)
    memory.withLock { $0 = new }
  }
}

/// The shape of pictures, and their memory.
private final class PooledMemory: @unchecked Sendable {
  // Unchecked: constant, and FFmpeg's pool locks itself.

  private static let planes = 4

  private let width, height, format: Int32
  private let bytesPerRow: [Int32]
  /// Where each plane begins; nil if there is none.
  private let offsets: [Int?]
  private let pool: OpaquePointer

  /// Returns nil if the picture has several buffers, or without memory.
  init?(like frame: UnsafeMutablePointer<AVFrame>) {
    guard let buffer = frame.pointee.buf.0, frame.pointee.buf.1 == nil, let start = buffer.pointee.data,
      let pool = av_buffer_pool_init(buffer.pointee.size, nil)
    else { return nil }
    self.pool = pool
    (width, height, format) = (frame.pointee.width, frame.pointee.height, frame.pointee.format)
    bytesPerRow = withUnsafeBytes(of: frame.pointee.linesize) {
      Array($0.bindMemory(to: Int32.self).prefix(Self.planes))
    }
    offsets = (0..<Self.planes).map { frame.pointee.extended_data[$0].map { $0 - start } }
  }

  deinit {
    var pool: OpaquePointer? = pool
    av_buffer_pool_uninit(&pool)
  }

  func fill(_ frame: UnsafeMutablePointer<AVFrame>) -> Bool {
    guard (frame.pointee.width, frame.pointee.height, frame.pointee.format) == (width, height, format),
      let buffer = av_buffer_pool_get(pool)
    else { return false }
    frame.pointee.buf.0 = buffer
    withUnsafeMutableBytes(of: &frame.pointee.linesize) { bytes in
      let lines = bytes.bindMemory(to: Int32.self)
      for plane in 0..<Self.planes { lines[plane] = bytesPerRow[plane] }
    }
    for (plane, offset) in offsets.enumerated() {
      frame.pointee.extended_data[plane] = offset.map { buffer.pointee.data + $0 }
    }
    return true
  }
}
