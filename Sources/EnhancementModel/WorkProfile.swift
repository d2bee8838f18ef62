// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Accumulates the time spent in each part of the work.
///
/// Times are wall-clock seconds while a part is running, on any number of threads, without waiting for other parts. Parts
/// that run concurrently add up to more than the total.
package final class WorkProfile: Sendable {
  /// One part of the work.
  package struct Part: Sendable {
    /// Its name.
    package let name: String
    /// Total seconds, and number of runs.
    package var seconds: Double
    /// See `seconds`.
    package var count: Int
  }

  private let state = Mutex<[Part]>([])

  /// Creates an empty profile.
  package init() {}

  /// The parts in the order in which they first finished.
  package var parts: [Part] { state.withLock { $0 } }

  /// Adds `duration` to a part.
  package func add(_ duration: Duration, to name: String) {
    let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    state.withLock { parts in
      if let index = parts.firstIndex(where: { $0.name == name }) {
        parts[index].seconds += seconds
        parts[index].count += 1
      } else {
        parts.append(Part(name: name, seconds: seconds, count: 1))
      }
    }
  }
}

extension Optional<WorkProfile> {
  /// Runs a part of the work, and adds its time to the profile if there is one.
  @inlinable
  package func measure<Result, Failure: Error>(
    _ name: String, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard let self else { return try body() }
    let start = ContinuousClock.now
    defer { self.add(ContinuousClock.now - start, to: name) }
    return try body()
  }
}
