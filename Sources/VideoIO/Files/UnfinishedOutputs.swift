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
  /// A file: its path as a C string, and which file it must be for us to remove it.
  private struct Entry {
    let path: UnsafeMutablePointer<CChar>
    let place: FilePlace
  }

  /// Where they are, nil where there is none; memory that a signal's handler can read without a lock.
  // Unsafe: written under `lock`; the handler reads whole pointers, and from when it begins none is freed.
  nonisolated(unsafe) private static let slots: UnsafeMutablePointer<UnsafeMutablePointer<Entry>?> = {
    let slots = UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>.allocate(capacity: capacity)
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
      guard let entry = slots[index]?.pointee else { continue }
      // Another run may have put its own file there.
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
