// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import TestSupport
import Testing

@Suite struct ArchitectureTests {
  @Test func layersOfTheDefaultNetwork() {
    let graph = Architecture.balancedSuperResolution.graph
    #expect(
      graph.layers.map(\.name) == [
        "encoder", "fusion", "neighbour", "body.0.a", "body.0.b", "body.1.a", "body.1.b", "body.2.a",
        "body.2.b",
        "body.3.a", "body.3.b", "tail",
      ])
    #expect(graph.layers.filter(\.isEdge).map(\.name) == ["encoder", "fusion", "neighbour", "tail"])
    #expect(graph.layers.map(\.slots) == [1, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    #expect(graph.layers[2].inputChannels == 38 && graph.layers[0].inputChannels == 6)
    #expect(graph.layers[1].weightCount == 64 * 5 * 16 * 9)
    #expect(graph.layers[11].outputChannels == 24)
  }

  @Test func costMatchesManualCount() {
    // 1 encoder, 4 neighbours, a fusion of five slots, four blocks of two layers, a tail.
    let perPoint = 6 * 16 * 9 + 4 * 38 * 16 * 9 + 5 * 16 * 64 * 9 + 8 * 64 * 64 * 9 + 64 * 24 * 9
    let network = Architecture.balancedSuperResolution
    #expect(network.graph.operationsPerPoint == perPoint)
    #expect(abs(network.cost - Double(perPoint) / 36864) < 1e-12)
    // Unaligned neighbours share the encoder.
    let plain = Architecture.small(window: 3, alignment: .none, encoderChannels: 8, channels: 16, blocks: 1)
    #expect(plain.graph.operationsPerPoint == 3 * 6 * 8 * 9 + 3 * 8 * 16 * 9 + 2 * 16 * 16 * 9 + 16 * 24 * 9)
    #expect(plain.graph.layers.map(\.name) == ["encoder", "fusion", "body.0.a", "body.0.b", "tail"])
  }

  @Test func operationsOfASmallNetwork() {
    let graph = Architecture.small(window: 3, blocks: 1).graph
    #expect(
      graph.operations == [
        .frame(slot: 0), .convolution(layer: 2, inputs: [0], rectified: false),
        .frame(slot: 1), .convolution(layer: 0, inputs: [2], rectified: false),
        .frame(slot: 2), .convolution(layer: 2, inputs: [4], rectified: false),
        .convolution(layer: 1, inputs: [1, 3, 5], rectified: true),
        .convolution(layer: 3, inputs: [6], rectified: true),
        .convolution(layer: 4, inputs: [7], rectified: true),
        .add(6, 8), .convolution(layer: 5, inputs: [9], rectified: true),
      ])
  }

  /// Sharpness is an input of conditioned networks that align their neighbours: four channels of the centre.
  @Test func sharpnessNeedsConditionsAndNeighbours() throws {
    var network = Architecture.realSuperResolution
    #expect(network.centreChannels == 8)
    network.hasSharpness = true
    try network.validate()
    #expect(network.centreChannels == 12 && network.channels(ofSlot: 0) == 39)
    var (plain, unaligned) = (network, network)
    plain.isConditioned = nil
    unaligned.alignment = .none
    for wrong in [plain, unaligned] {
      #expect(throws: ModelError.self) { try wrong.validate() }
    }
  }

  @Test func attentionByHand() throws {
    var network = Architecture.balancedSuperResolution
    network.fusion = .attention
    try network.validate()
    // The centre, a query, five keys and values of 4 x 8 channels, scores and sums, the projection.
    let taps = [16 * 64, 16 * 32, 5 * 2 * 16 * 32, 32 * 64].reduce(0, +) * 9
    let rest = [6 * 16, 4 * 38 * 16, 8 * 64 * 64, 64 * 24].reduce(0, +) * 9
    #expect(network.graph.operationsPerPoint == rest + taps + 2 * 5 * 32)
    #expect(abs(network.cost - 11.12) < 0.01)
    #expect(
      network.graph.layers.map(\.name).prefix(7) == [
        "encoder", "fusion.centre", "fusion.query", "fusion.key", "fusion.value", "fusion.projection",
        "neighbour",
      ])
    #expect(
      network.graph.layers.filter(\.isEdge).map(\.name) == ["encoder", "fusion.centre", "neighbour", "tail"])
    let small = Architecture.small(window: 3, blocks: 0, fusion: .attention, heads: 2).graph
    #expect(
      small.operations == [
        .frame(slot: 0), .convolution(layer: 6, inputs: [0], rectified: false),
        .frame(slot: 1), .convolution(layer: 0, inputs: [2], rectified: false),
        .frame(slot: 2), .convolution(layer: 6, inputs: [4], rectified: false),
        .convolution(layer: 1, inputs: [3], rectified: true),
        .convolution(layer: 2, inputs: [3], rectified: true),
        .convolution(layer: 3, inputs: [1], rectified: true),
        .convolution(layer: 3, inputs: [3], rectified: true),
        .convolution(layer: 3, inputs: [5], rectified: true),
        .convolution(layer: 4, inputs: [1], rectified: true),
        .convolution(layer: 4, inputs: [3], rectified: true),
        .convolution(layer: 4, inputs: [5], rectified: true),
        .attention(SlotAttention(query: 7, keys: [8, 9, 10], values: [11, 12, 13], heads: 2)),
        .convolution(layer: 5, inputs: [14], rectified: false), .add(6, 15),
        .convolution(layer: 7, inputs: [16], rectified: true),
      ])
    #expect(small.operations[14].quantizerCount == 10)
    #expect((0..<10).map(small.operations[14].isWeight) == (0..<10).map { $0 >= 7 })
  }

  @Test func attentionNeedsACentreAndNeighbours() {
    for bad in [
      Architecture.small(window: 1, fusion: .attention), .small(fusion: .attention, heads: 0),
      .small(fusion: .attention, heads: 33), .small(heads: 4),
    ] {
      #expect(throws: ModelError.self) { try bad.validate() }
    }
    var interpolation = Architecture.balancedInterpolation
    interpolation.fusion = .attention
    #expect(throws: ModelError.badArchitecture("attention needs a centre frame and neighbours")) {
      try interpolation.validate()
    }
  }

  @Test(arguments: [(1, 6), (2, 24), (4, 96)])
  func outputChannels(_ scale: Int, _ channels: Int) {
    let network = Architecture.small(scale: scale)
    #expect(network.outputChannels == channels)
    #expect(network.graph.layers.last?.outputChannels == channels)
  }

  @Test func interpolationTreatsBothFramesAlike() {
    let network = Architecture.balancedInterpolation
    #expect(
      network.window == 2 && network.outputChannels == 12
        && (0..<2).map(network.channels(ofSlot:)) == [16, 16])
    #expect(network.graph.layers.prefix(3).map(\.name) == ["encoder", "fusion", "body.0.a"])
    #expect(throws: Never.self) { try network.validate() }
    var wrong = network
    wrong.window = 3
    #expect(throws: ModelError.self) { try wrong.validate() }
    wrong = network
    wrong.scale = 2
    #expect(throws: ModelError.self) { try wrong.validate() }
  }

  @Test func channelsOfSlots() {
    #expect((0..<5).map(Architecture.small(window: 5).channels(ofSlot:)) == [38, 38, 6, 38, 38])
    #expect((0..<3).map(Architecture.small(alignment: .none).channels(ofSlot:)) == [6, 6, 6])
    #expect(Architecture.small(window: 1).channels(ofSlot: 0) == 6)
    for architecture in [Architecture.balancedSuperResolution, .small(window: 1), .small(alignment: .none)] {
      let graph = architecture.graph
      for case .convolution(let layer, let inputs, _) in graph.operations {
        guard case .frame(let slot) = graph.operations[inputs[0]] else { continue }
        #expect(graph.layers[layer].inputChannels == architecture.channels(ofSlot: slot))
      }
    }
  }

  @Test func namesAreUnique() {
    for architecture in [Architecture.balancedSuperResolution, .small(window: 1), .small(blocks: 12)] {
      let names = architecture.graph.layers.map(\.name)
      #expect(Set(names).count == names.count)
    }
  }

  @Test func extentsAreChecked() throws {
    try Architecture.balancedSuperResolution.validate()
    try Architecture.small(window: 9, encoderChannels: 256, channels: 256, blocks: 64, scale: 4).validate()
    for bad in [
      Architecture.small(window: 0), .small(window: 4), .small(window: 11), .small(encoderChannels: 4),
      .small(encoderChannels: 264), .small(channels: 0), .small(channels: 20), .small(blocks: -1),
      .small(blocks: 65), .small(scale: 3), .small(scale: -2),
    ] {
      #expect(throws: ModelError.badArchitecture("extents out of range")) { try bad.validate() }
    }
  }
}
