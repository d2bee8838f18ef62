// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
package import Foundation
internal import Kernels
package import Tensors

/// Provides the batches of a run: draws from a pool of windows and replaces a few windows per step, on the shards' threads.
///
/// Seeded: equal seeds and step numbers yield equal windows. (A resumed run starts with a fresh pool.)
package final class BatchSource {
  private let settings: TrainingSettings
  private let maker: WindowMaker
  private let pool: WindowPool
  private let kind: (TrainingWindow) -> Int
  private let complete: ((_ shard: Int, inout TrainingWindow) throws -> Void)?

  /// Opens the training data.
  /// - Parameter kind: classifies windows so that each shard gets windows of one kind; nil does not classify them.
  /// - Parameter complete: completes a new window, such as with teachers' outputs; called by one thread per shard.
  package init(
    settings: TrainingSettings, data: URL, log: (String) -> Void, kind: ((TrainingWindow) -> Int)? = nil,
    complete: ((_ shard: Int, inout TrainingWindow) throws -> Void)? = nil
  ) throws {
    self.settings = settings
    self.kind = kind ?? { _ in 0 }
    self.complete = complete
    maker = try WindowMaker(
      folder: data, architecture: settings.architecture, size: settings.sourceSize,
      degradation: settings.degradation,
      log: log)
    pool = WindowPool(capacity: settings.poolCapacity)
  }

  /// Runs one step's shards concurrently.
  /// - Parameter body: computes shard `index` on its part of the batch; results are returned in order.
  package func withBatch<R>(step: Int, _ body: (_ shard: Int, _ windows: [TrainingWindow]) throws -> R) throws
    -> [R]
  {
    var random = SplitMix64(seed: settings.seed &* 0x9e37_79b9 &+ UInt64(step) &* 0x1000_0001)
    let fresh = pool.windows.count < settings.poolCapacity ? settings.batch : settings.freshPerStep
    if pool.windows.isEmpty { try fill(&random) }
    let perShard = settings.batch / settings.shards
    let picked = (0..<settings.shards).map { _ in pick(perShard, &random) }
    let seeds = (0..<fresh).map { _ in random.next() }
    let results = try Parallel.map(settings.shards) { [self] shard -> (R, [TrainingWindow]) in
      setConvolutionThreads(1)
      let value = try body(shard, picked[shard])
      var made: [TrainingWindow] = []
      for index in stride(from: shard, to: fresh, by: settings.shards) {
        var own = SplitMix64(seed: seeds[index])
        made.append(try window(shard: shard, &own))
      }
      return (value, made)
    }
    for (_, made) in results { pool.add(made, using: &random) }
    return results.map(\.0)
  }

  /// Picks windows of one kind; kinds are as frequent as in the pool.
  private func pick(_ count: Int, _ random: inout SplitMix64) -> [TrainingWindow] {
    let windows = pool.windows
    let first = windows[random.index(windows.count)]
    let wanted = kind(first)
    return [first]
      + (1..<count).map { _ in
        while true {
          let other = random.index(windows.count)
          if kind(windows[other]) == wanted { return windows[other] }
        }
      }
  }

  /// Fills the pool initially.
  private func fill(_ random: inout SplitMix64) throws {
    let seeds = (0..<4 * settings.batch).map { _ in random.next() }
    let parts = try Parallel.map(settings.shards) { [self] shard in
      setConvolutionThreads(1)
      return try stride(from: shard, to: seeds.count, by: settings.shards).map {
        var own = SplitMix64(seed: seeds[$0])
        return try window(shard: shard, &own)
      }
    }
    for part in parts { pool.add(part, using: &random) }
  }

  private func window(shard: Int, _ random: inout SplitMix64) throws -> TrainingWindow {
    var window = try maker.make(using: &random)
    // Only `ContrastLoss` needs the base, which would take 100 MB of a pool.
    if settings.contrastWeight == nil { window.base = [] }
    try complete?(shard, &window)
    return window
  }

  /// Creates windows outside the pool.
  package func makeWindows(_ count: Int, random: inout SplitMix64) throws -> [TrainingWindow] {
    let seeds = (0..<count).map { _ in random.next() }
    return try Parallel.map(count) { [maker] index in
      var own = SplitMix64(seed: seeds[index])
      return try maker.make(using: &own)
    }
  }
}
