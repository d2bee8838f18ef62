// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import VideoIO

/// Handles termination signals: the first one requests the work to stop, the second one ends the process immediately. In
/// both cases, unfinished outputs are removed.
///
/// Loops check `isSet` once per step; tasks use `cancelling`.
final class Interrupt: Sendable {
  private let count = SignalCount()
  private let sources: SignalSources

  /// The signals handled. Signals that were ignored when the process started, as with nohup, stay ignored.
  private static let always = [SIGINT, SIGTERM]
  private static let unlessIgnored: [Int32] = {
    let usual = [SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU]
    #if canImport(Glibc)
      return usual + [SIGPOLL, SIGPWR, SIGSTKFLT]
    #else
      return usual
    #endif
  }()

  /// Seconds that work may take to stop, since a blocked read or write never returns.
  private static let patience: UInt32 = 4

  /// The first signal that came.
  private static let first = Atomic<Int32>(SIGINT)
  /// Whether the exit code identifies the signal, as cluster engines expect, or is always that of Ctrl-C.
  private static let distinguishesSignals = Atomic(false)

  /// From now on, exit codes distinguish signals: 143 for TERM and HUP, as sent by cluster engines, and 130
  /// for others.
  static func distinguishSignals() { distinguishesSignals.store(true, ordering: .relaxed) }

  /// The exit code of a process ended by a signal.
  static var exitCode: Int32 {
    guard distinguishesSignals.load(ordering: .relaxed) else { return 130 }
    return [SIGTERM, SIGHUP].contains(first.load(ordering: .relaxed)) ? 143 : 130
  }

  /// Starts handling signals.
  /// - Parameter action: called on the first signal, in addition to setting the flag.
  init(_ action: @escaping @Sendable () -> Void = {}) {
    let count = count
    // A separate queue, since the shared ones may be full of blocked work.
    let queue = DispatchQueue(label: "videnhance.signals")
    // The default action would end the process before the handler runs.
    let ignored = unsafeBitCast(SIG_IGN, to: Int.self)
    let numbers =
      Self.always.filter {
        signal($0, SIG_IGN)
        return true
      } + Self.unlessIgnored.filter { unsafeBitCast(signal($0, SIG_IGN), to: Int.self) != ignored }
    sources = SignalSources(
      numbers.map { number in
        let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
        source.setEventHandler {
          if count.increment() == 1 {
            Self.first.store(number, ordering: .relaxed)
            action()
          } else {
            Self.end("interrupted again")
          }
        }
        source.resume()
        return source
      })
  }

  /// Whether a signal has been received.
  var isSet: Bool { count.value > 0 }

  /// Runs work that the first signal cancels.
  /// - Throws: the error of `work`, or `CancellationError` if a signal cancelled it.
  static func cancelling<Result: Sendable>(_ work: @escaping @Sendable () async throws -> Result) async throws
    -> Result
  {
    let task = Task { try await work() }
    let isDone = Flag()
    let interrupt = Interrupt {
      task.cancel()
      Thread.detachNewThread {
        sleep(patience)
        if !isDone.isSet { end("interrupted while its input or output blocked") }
      }
    }
    defer {
      isDone.set()
      interrupt.sources.cancel()
    }
    do {
      return try await task.value
    } catch {
      // Errors caused by the cancellation are irrelevant.
      throw interrupt.isSet ? CancellationError() : error
    }
  }

  private static func end(_ reason: String) -> Never {
    let hasRemoved = UnfinishedOutputs.removeAll()
    Console.line("videnhance: \(reason)" + (hasRemoved ? ", the unfinished output is removed" : ""))
    // Not `exit`, which would destroy objects that running tasks still use.
    _exit(exitCode)
  }
}

/// The signal handlers.
private final class SignalSources: @unchecked Sendable {
  // Unchecked: set once; Dispatch sources may be used from any thread.
  private let sources: [any DispatchSourceSignal]

  init(_ sources: [any DispatchSourceSignal]) { self.sources = sources }

  func cancel() { for source in sources { source.cancel() } }
}

/// A flag that can only be set.
private final class Flag: Sendable {
  private let value = Atomic(false)

  var isSet: Bool { value.load(ordering: .acquiring) }

  func set() { value.store(true, ordering: .releasing) }
}

/// Number of signals so far.
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

/// Handles crashes of the process: errors in the program, or a lack of memory, which Swift cannot catch.
enum Collapse {
  /// Whether a thread is already ending the process: several may crash at once, but one line is enough.
  private static let isEnding = Atomic(false)

  /// Makes the process end with one line and code 70, and remove unfinished outputs. Exceeding a file size limit becomes an
  /// error of the write.
  static func install() {
    // Allocated here, because a signal handler must not allocate.
    _ = isEnding.load(ordering: .relaxed)
    signal(SIGXFSZ, SIG_IGN)
    // A closed pipe becomes an error of the write as well, if it was for data.
    signal(SIGPIPE, SIG_IGN)
    keepStandardDescriptors()
    UnfinishedOutputs.prepare()
    // Libraries may end the process, too: oneDNN's OpenMP does so if it cannot create a thread.
    atexit { UnfinishedOutputs.removeAll() }
    for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE] {
      signal(number) { _ in
        Collapse.end("videnhance: stopped by an internal error, or as there is no memory left\n")
      }
    }
  }

  /// Occupies the descriptors of standard input, output and error if they are closed: otherwise, the next opened file would
  /// get them, and messages would be written into a video. Reading standard input and writing standard output still fail.
  private static func keepStandardDescriptors() {
    for (descriptor, mode) in [
      (STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY),
    ]
    where fcntl(descriptor, F_GETFD) < 0 {
      _ = open("/dev/null", mode)
    }
  }

  /// Ends the process with a line and code 70; only uses async-signal-safe functions.
  static func end(_ text: StaticString) -> Never {
    if isEnding.exchange(true, ordering: .acquiringAndReleasing) { while true { pause() } }
    _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
    UnfinishedOutputs.removeAll()
    _exit(70)
  }
}
