// SPDX-License-Identifier: Apache-2.0
import Foundation
import Tensors
import TestSupport
import Testing

@testable import EnhancementModel

extension FuzzTests {
  /// Model files are untrusted: reading one either gives a model or throws an error.
  @Suite struct ModelFuzzTests {
    private static func bases() -> [[UInt8]] {
      var files = [NetworkWeights.random(.small(), seed: 1, recipe: #"{"note":"x"}"#).file]
      files.append(NetworkWeights.random(.small(window: 1, blocks: 0), seed: 2).file)
      for bits in [2, 3, 4, 6, 8] {
        files.append(QuantizedModel.random(.small(), bits: bits, zeroPoints: true, seed: UInt64(bits)).file)
      }
      files.append(QuantizedModel.randomDenoiser(bits: 4, seed: 9).file)
      files.append(
        QuantizedModel.random(.small(fusion: .attention), bits: 4, zeroPoints: true, seed: 10).file)
      // Without a checksum, which would reject all files first.
      return files.map { [UInt8]($0.serializedAsIs()) }
    }

    @Test func damagedModelsAreReadOrRefused() throws {
      let bases = Self.bases()
      var mutator = ByteMutator(seed: fuzzSeed, donors: bases)
      let record = FuzzRecord("model.safetensors")
      let count = fuzzCount("FUZZ_MODELS", short: 4_000)
      var (accepted, ran, refused) = (0, 0, 0)
      var slowest = Duration.zero
      for index in 0..<count {
        let base = bases[index % bases.count]
        let header = 8 + base.prefix(2).reversed().reduce(0) { $0 << 8 | Int($1) }
        let bytes = mutator.mutate(base, headerLength: header)
        record.keep(bytes)
        let start = ContinuousClock.now
        do {
          let file = try Safetensors(data: Data(bytes), path: "fuzzed")
          if QuantizedModel.isQuantized(file) {
            let model = try QuantizedModel(file: file)
            if accepted % 8 == 0, try run(model) { ran += 1 }
            accepted += 1
          } else {
            _ = try NetworkWeights(file: file)
            accepted += 1
          }
        } catch let error as ModelError {
          refused += 1
          #expect(!"\(error)".contains("\n"))
        }
        slowest = max(slowest, ContinuousClock.now - start)
      }
      print(
        "\(count) models: \(refused) refused, \(accepted) accepted, \(ran) of them run, slowest \(slowest)")
      #expect(refused + accepted == count)
      #expect(refused > count / 10 && accepted > 0 && ran > 0)
      #expect(slowest < .seconds(20))
    }

    /// Runs a model on noise; returns false if it is too large to run.
    private func run(_ model: QuantizedModel) throws -> Bool {
      guard model.architecture.channels <= 32, model.architecture.window <= 5, model.architecture.blocks <= 2
      else { return false }
      let network = try IntegerNetwork(model, width: 16, height: 16, threads: 1)
      var random = SplitMix64(seed: 3)
      let frames = (0..<model.architecture.window).map { _ in
        let frame = PlanarFrame(width: 16, height: 16)
        for i in 0..<(16 * 16 * 3 / 2) { frame.luma[i] = UInt8(random.index(256)) }
        return frame
      }
      _ = try network.predict(frames)
      return true
    }
  }
}
