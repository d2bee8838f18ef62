// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Uniquely owned memory, aligned to 64 bytes. Initial contents are undefined.
///
/// Allocated from a process-wide pool: processing frames and training allocate and free the same few sizes thousands of
/// times, and fresh pages cost more than the arithmetic on them.
package struct AlignedBuffer: ~Copyable, @unchecked Sendable {
  // Unchecked: threads that share the memory write disjoint parts or only read, as with any buffer.

  /// The first byte.
  package let pointer: UnsafeMutableRawPointer
  private let bytes: Int

  /// Allocates `bytes` bytes, at least one.
  package init(bytes: Int) {
    self.bytes = max(bytes, 1)
    pointer = AlignedPool.shared.take(bytes: self.bytes)
  }

  /// Allocates memory for `count` values.
  package init<Value: BitwiseCopyable>(_: Value.Type, count: Int) {
    self.init(bytes: count * MemoryLayout<Value>.stride)
  }

  deinit { AlignedPool.shared.give(pointer, bytes: bytes) }

  /// The memory as values.
  package func values<Value: BitwiseCopyable>(_: Value.Type) -> UnsafeMutablePointer<Value> {
    pointer.assumingMemoryBound(to: Value.self)
  }
}

/// Recycles 64-byte aligned blocks. A request uses a free block of its own size, or one up to half larger, so that tensors
/// of similar sizes share memory over time.
final class AlignedPool: @unchecked Sendable {
  // Unchecked: `free` is only touched under `lock`.
  static let shared = AlignedPool()

  private let lock = NSLock()
  /// Free blocks by allocated size.
  private var free: [Int: [UnsafeMutableRawPointer]] = [:]
  /// Allocated sizes of blocks in use that are larger than requested.
  private var larger: [UnsafeMutableRawPointer: Int] = [:]

  func take(bytes: Int) -> UnsafeMutableRawPointer {
    lock.lock()
    defer { lock.unlock() }
    if let block = free[bytes]?.popLast() { return block }
    let near = free.filter { $0.key > bytes && $0.key <= bytes + bytes / 2 && !$0.value.isEmpty }.keys.min()
    if let near, let block = free[near]?.popLast() {
      larger[block] = near
      return block
    }
    return .allocate(byteCount: bytes, alignment: 64)
  }

  func give(_ block: UnsafeMutableRawPointer, bytes: Int) {
    #if UNPOOLED
      // AddressSanitizer only detects use after free of deallocated memory.
      block.deallocate()
    #else
      lock.lock()
      defer { lock.unlock() }
      free[larger.removeValue(forKey: block) ?? bytes, default: []].append(block)
    #endif
  }
}

/// Returns the memory of unused buffers to the system.
package func releasePooledMemory() { AlignedPool.shared.releaseAll() }

extension AlignedPool {
  func releaseAll() {
    lock.lock()
    defer { lock.unlock() }
    for block in free.values.joined() { block.deallocate() }
    free.removeAll()
  }
}
