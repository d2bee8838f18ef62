// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// A queue between two tasks that holds elements of at most `capacity` together: who sends faster than the
/// other takes, waits.
///
/// One task sends, one task takes. Both sides wake with `CancellationError` when their task is cancelled. A
/// sender calls `finish` only when it has succeeded: if it throws instead, the task group cancels the taker,
/// which must not mistake a failure for the end.
package final class BoundedChannel<Element: Sendable>: Sendable {
  /// What the elements held may cost together.
  package let capacity: Int

  private let cost: @Sendable (Element) -> Int
  private let state = Mutex(State())

  private typealias Waiter = CheckedContinuation<Void, any Error>

  private struct State {
    var elements: [Element] = []
    var isFinished = false
    /// Who waits for room, and who for elements.
    var sender, taker: Waiter?
    /// Costs of the elements, now and at most so far.
    var held = 0
    var peak = 0
  }

  /// An empty channel.
  /// - Parameter cost: of an element, always the same for it, 1...capacity.
  package init(capacity: Int, cost: @escaping @Sendable (Element) -> Int = { _ in 1 }) {
    precondition(capacity > 0, "a channel holds at least one element")
    self.capacity = capacity
    self.cost = cost
  }

  /// The most that the elements held at one time have cost so far.
  package var peak: Int { state.withLock { $0.peak } }

  /// Appends an element, waiting while there is no room for it.
  /// - Throws: `CancellationError` if the task is cancelled.
  /// - Precondition: `finish` has not been called, and no other task is sending.
  package func send(_ element: Element) async throws {
    let cost = cost(element)
    precondition(cost > 0 && cost <= capacity, "an element fits into its channel")
    while true {
      try Task.checkCancellation()
      let (isSent, taker) = state.withLock { state -> (Bool, Waiter?) in
        precondition(!state.isFinished, "a finished channel takes no elements")
        guard state.held + cost <= capacity else { return (false, nil) }
        state.elements.append(element)
        state.held += cost
        state.peak = max(state.peak, state.held)
        defer { state.taker = nil }
        return (true, state.taker)
      }
      taker?.resume()
      if isSent { return }
      try await wait(on: \.sender) { $0.held + cost <= self.capacity }
    }
  }

  /// The next element, waiting for it; nil when the channel is finished and empty.
  /// - Throws: `CancellationError` if the task is cancelled.
  /// - Precondition: no other task is taking.
  package func next() async throws -> Element? {
    while true {
      try Task.checkCancellation()
      let (element, isEnd, sender) = state.withLock {
        state -> (Element?, Bool, Waiter?) in
        guard !state.elements.isEmpty else { return (nil, state.isFinished, nil) }
        // Moves the others up, which is nothing for a handful of references.
        let first = state.elements.removeFirst()
        state.held -= cost(first)
        defer { state.sender = nil }
        return (first, false, state.sender)
      }
      sender?.resume()
      if element != nil || isEnd { return element }
      try await wait(on: \.taker) { !$0.elements.isEmpty || $0.isFinished }
    }
  }

  /// Tells the taker that no elements follow those already sent.
  package func finish() {
    let taker = state.withLock { state in
      state.isFinished = true
      defer { state.taker = nil }
      return state.taker
    }
    taker?.resume()
  }

  /// Sleeps until the other side, or cancellation, wakes the continuation stored at `place`; returns at once
  /// if `isReady` holds meanwhile.
  private func wait(
    on place: any WritableKeyPath<State, Waiter?> & Sendable,
    unless isReady: @Sendable (State) -> Bool
  ) async throws {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome: Result<Void, any Error>? = state.withLock { state in
          // The handler below may have run already and found nothing to wake; the flag was set before it ran.
          if Task.isCancelled { return .failure(CancellationError()) }
          if isReady(state) { return .success(()) }
          precondition(state[keyPath: place] == nil, "one task on each side of a channel")
          state[keyPath: place] = continuation
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      let continuation = state.withLock { state in
        defer { state[keyPath: place] = nil }
        return state[keyPath: place]
      }
      continuation?.resume(throwing: CancellationError())
    }
  }
}
