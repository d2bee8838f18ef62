// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Set by the first SIGINT or SIGTERM; the second one ends the process. For loops that look at it once per step.
final class InterruptFlag {
  private let state = SignalState()
  private let sources: [any DispatchSourceSignal]

  /// Starts listening.
  init() {
    let state = state
    sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { if state.raise() { exit(130) } }
      source.resume()
      return source
    }
  }

  /// Whether a signal has come.
  var isSet: Bool { state.isSet }
}

/// A flag shared with the signal's handler.
private final class SignalState: @unchecked Sendable {
  // Unchecked: `flag` is only touched under `lock`.
  private let lock = NSLock()
  private var flag = false

  var isSet: Bool {
    lock.lock()
    defer { lock.unlock() }
    return flag
  }

  /// Sets the flag; returns whether it was set before.
  func raise() -> Bool {
    lock.lock()
    defer { lock.unlock() }
    let before = flag
    flag = true
    return before
  }
}
