// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Recycles 64-byte aligned blocks by exact size. Holds at most what was once in use at the same time.
final class AlignedPool: @unchecked Sendable {
  // Unchecked: `free` is only touched under `lock`.
  static let shared = AlignedPool()

  private let lock = NSLock()
  private var free: [Int: [UnsafeMutableRawPointer]] = [:]

  func take(bytes: Int) -> UnsafeMutableRawPointer {
    lock.lock()
    let block = free[bytes]?.popLast()
    lock.unlock()
    return block ?? .allocate(byteCount: bytes, alignment: 64)
  }

  func give(_ block: UnsafeMutableRawPointer, bytes: Int) {
    lock.lock()
    free[bytes, default: []].append(block)
    lock.unlock()
  }
}

/// Returns the memory of tensors no longer in use to the system.
public func releasePooledMemory() { AlignedPool.shared.releaseAll() }

extension AlignedPool {
  func releaseAll() {
    lock.lock()
    defer { lock.unlock() }
    for block in free.values.joined() { block.deallocate() }
    free.removeAll()
  }
}
