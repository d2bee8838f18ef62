// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import VideoIO

/// Signals that end a process: the first one asks the work to stop, the second one ends the process at once. Then, too, no
/// unfinished output is left.
///
/// For loops that look at `isSet` once per step; for tasks there is `cancelling`.
final class Interrupt: Sendable {
  private let count = SignalCount()
  private let sources: SignalSources

  /// What is listened to. Those that the process was begun with ignoring, as by nohup, stay ignored.
  private static let always = [SIGINT, SIGTERM]
  private static let unlessIgnored: [Int32] = {
    let usual = [SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU]
    #if canImport(Glibc)
      return usual + [SIGPOLL, SIGPWR, SIGSTKFLT]
    #else
      return usual
    #endif
  }()

  /// How long work may take to stop, in seconds: a read or write that blocks never does.
  private static let patience: UInt32 = 4

  /// The first signal that came.
  private static let first = Atomic<Int32>(SIGINT)
  /// Whether the process ends with the code of the signal, as engines want to know it, or as after Ctrl-C.
  private static let tellsSignal = Atomic(false)

  /// From now on, signals are told apart by exit codes: 143 for TERM and HUP, as engines send them, and 130 for others.
  static func tellSignals() { tellsSignal.store(true, ordering: .relaxed) }

  /// With which a process ends that a signal has ended.
  static var exitCode: Int32 {
    guard tellsSignal.load(ordering: .relaxed) else { return 130 }
    return [SIGTERM, SIGHUP].contains(first.load(ordering: .relaxed)) ? 143 : 130
  }

  /// Starts listening.
  /// - Parameter action: what the first signal does, beside setting the flag.
  init(_ action: @escaping @Sendable () -> Void = {}) {
    let count = count
    // A queue of its own: those that are shared may be full of work that blocks.
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

  /// Whether a signal has come.
  var isSet: Bool { count.value > 0 }

  /// Runs work that the first signal cancels.
  /// - Throws: what `work` throws, or `CancellationError` if it was cancelled by a signal.
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
      // Whatever else fell over while work was being cut short is not the story.
      throw interrupt.isSet ? CancellationError() : error
    }
  }

  private static func end(_ reason: String) -> Never {
    let hasRemoved = UnfinishedOutputs.removeAll()
    Console.line("videnhance: \(reason)" + (hasRemoved ? ", the unfinished output is removed" : ""))
    // Not exit: tasks are still at work on what it would take down.
    _exit(exitCode)
  }
}

/// What listens to signals.
private final class SignalSources: @unchecked Sendable {
  // Unchecked: set once; sources of Dispatch may be used from anywhere.
  private let sources: [any DispatchSourceSignal]

  init(_ sources: [any DispatchSourceSignal]) { self.sources = sources }

  func cancel() { for source in sources { source.cancel() } }
}

/// Something that is so from a moment on.
private final class Flag: Sendable {
  private let value = Atomic(false)

  var isSet: Bool { value.load(ordering: .acquiring) }

  func set() { value.store(true, ordering: .releasing) }
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
    // Who does not read any more is an error of the write, too, where that is of data.
    signal(SIGPIPE, SIG_IGN)
    keepStandardDescriptors()
    UnfinishedOutputs.prepare()
    // Libraries may end the process, too: oneDNN's OpenMP does so where it gets no thread.
    atexit { UnfinishedOutputs.removeAll() }
    for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE] {
      signal(number) { _ in
        Collapse.end("videnhance: stopped by an internal error, or as there is no memory left\n")
      }
    }
  }

  /// Takes the numbers of standard input, output and errors where they are closed: the next file that is opened would get them,
  /// and messages would be written into a video. Reading the first and writing the second still fails.
  private static func keepStandardDescriptors() {
    for (descriptor, mode) in [
      (STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY),
    ]
    where fcntl(descriptor, F_GETFD) < 0 {
      _ = open("/dev/null", mode)
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
