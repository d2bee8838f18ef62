// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Synchronization

/// Calls a closure with the number of each window and its residual, which may change the residual or throw.
final class FaultyNetwork: WindowNetwork {
  struct Failure: Error {}

  let architecture: Architecture
  private let width, height: Int
  private let act: (Int, Residual) throws -> Void
  private var count = 0

  init(width: Int, height: Int, window: Int, act: @escaping (Int, Residual) throws -> Void) {
    architecture = BicubicNetwork(width: width, height: height, window: window).architecture
    self.width = width
    self.height = height
    self.act = act
  }

  func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) throws -> Prediction {
    precondition(window.count == architecture.window)
    precondition(window.allSatisfy { $0.width == width && $0.height == height })
    let result = try BicubicNetwork(width: width, height: height).predict(window)
    try act(count, result.residual)
    count += 1
    return result
  }
}

/// The frames of each window, numbered in order of appearance.
final class WindowLog: Sendable {
  private let state = Mutex<[[Int]]>([])

  var windows: [[Int]] { state.withLock { $0 } }

  func append(_ window: [Int]) { state.withLock { $0.append(window) } }
}

/// Records the frames in its windows.
final class RecordingNetwork: WindowNetwork {
  let architecture: Architecture
  private let base: BicubicNetwork
  private let log: WindowLog
  /// All frames seen, kept alive so that their identities stay unique.
  private var seen: [PlanarFrame] = []

  init(width: Int, height: Int, window: Int, log: WindowLog) {
    base = BicubicNetwork(width: width, height: height, window: window)
    architecture = base.architecture
    self.log = log
  }

  func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) throws -> Prediction {
    // Centres arrive in order of time; at the start of a scene, frames before the centre repeat later ones.
    for frame in [window[window.count / 2]] + window where !seen.contains(where: { $0 === frame }) {
      seen.append(frame)
    }
    log.append(window.compactMap { frame in seen.firstIndex { $0 === frame } })
    return try base.predict(window)
  }
}

/// The quantizers that a network was given.
final class QuantizerLog: Sendable {
  private let state = Mutex<Set<UInt8?>>([])

  var quantizers: Set<UInt8?> { state.withLock { $0 } }

  func insert(_ quantizer: UInt8?) { state.withLock { _ = $0.insert(quantizer) } }
}

/// Records the quantizers that it is given.
final class QuantizerNetwork: WindowNetwork {
  let architecture: Architecture
  private let base: BicubicNetwork
  private let log: QuantizerLog

  init(width: Int, height: Int, log: QuantizerLog) {
    base = BicubicNetwork(width: width, height: height)
    architecture = base.architecture
    self.log = log
  }

  func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) throws -> Prediction {
    log.insert(conditions.quantizer)
    return try base.predict(window)
  }
}
