// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import TestSupport
import Testing

@testable import QuantCalibration

@Suite struct BitAllocationTests {
  private static let network = NetworkWeights.random(
    Architecture(
      task: .superResolution, scale: 2, window: 1, alignment: .none, encoderChannels: 8, channels: 16,
      blocks: 1),
    seed: 3)

  /// Creates layers with given losses at 2, 3, 4, 6 and 8 bits, which add up.
  private static func allocation(_ losses: [String: [Double]]) -> BitAllocation {
    let calibrator = Calibrator(network, threads: 1)
    return BitAllocation(makeModel: { calibrator.model(widths: $0) }) { model in
      zip(model.architecture.graph.layers, model.layers).reduce(0) { sum, pair in
        guard let own = losses[pair.0.name], let at = [2, 3, 4, 6, 8].firstIndex(of: pair.1.bits) else {
          return sum
        }
        return sum + own[at]
      }
    }
  }

  @Test func theLayerThatLosesMostIsRaisedFirst() throws {
    let allocation = Self.allocation([
      "body.0.a": [9, 3, 0.30, 0.05, 0.01], "body.0.b": [9, 3, 0.04, 0.02, 0.01],
    ])
    var losses: [Double] = []
    let choice = try allocation.raised(from: Calibrator.Widths(4), most: 0.1) { choice, _ in
      losses.append(choice.loss)
    }
    #expect(choice.widths.layers == ["body.0.a": 6])
    #expect(losses.count == 2 && abs(losses[0] - 0.34) < 1e-9 && abs(losses[1] - 0.09) < 1e-9)
    let layers = zip(choice.model.architecture.graph.layers, choice.model.layers)
    #expect(layers.first { $0.0.name == "body.0.a" }?.1.bits == 6)
    #expect(layers.first { $0.0.name == "body.0.b" }?.1.bits == 4)
    #expect(layers.first { $0.0.name == "tail" }?.1.bits == 8)
  }

  @Test func sensitivitiesAreGainsOfTheNextBits() throws {
    let allocation = Self.allocation(["body.0.a": [2, 1.25, 1, 0, 0], "body.0.b": [1, 0.5, 0, 0, 0]])
    let found = try allocation.sensitivities(allocation.choice(Calibrator.Widths(2)))
    #expect(found.map(\.layer) == ["body.0.a", "body.0.b"] && found.map(\.bits) == [3, 3])
    #expect(found.map(\.gain) == [0.75, 0.5])
    // 2 and 3 bits use the same algorithm.
    #expect(found.allSatisfy { $0.cost == 0 })
  }

  /// More codes are free as long as the kernel stays exact; one more selects a slower kernel.
  @Test(arguments: [(2, 13), (3, 13), (4, 64), (6, 128)])
  func costIsThatOfTheKernel(bits: Int, codes: Int) {
    func cost(_ codes: Int) -> Double {
      var widths = Calibrator.Widths(bits)
      widths.activationCodes = codes
      return BitAllocation.cost(Self.network.architecture, widths)
    }
    #expect(codes == Calibrator.Widths.mostCodes(weightBits: bits))
    #expect(cost(codes) == BitAllocation.cost(Self.network.architecture, Calibrator.Widths(bits)))
    #expect(cost(codes + 1) > cost(codes))
  }

  @Test func unreachableLossEndsAtEightBits() throws {
    let allocation = Self.allocation(["body.0.a": [5, 4, 3, 2, 1], "body.0.b": [5, 4, 3, 2, 1]])
    let choice = try allocation.raised(from: Calibrator.Widths(4), most: 0) { _, _ in }
    #expect(choice.widths.layers == ["body.0.a": 8, "body.0.b": 8] && choice.loss == 2)
    #expect(choice.cost == BitAllocation.cost(Self.network.architecture, Calibrator.Widths(8)))
    #expect(BitAllocation.cost(Self.network.architecture, Calibrator.Widths(4)) < choice.cost)
  }
}
