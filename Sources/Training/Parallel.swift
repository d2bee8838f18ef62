// SPDX-License-Identifier: Apache-2.0
import Dispatch

/// Runs `body` for 0 ..< count on all cores; results in order, or the first error.
public func parallel<R>(_ count: Int, _ body: (Int) throws -> R) throws -> [R] {
  var results: [Result<R, any Error>?] = Array(repeating: nil, count: count)
  results.withUnsafeMutableBufferPointer { buffer in
    // Each iteration writes its own slot, and has its own shard or generator: nothing mutable is shared.
    nonisolated(unsafe) let slots = buffer
    nonisolated(unsafe) let work = body
    DispatchQueue.concurrentPerform(iterations: count) { index in
      slots[index] = Result { try work(index) }
    }
  }
  return try results.map { try $0!.get() }
}
