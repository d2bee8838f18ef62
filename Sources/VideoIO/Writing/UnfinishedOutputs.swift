// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// The `.part` files that are being written, for a process that ends in the middle of it.
public enum UnfinishedOutputs {
  private static let capacity = 256
  private static let lock = Mutex(())
  /// Their paths as C strings, nil where there is none; memory that a signal's handler can read without a lock.
  // Unsafe: written under `lock`; the handler reads whole pointers, and from when it begins none is freed.
  nonisolated(unsafe) private static let slots: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> = {
    let slots = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: capacity)
    slots.initialize(repeating: nil, count: capacity)
    return slots
  }()

  /// Whether someone has begun to read the paths. Who takes a path away looks here after that, who reads says so before: one
  /// of the two always sees the other.
  private static let isRead = Atomic(false)

  /// Makes `removeAll` safe to call from a signal's handler.
  public static func prepare() {
    _ = slots
    _ = isRead.load(ordering: .relaxed)
  }

  /// Removes them all. Outputs that get their name meanwhile stay.
  /// - Returns: whether there was any.
  @discardableResult
  public static func removeAll() -> Bool {
    isRead.store(true, ordering: .relaxed)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    var hasRemoved = false
    for index in 0..<capacity {
      guard let path = slots[index] else { continue }
      if unlink(path) == 0 { hasRemoved = true }
    }
    return hasRemoved
  }

  static func add(_ path: String) {
    lock.withLock { _ in
      guard let index = (0..<capacity).first(where: { slots[$0] == nil }) else { return }
      slots[index] = strdup(path)
    }
  }

  static func remove(_ path: String) {
    lock.withLock { _ in
      for index in 0..<capacity {
        if let text = slots[index], strcmp(text, path) == 0 {
          slots[index] = nil
          atomicMemoryFence(ordering: .sequentiallyConsistent)
          if !isRead.load(ordering: .relaxed) { free(text) }
          return
        }
      }
    }
  }
}
