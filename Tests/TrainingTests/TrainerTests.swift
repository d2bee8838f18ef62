// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Kernels
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite struct ParallelTests {
  private struct Failure: Error, Equatable { var index: Int }

  @Test func resultsComeInOrder() throws {
    #expect(Parallel.map(100) { $0 * $0 } == (0..<100).map { $0 * $0 })
    #expect(Parallel.map(0) { $0 }.isEmpty)
  }

  @Test func theFirstErrorIsThrown() {
    let lock = NSLock()
    nonisolated(unsafe) var ran = 0  // Guarded by `lock`.
    #expect(throws: Failure(index: 3)) {
      try Parallel.map(20) { index -> Int in
        lock.withLock { ran += 1 }
        if index == 3 || index == 17 { throw Failure(index: index) }
        return index
      }
    }
    #expect(ran == 20)
    #expect(throws: Failure(index: 0)) { try Parallel.map(1) { throw Failure(index: $0) } }
  }
}

@Suite struct TrainingLoopTests {
  /// The events of a training loop.
  private final class Log {
    var progress: [Double] = []
    var reports: [TrainingReport] = []
    var saved: [Double] = []
  }

  private func run(
    _ loop: TrainingLoop, cancelsAfter count: Int = .max, step: @escaping () throws -> Void = {}
  ) throws -> Log {
    let log = Log()
    try loop.run(
      TrainingLoop.Actions(
        advance: { progress in
          log.progress.append(progress)
          try step()
          return (loss: 0.5, rate: 0.25)
        }, stepCount: { 7 + log.progress.count }, validate: { nil }, save: { log.saved.append($0) },
        isCancelled: { log.progress.count >= count }, report: { log.reports.append($0) }))
    return log
  }

  @Test func runEndsAfterItsMinutes() throws {
    var loop = TrainingLoop(minutes: 0.3 / 60, secondsBefore: 0.1, operationsPerStep: 1e6)
    loop.reportSeconds = 0.05
    loop.checkpointSeconds = 0.08
    let log = try run(loop) { Thread.sleep(forTimeInterval: 0.01) }
    #expect(log.progress.count >= 2 && log.progress.count <= 20)
    #expect(abs(log.progress[0] - 1.0 / 3) < 1e-6)
    #expect(zip(log.progress, log.progress.dropFirst()).allSatisfy { $0 <= $1 } && log.progress.last! < 1)
    #expect(log.saved.count >= 1 && log.saved.last! >= 0.3)
    let last = try #require(log.reports.last)
    #expect(last.step == 7 + log.progress.count && abs(last.loss - 127.5) < 1e-6 && last.rate == 0.25)
    #expect(last.minutes >= 0.3 / 60)
  }

  @Test func runEndsAfterItsSteps() throws {
    var loop = TrainingLoop(minutes: 0, steps: 12, secondsBefore: 5, operationsPerStep: 1)
    loop.reportSeconds = 1000
    let log = try run(loop)
    #expect(log.progress == (7..<12).map { Double($0) / 12 })
    #expect(log.saved.count == 1 && log.reports.last?.step == 12)
  }

  @Test func cancellingSavesAndReports() throws {
    let log = try run(TrainingLoop(minutes: 60, secondsBefore: 5, operationsPerStep: 1), cancelsAfter: 3)
    #expect(log.progress.count == 3 && log.saved.count == 1 && log.reports.count == 1)
    #expect(log.saved[0] >= 5 && log.reports[0].step == 10)
    // A finished run does nothing more.
    let over = try run(TrainingLoop(minutes: 1, secondsBefore: 60, operationsPerStep: 1))
    #expect(over.progress.isEmpty && over.saved == [60] && over.reports.count == 1)
  }

  @Test func errorsEndARun() {
    struct Failure: Error {}
    #expect(throws: Failure.self) {
      try run(TrainingLoop(minutes: 60, secondsBefore: 0, operationsPerStep: 1)) { throw Failure() }
    }
  }
}

