// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// The `.part` files being written, so that they can be removed if the process ends early.
package enum UnfinishedOutputs {
  private static let capacity = 256
  private static let lock = Mutex(())
  /// A file: its path as a C string, and its identity, which must match before it is removed.
  private struct Entry {
    let path: UnsafeMutablePointer<CChar>
    let place: FilePlace
  }

  /// The entries, nil for unused slots, in memory that a signal handler can read without a lock.
  // Unsafe: written under `lock`; the handler reads whole pointers, and none is freed once it has started.
  nonisolated(unsafe) private static let slots: UnsafeMutablePointer<UnsafeMutablePointer<Entry>?> = {
    let slots = UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>.allocate(capacity: capacity)
    slots.initialize(repeating: nil, count: capacity)
    return slots
  }()

  /// Whether a handler is reading the paths. Readers set this before they read; removers clear their slot before they check
  /// it. So one of the two always sees the other.
  private static let isRead = Atomic(false)

  /// Makes `removeAll` safe to call from a signal handler.
  package static func prepare() {
    _ = slots
    _ = isRead.load(ordering: .relaxed)
  }

  /// Removes all unfinished files. Outputs that are renamed to their targets at the same time are kept.
  /// - Returns: whether there were any.
  @discardableResult
  package static func removeAll() -> Bool {
    isRead.store(true, ordering: .relaxed)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    var hasRemoved = false
    for index in 0..<capacity {
      guard let entry = slots[index]?.pointee else { continue }
      // Another run may have created its own file there.
      var status = stat()
      guard lstat(entry.path, &status) == 0, FilePlace(status) == entry.place else { continue }
      if unlink(entry.path) == 0 { hasRemoved = true }
    }
    return hasRemoved
  }

  static func add(_ path: String, _ place: FilePlace) {
    lock.withLock { _ in
      guard let index = (0..<capacity).first(where: { slots[$0] == nil }),
        let text = strdup(FileName.cString(path))
      else { return }
      let entry = UnsafeMutablePointer<Entry>.allocate(capacity: 1)
      entry.initialize(to: Entry(path: text, place: place))
      atomicMemoryFence(ordering: .releasing)
      slots[index] = entry
    }
  }

  static func remove(_ path: String) {
    lock.withLock { _ in
      for index in 0..<capacity {
        guard let entry = slots[index], strcmp(entry.pointee.path, FileName.cString(path)) == 0 else {
          continue
        }
        slots[index] = nil
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if !isRead.load(ordering: .relaxed) {
          free(entry.pointee.path)
          entry.deallocate()
        }
        return
      }
    }
  }
}
