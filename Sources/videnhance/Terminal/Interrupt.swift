// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import VideoIO

/// SIGINT and SIGTERM: the first one asks the work to stop, the second one ends the process at once. Then, too, no
/// unfinished output is left.
///
/// For loops that look at `isSet` once per step; for tasks there is `cancelling`.
final class Interrupt: Sendable {
  private let count = SignalCount()
  private let sources: SignalSources

  /// Starts listening.
  /// - Parameter action: what the first signal does, beside setting the flag.
  init(_ action: @escaping @Sendable () -> Void = {}) {
    let count = count
    sources = SignalSources(
      [SIGINT, SIGTERM].map { number in
        // The default action would end the process before the handler runs.
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { if count.increment() == 1 { action() } else { Self.end() } }
        source.resume()
        return source
      })
  }

  /// Whether a signal has come.
  var isSet: Bool { count.value > 0 }

  /// Runs work that the first signal cancels.
  /// - Throws: what `work` throws, or `CancellationError` if it was cancelled by a signal.
  static func cancelling<Result: Sendable>(_ work: @escaping @Sendable () async throws -> Result) async throws
    -> Result
  {
    let task = Task { try await work() }
    let interrupt = Interrupt { task.cancel() }
    defer { interrupt.sources.cancel() }
    do {
      return try await task.value
    } catch {
      // Whatever else fell over while work was being cut short is not the story.
      throw interrupt.isSet ? CancellationError() : error
    }
  }

  private static func end() -> Never {
    let hasRemoved = UnfinishedOutputs.removeAll()
    Console.line("videnhance: interrupted again" + (hasRemoved ? ", the unfinished output is removed" : ""))
    // Not exit: tasks are still at work on what it would take down.
    _exit(130)
  }
}

/// What listens to signals.
private final class SignalSources: @unchecked Sendable {
  // Unchecked: set once; sources of Dispatch may be used from anywhere.
  private let sources: [any DispatchSourceSignal]

  init(_ sources: [any DispatchSourceSignal]) { self.sources = sources }

  func cancel() { for source in sources { source.cancel() } }
}

/// Signals so far.
private final class SignalCount: Sendable {
  private let count = Mutex(0)

  var value: Int { count.withLock { $0 } }

  func increment() -> Int {
    count.withLock {
      $0 += 1
      return $0
    }
  }
}

/// What a process does that cannot go on: by an error in the program, or as memory is exhausted, which Swift cannot
/// catch.
enum Collapse {
  /// Whether a thread is ending the process: several may fall at once, and one line is enough.
  private static let isEnding = Atomic(false)

  /// Makes it end with one line and code 70, and without an unfinished output. A broken disk limit becomes an error of
  /// the write that hits it.
  static func install() {
    // Made here: nothing may be made in the middle of anything.
    _ = isEnding.load(ordering: .relaxed)
    signal(SIGXFSZ, SIG_IGN)
    UnfinishedOutputs.prepare()
    // Libraries may end the process, too: oneDNN's OpenMP does so where it gets no thread.
    atexit { UnfinishedOutputs.removeAll() }
    for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE] {
      signal(number) { _ in
        Collapse.end("videnhance: stopped by an internal error, or as there is no memory left\n")
      }
    }
  }

  /// Ends the process with a line and code 70; does only what is allowed in the middle of anything.
  static func end(_ text: StaticString) -> Never {
    if isEnding.exchange(true, ordering: .acquiringAndReleasing) { while true { pause() } }
    _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
    UnfinishedOutputs.removeAll()
    _exit(70)
  }
}
