// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Synchronization

/// Parallel loops on libdispatch's threads.
package enum Parallel {
  /// Processors that this process may use.
  package static var processorCount: Int { ProcessorShare.count }

  /// Calls `body` with 0 ..< count on up to `threads` threads, including the calling one; returns when all calls have finished.
  package static func forEach(_ count: Int, threads: Int, _ body: @Sendable (Int) -> Void) {
    let workers = min(count, threads)
    if workers <= 1 {
      for index in 0..<count { body(index) }
      return
    }
    let next = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: workers) { _ in
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if index >= count { return }
        body(index)
      }
    }
  }

  /// The results of `body` for 0 ..< count, in order.
  /// - Throws: the error of the lowest index that failed; all others run nevertheless.
  package static func map<Value, Failure: Error>(
    _ count: Int, threads: Int = processorCount, _ body: (Int) throws(Failure) -> Value
  ) throws(Failure) -> [Value] {
    var results = [Result<Value, Failure>?](repeating: nil, count: count)
    results.withUnsafeMutableBufferPointer { buffer in
      // Each call writes its own slot; the caller guarantees that `body` shares no mutable state.
      nonisolated(unsafe) let slots = buffer
      withoutActuallyEscaping(body) { body in
        nonisolated(unsafe) let work = body
        forEach(count, threads: threads) { index in
          do throws(Failure) {
            slots[index] = .success(try work(index))
          } catch {
            slots[index] = .failure(error)
          }
        }
      }
    }
    var values: [Value] = []
    values.reserveCapacity(count)
    for result in results { values.append(try result!.get()) }
    return values
  }

  /// Calls `body` with disjoint ranges that cover 0 ..< rows, of nearly equal lengths that are multiples of `multiple`, except
  /// for the last.
  /// - Parameter scratchBytes: size of the scratch memory passed to each call (64-byte aligned).
  package static func bands(
    rows: Int, multiple: Int = 1, threads: Int, scratchBytes: Int = 0,
    _ body: @Sendable (Range<Int>, UnsafeMutableRawPointer?) -> Void
  ) {
    // A few bands per thread, so that an interrupted thread does not delay the others for long, of nearly equal lengths,
    // so that all finish at about the same time.
    let pieces = (rows + multiple - 1) / multiple
    let count = min(pieces, threads == 1 ? 1 : threads * 4)
    forEach(count, threads: threads) { index in
      let (begin, end) = (index * pieces / count * multiple, (index + 1) * pieces / count * multiple)
      let band = begin..<min(rows, end)
      if scratchBytes == 0 { return body(band, nil) }
      let scratch = AlignedBuffer(bytes: scratchBytes)
      body(band, scratch.pointer)
    }
  }
}
