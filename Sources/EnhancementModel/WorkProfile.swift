// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Adds up where time goes: seconds by the name of a part of the work.
///
/// Seconds are those that pass on the clock while a part is worked on, on however many threads; what waits for other parts
/// does not count. Parts that run side by side add up to more than the whole.
public final class WorkProfile: Sendable {
  /// One part of the work.
  public struct Part: Sendable {
    /// Its name.
    public let name: String
    /// Seconds in all, and how often it was done.
    public var seconds: Double
    /// See `seconds`.
    public var count: Int
  }

  private let state = Mutex<[Part]>([])

  /// An empty profile.
  public init() {}

  /// The parts in the order of their first end.
  public var parts: [Part] { state.withLock { $0 } }

  /// Adds `duration` to a part.
  public func add(_ duration: Duration, to name: String) {
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
  /// Does a part of the work, and adds its time to the profile if there is one.
  @inlinable
  public func measure<Result, Failure: Error>(
    _ name: String, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard let self else { return try body() }
    let start = ContinuousClock.now
    defer { self.add(ContinuousClock.now - start, to: name) }
    return try body()
  }
}
