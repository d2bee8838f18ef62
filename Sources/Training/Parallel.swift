// SPDX-License-Identifier: Apache-2.0
import Dispatch

/// Runs `body` for 0 ..< count on all cores; results in order, or the first error.
public func parallel<R>(_ count: Int, _ body: (Int) throws -> R) throws -> [R] {
  var results: [Result<R, any Error>?] = Array(repeating: nil, count: count)
  results.withUnsafeMutableBufferPointer { buffer in
    nonisolated(unsafe) let slots = buffer  // Each iteration writes its own slot.
    nonisolated(unsafe) let work = body  // Iterations share nothing mutable: each has its own shard or generator.
    DispatchQueue.concurrentPerform(iterations: count) { index in
      slots[index] = Result { try work(index) }
    }
  }
  return try results.map { try $0!.get() }
}
