// SPDX-License-Identifier: Apache-2.0
internal import Dispatch

/// Calls `body` with 0..<count, on up to `threads` threads at once.
func concurrently(_ count: Int, threads: Int, _ body: @Sendable (Int) -> Void) {
  let workers = min(count, threads)
  if workers <= 1 {
    for index in 0..<count { body(index) }
  } else {
    DispatchQueue.concurrentPerform(iterations: workers) { worker in
      for index in stride(from: worker, to: count, by: workers) { body(index) }
    }
  }
}
