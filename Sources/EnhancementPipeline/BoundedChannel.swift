// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// A queue between two tasks with a limit on the total cost of its elements: `send` waits while there is no
/// room.
///
/// One task sends and one task takes. Both throw `CancellationError` when their task is cancelled. A sender
/// must only call `finish` after success: if it throws instead, the task group cancels the receiver, which
/// would otherwise mistake the failure for the end of the stream.
package final class BoundedChannel<Element: Sendable>: Sendable {
  /// Limit on the total cost of the queued elements.
  package let capacity: Int

  private let cost: @Sendable (Element) -> Int
  private let state = Mutex(State())

  private typealias Waiter = CheckedContinuation<Void, any Error>

  private struct State {
    var elements: [Element] = []
    var isFinished = false
    /// Continuations of the sender waiting for room and of the receiver waiting for an element.
    var sender, taker: Waiter?
    /// Total cost of the queued elements, and its maximum so far.
    var held = 0
    var peak = 0

    // A key path into a generic class would be instantiated at each wait, which is slow.
    subscript(side: Side) -> Waiter? {
      get { side == .sender ? sender : taker }
      set { if side == .sender { sender = newValue } else { taker = newValue } }
    }
  }

  private enum Side { case sender, taker }

  /// Creates an empty channel.
  /// - Parameter cost: returns the cost of an element, in 1...capacity; always the same for the same element.
  package init(capacity: Int, cost: @escaping @Sendable (Element) -> Int = { _ in 1 }) {
    precondition(capacity > 0, "a channel holds at least one element")
    self.capacity = capacity
    self.cost = cost
  }

  /// The highest total cost of queued elements so far.
  package var peak: Int { state.withLock { $0.peak } }

  /// Appends an element; waits while there is no room for it.
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
      try await wait(on: .sender) { $0.held + cost <= self.capacity }
    }
  }

  /// Returns the next element, waiting for it if necessary; nil once the channel is finished and empty.
  /// - Throws: `CancellationError` if the task is cancelled.
  /// - Precondition: no other task is receiving.
  package func next() async throws -> Element? {
    while true {
      try Task.checkCancellation()
      let (element, isEnd, sender) = state.withLock {
        state -> (Element?, Bool, Waiter?) in
        guard !state.elements.isEmpty else { return (nil, state.isFinished, nil) }
        // Linear, but there are only a few references.
        let first = state.elements.removeFirst()
        state.held -= cost(first)
        defer { state.sender = nil }
        return (first, false, state.sender)
      }
      sender?.resume()
      if element != nil || isEnd { return element }
      try await wait(on: .taker) { !$0.elements.isEmpty || $0.isFinished }
    }
  }

  /// Marks the end of the stream, after the elements sent so far.
  package func finish() {
    let taker = state.withLock { state in
      state.isFinished = true
      defer { state.taker = nil }
      return state.taker
    }
    taker?.resume()
  }

  /// Suspends until the other side or cancellation resumes the continuation stored for its side; returns at
  /// once if `isReady` has become true.
  private func wait(
    on side: Side,
    unless isReady: @Sendable (State) -> Bool
  ) async throws {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome: Result<Void, any Error>? = state.withLock { state in
          // The cancellation handler may have run before the continuation was stored. The task's flag is set
          // before it runs.
          if Task.isCancelled { return .failure(CancellationError()) }
          if isReady(state) { return .success(()) }
          precondition(state[side] == nil, "one task on each side of a channel")
          state[side] = continuation
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      let continuation = state.withLock { state in
        defer { state[side] = nil }
        return state[side]
      }
      continuation?.resume(throwing: CancellationError())
    }
  }
}
