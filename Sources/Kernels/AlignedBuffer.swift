// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Memory aligned to 64 bytes that belongs to its holder alone. Contents are undefined at first.
///
/// It comes from a process-wide pool and returns to it: work on frames and training make and drop the same few sizes
/// thousands of times, and fresh pages cost more than the arithmetic on them.
package struct AlignedBuffer: ~Copyable, @unchecked Sendable {
  // Unchecked: whoever shares the memory between threads writes disjoint parts or only reads, as with any buffer.

  /// The first byte.
  package let pointer: UnsafeMutableRawPointer
  private let bytes: Int

  /// `bytes` bytes, at least one.
  package init(bytes: Int) {
    self.bytes = max(bytes, 1)
    pointer = AlignedPool.shared.take(bytes: self.bytes)
  }

  /// Room for `count` values.
  package init<Value: BitwiseCopyable>(_: Value.Type, count: Int) {
    self.init(bytes: count * MemoryLayout<Value>.stride)
  }

  deinit { AlignedPool.shared.give(pointer, bytes: bytes) }

  /// The memory as values.
  package func values<Value: BitwiseCopyable>(_: Value.Type) -> UnsafeMutablePointer<Value> {
    pointer.assumingMemoryBound(to: Value.self)
  }
}

/// Recycles 64-byte aligned blocks. A request takes a free block of its own size, or one up to half larger, so that tensors
/// of near sizes share memory over time.
final class AlignedPool: @unchecked Sendable {
  // Unchecked: `free` is only touched under `lock`.
  static let shared = AlignedPool()

  private let lock = NSLock()
  /// Free blocks by the size they were made with.
  private var free: [Int: [UnsafeMutableRawPointer]] = [:]
  /// Sizes that blocks in use were made with, where that is not the size asked for.
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
      // For AddressSanitizer, which sees a use after the end only of memory that was given back.
      block.deallocate()
    #else
      lock.lock()
      defer { lock.unlock() }
      free[larger.removeValue(forKey: block) ?? bytes, default: []].append(block)
    #endif
  }
}

/// Returns the memory of buffers no longer in use to the system.
public func releasePooledMemory() { AlignedPool.shared.releaseAll() }

extension AlignedPool {
  func releaseAll() {
    lock.lock()
    defer { lock.unlock() }
    for block in free.values.joined() { block.deallocate() }
    free.removeAll()
  }
}