/// Runs a suite with a tiny data folder, created once and removed at the end.
struct TinyData: SuiteTrait, TestScoping {
  @TaskLocal static var folder: URL?

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let bench = try Workbench()
    try TrainingFolder.fill(bench)
    try await Self.$folder.withValue(bench.directory, operation: function)
    withExtendedLifetime(bench) {}
  }
}

extension Trait where Self == TinyData {
  static var tinyData: Self { TinyData() }
}

/// Tests the whole training on a tiny generated data folder.
@Suite(.serialized, .tinyData) struct TrainerTests {
  private let data: URL
  private let bench: Workbench

  init() throws {
    data = try #require(TinyData.folder)
    bench = try Workbench()
  }

  private var settings: TrainingSettings {
    var settings = TrainingSettings(architecture: .small(window: 3, channels: 16, blocks: 1), minutes: 60)
    settings.cropSize = 64
    settings.batch = 4
    settings.poolCapacity = 60
    settings.precision = .float32
    settings.learningRate = 2e-2
    return settings
  }

  private func trainer(
    _ settings: TrainingSettings, checkpoint: String = "c.checkpoint", start: NetworkWeights? = nil,
    log: (String) -> Void = { _ in }
  ) throws -> Trainer {
    try Trainer(
      settings: settings, data: data, checkpointPath: bench.path(checkpoint), start: start, log: log)
  }

  private func run(_ trainer: Trainer, until step: Int) throws -> TrainingReport {
    var last: TrainingReport?
    try trainer.run(isCancelled: { trainer.step >= step }, report: { last = $0 })
    return try #require(last)
  }

  /// Returns the mean loss of a network over windows.
  private func loss(_ network: NetworkWeights, _ windows: [TrainingWindow]) throws -> Float {
    let (frames, target) = WindowPool.batch(windows)
    let executor = try FloatExecutor(
      graph: network.architecture.graph, batch: windows.count, height: windows[0].height,
      width: windows[0].width,
      precision: .float32, training: false)
    let parameters = ParameterSet(network)
    try executor.setWeights(parameters)
    let output = try executor.run(frames: frames)
    return CharbonnierLoss(lumaChannels: network.architecture.lumaChannels)(output, target: target, share: 1)
      .loss
  }

