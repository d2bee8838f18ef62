// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// Runs work that the first SIGINT or SIGTERM cancels; the second one ends the process at once.
enum Interrupt {
  /// - Throws: what `work` throws, or `CancellationError` if it was cancelled by a signal.
  static func cancelling<Result: Sendable>(_ work: @escaping @Sendable () async throws -> Result) async throws
    -> Result
  {
    let task = Task { try await work() }
    let count = SignalCount()
    let sources = [SIGINT, SIGTERM].map { number in
      // The default action would end the process before the handler runs.
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { if count.increment() == 1 { task.cancel() } else { exit(130) } }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    do {
      return try await task.value
    } catch {
      // Whatever else fell over while work was being cut short is not the story.
      throw count.isZero ? error : CancellationError()
    }
  }
}

/// Signals so far.
private final class SignalCount: Sendable {
  private let value = Mutex(0)

  var isZero: Bool { value.withLock { $0 == 0 } }

  func increment() -> Int {
    value.withLock {
      $0 += 1
      return $0
    }
  }
}