  @Test func trainingLowersTheLossAndResumes() throws {
    var random = SplitMix64(seed: 77)
    let windows = try BatchSource(settings: settings, data: data, log: { _ in }).makeWindows(
      16, random: &random)
    // Start with large random weights, which improve quickly: the default start is near bicubic, which takes
    // long to beat.
    let start = NetworkWeights.random(settings.architecture, seed: 1, recipe: #"{"made":"by chance"}"#)
    let first = try trainer(settings, start: start)
    #expect(first.network.recipe.contains(#""start":{"made":"by chance"}"#))
    #expect(first.step == 0 && first.network.weights == start.weights)
    let before = try loss(first.network, windows)
    let report = try run(first, until: 40)
    #expect(first.step == 40 && report.step == 40 && report.minutes > 0)
    let after = try loss(first.network, windows)
    #expect(after < 0.5 * before, "\(before) to \(after)")
    let validation = try #require(report.validation)
    #expect(validation.clips.map(\.name) == ["c", "photographs"])
    #expect(validation.clips.allSatisfy { $0.psnr.isFinite && $0.bicubic > 15 })

    var messages: [String] = []
    let second = try trainer(settings) { messages.append($0) }
    #expect(second.step == 40)
    #expect(messages.contains { $0.hasPrefix("continuing at step 40") })
    #expect(second.network.weights == first.network.weights && second.network.biases == first.network.biases)
    _ = try run(second, until: 43)
    #expect(second.step == 43)
    #expect(second.network.weights != first.network.weights)
    #expect(second.network.recipe.contains(#""start":null,"steps":43"#))

    // The file contains this network.
    var other = settings
    other.architecture.blocks = 2
    #expect(throws: TrainingError.otherNetwork(path: bench.path("c.checkpoint"))) { try trainer(other) }
  }

  /// The networks after three steps with each of the settings.
  private func networks(_ variants: [TrainingSettings]) throws -> [NetworkWeights] {
    try variants.enumerated().map { index, variant in
      var settings = variant
      // A run of so many minutes takes its rate from the clock, so a slow step changes the weights.
      settings.steps = 3
      let trainer = try trainer(settings, checkpoint: "\(index)")
      _ = try run(trainer, until: 3)
      return trainer.network
    }
  }

  @Test func equalSeedsTrainAlike() throws {
    let networks = try networks(
      [UInt64(5), 5, 6].map { seed in
        var settings = settings
        settings.seed = seed
        return settings
      })
    #expect(networks[0].weights == networks[1].weights)
    #expect(networks[0].weights != networks[2].weights)
  }

  @Test func theWeightOfContrastCountsAndIsRecorded() throws {
    let networks = try networks(
      [nil, Float(0), 2].map { weight in
        var settings = settings
        settings.contrastWeight = weight
        return settings
      })
    #expect(networks[0].weights == networks[1].weights)
    #expect(networks[0].weights != networks[2].weights)
    #expect(!networks[0].recipe.contains("contrastWeight"))
    #expect(networks[2].recipe.contains(#""contrastWeight":2"#))
  }

  @Test func divergenceIsReported() throws {
    var settings = settings
    settings.learningRate = 1e30
    let trainer = try trainer(settings)
    do {
      _ = try run(trainer, until: 40)
      Issue.record("no error")
    } catch {
      guard case .diverged? = error as? TrainingError else {
        Issue.record("\(error)")
        return
      }
    }
    #expect(!FileManager.default.fileExists(atPath: bench.path("c.checkpoint")))
  }

  @Test func windowsAreSeededAndOfBothKinds() throws {
    var messages: [String] = []
    let maker = try WindowMaker(folder: data, architecture: settings.architecture, size: 64) {
      messages.append($0)
    }
    #expect(messages.last == "2 film sections, 16 frames, 2 photographs")
    for seed in 0..<6 {
      var (a, b) = (SplitMix64(seed: UInt64(seed)), SplitMix64(seed: UInt64(seed)))
      let (first, second) = (try maker.make(using: &a), try maker.make(using: &b))
      #expect(first.frames == second.frames && first.target == second.target && a.state == b.state)
      #expect(first.width == 16 && first.height == 16 && first.frames.count == 3)
    }
  }

  @Test func emptyFoldersAreNamed() throws {
    let empty = try Workbench()
    #expect(throws: TrainingError.noData(path: empty.directory.path)) {
      try WindowMaker(folder: empty.directory, architecture: settings.architecture) { _ in }
    }
    let set = try ValidationSet(folder: empty.directory, architecture: settings.architecture)
    #expect(set.isEmpty && set.gridExtents == (0, 0))
  }

  @Test(arguments: [1, 3, 7]) func zeroResidualScoresLikeBicubic(_ window: Int) throws {
    let architecture = Architecture.small(window: window, channels: 8, blocks: 0)
    let set = try ValidationSet(folder: data, architecture: architecture, perClip: 2, size: 128)
    #expect(!set.isEmpty && set.gridExtents == (32, 32))
    let result = try set.evaluate(lumaChannels: 16) { frames in
      #expect(frames.count == window)
      let output = FloatTensor(height: 32, width: 32, channels: 24)
      output.fill(0)
      return output
    }
    #expect(result.clips.map(\.name) == ["c", "photographs"])
    #expect(
      result.clips.allSatisfy { abs($0.psnr - $0.bicubic) < 1e-9 && $0.bicubic > 15 && $0.bicubic < 59 })
    #expect(abs(result.meanGain) < 1e-9)
    // An error of half a level everywhere lowers the score; the truth itself scores best.
    let noisy = try set.evaluate(lumaChannels: 16) { _ in
      let output = FloatTensor(height: 32, width: 32, channels: 24)
      output.fill(0.2)
      return output
    }
    #expect(noisy.meanGain < -3)
  }
}
