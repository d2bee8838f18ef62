// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite struct CheckpointTests {
  /// A run in progress: parameters, moments and average all differ and are nonzero everywhere.
  private func run(_ architecture: Architecture, seed: UInt64, steps: Int) -> (ParameterSet, Optimizer) {
    let graph = architecture.graph
    let parameters = ParameterSet(graph: graph)
    parameters.initialize(graph: graph, seed: seed)
    var optimizer = Optimizer(like: parameters) { ParameterSet(graph: graph) }
    for step in 0..<steps { update(parameters, &optimizer, graph: graph, step: step) }
    return (parameters, optimizer)
  }

  private func update(
    _ parameters: ParameterSet, _ optimizer: inout Optimizer, graph: NetworkGraph, step: Int
  ) {
    let gradients = ParameterSet(graph: graph)
    gradients.initialize(graph: graph, seed: UInt64(100 + step))
    optimizer.update(parameters, gradients: gradients, rate: 1e-3)
  }

  private func bits(_ set: ParameterSet) -> [[UInt32]] { set.layers.map { $0.all.map(\.bitPattern) } }

  private func sets(_ parameters: ParameterSet, _ optimizer: Optimizer) -> [[[UInt32]]] {
    [parameters, optimizer.first, optimizer.second, optimizer.average].map(bits)
  }

  private func state(_ architecture: Architecture, step: Int) -> Checkpoint.State {
    Checkpoint.State(step: step, seconds: 12.5, architecture: architecture)
  }

  @Test func everythingIsRestored() throws {
    let bench = try Workbench()
    let architecture = Architecture.small(window: 3, blocks: 2)
    let graph = architecture.graph
    let (parameters, optimizer) = run(architecture, seed: 1, steps: 3)
    #expect(Set(sets(parameters, optimizer)).count == 4)
    let path = bench.path("c.checkpoint")
    try Checkpoint.write(
      path, state: state(architecture, step: 3), parameters: parameters, optimizer: optimizer, graph: graph)

    let (other, begun) = run(architecture, seed: 2, steps: 1)
    var restored = begun
    let found = try Checkpoint.read(
      path, architecture: architecture, parameters: other, optimizer: &restored, graph: graph)
    #expect(found == state(architecture, step: 3))
    #expect(restored.step == 3)
    #expect(sets(other, restored) == sets(parameters, optimizer))

    // Both continue in the same way.
    var before = optimizer
    for step in 3..<6 {
      update(parameters, &before, graph: graph, step: step)
      update(other, &restored, graph: graph, step: step)
    }
    #expect(sets(other, restored) == sets(parameters, before))
  }

  @Test func otherOptimizersAreRefused() throws {
    let bench = try Workbench()
    let architecture = Architecture.small(window: 1, blocks: 0)
    let graph = architecture.graph
    let (parameters, optimizer) = run(architecture, seed: 1, steps: 1)
    let path = bench.path("c.checkpoint")
    try Checkpoint.write(
      path, state: state(architecture, step: 1), parameters: parameters, optimizer: optimizer, graph: graph)
    var muon = Optimizer(like: parameters, kind: .muon) { ParameterSet(graph: graph) }
    #expect(throws: TrainingError.otherOptimizer(path: path, .adam)) {
      try Checkpoint.read(
        path, architecture: architecture, parameters: parameters, optimizer: &muon, graph: graph)
    }
  }

  @Test func missingFileGivesNoState() throws {
    let bench = try Workbench()
    let architecture = Architecture.small()
    let (parameters, begun) = run(architecture, seed: 1, steps: 1)
    var optimizer = begun
    let before = sets(parameters, optimizer)
    let found = try Checkpoint.read(
      bench.path("none"), architecture: architecture, parameters: parameters, optimizer: &optimizer,
      graph: architecture.graph)
    #expect(found == nil && optimizer.step == 1 && sets(parameters, optimizer) == before)
  }

  @Test func otherNetworksAreRefused() throws {
    let bench = try Workbench()
    let architecture = Architecture.small(window: 3)
    let (parameters, optimizer) = run(architecture, seed: 1, steps: 1)
    let path = bench.path("c.checkpoint")
    try Checkpoint.write(
      path, state: state(architecture, step: 1), parameters: parameters, optimizer: optimizer,
      graph: architecture.graph)
    // The second network has layers of the same shapes and names.
    for other in [Architecture.small(window: 5), .small(window: 3, scale: 4), .small(window: 3, blocks: 2)] {
      let (mine, begun) = run(other, seed: 2, steps: 2)
      var state = begun
      let before = sets(mine, state)
      #expect(throws: TrainingError.otherNetwork(path: path)) {
        try Checkpoint.read(
          path, architecture: other, parameters: mine, optimizer: &state, graph: other.graph)
      }
      #expect(sets(mine, state) == before && state.step == 2)
    }
    // A model is not a checkpoint.
    let model = bench.path("model")
    try NetworkWeights.random(architecture, seed: 1).file.write(path: model)
    let (mine, begun) = run(architecture, seed: 2, steps: 0)
    var state = begun
    #expect(throws: TrainingError.otherNetwork(path: model)) {
      try Checkpoint.read(
        model, architecture: architecture, parameters: mine, optimizer: &state, graph: architecture.graph)
    }
  }

  @Test func damagedFilesAreRefused() throws {
    let bench = try Workbench()
    let architecture = Architecture.small()
    let (parameters, optimizer) = run(architecture, seed: 1, steps: 1)
    let path = bench.path("c.checkpoint")
    try Checkpoint.write(
      path, state: state(architecture, step: 1), parameters: parameters, optimizer: optimizer,
      graph: architecture.graph)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    for count in [0, 7, 100, whole.count / 2, whole.count - 1] {
      try whole.prefix(count).write(to: URL(fileURLWithPath: path))
      let (mine, begun) = run(architecture, seed: 2, steps: 0)
      var state = begun
      #expect(throws: ModelError.self) {
        try Checkpoint.read(
          path, architecture: architecture, parameters: mine, optimizer: &state, graph: architecture.graph)
      }
    }
  }
}

@Suite struct WarmStartTests {
  private func output(_ parameters: ParameterSet, _ architecture: Architecture, _ frames: [FloatTensor])
    throws -> [Float]
  {
    let executor = try FloatExecutor(
      graph: architecture.graph, batch: 1, height: frames[0].height, width: frames[0].width,
      precision: .float32,
      training: false)
    try executor.setWeights(parameters)
    let result = try executor.run(frames: frames)
    return withExtendedLifetime(result) { Array(result.buffer) }
  }

  @Test(arguments: WindowAlignment.allCases)
  func addedNeighboursBarelyChangeTheOutput(_ alignment: WindowAlignment) throws {
    let one = Architecture.small(window: 1, alignment: alignment, channels: 24, blocks: 2)
    let five = Architecture.small(window: 5, alignment: alignment, channels: 24, blocks: 2)
    let source = NetworkWeights.random(one, seed: 1)
    let window = (0..<5).map { texturedFrame(width: 40, height: 32, seed: 1, x: 1.7 * Double($0)) }
    let before = try output(ParameterSet(source), one, WindowPacker(one).floatInputs([window[2]]))
    let parameters = ParameterSet(graph: five.graph)
    parameters.initialize(graph: five.graph, seed: 3)
    let frames = WindowPacker(five).floatInputs(window)
    func distance() throws -> Float {
      let after = try output(parameters, five, frames)
      let error = zip(before, after).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      return (error / before.reduce(0) { $0 + $1 * $1 }).squareRoot()
    }
    #expect(try distance() > 0.5, "a random start must differ, or this test shows nothing")
    WarmStart(five).copy(source, into: parameters)
    let found = try distance()
    // Nearly equal, but the neighbours' weights can still be trained.
    #expect(found < 0.05 && found > 1e-5, "relative distance \(found)")
  }

  /// Without neighbours, a network with attention starts like the centre of the convolution that it replaces.
  @Test func attentionTakesTheCentreOfAConvolution() throws {
    let old = Architecture.small(window: 5, channels: 24, blocks: 2)
    var new = old
    new.fusion = .attention
    let source = NetworkWeights.random(old, seed: 1)
    let parameters = ParameterSet(graph: new.graph)
    parameters.initialize(graph: new.graph, seed: 3)
    let before = parameters.network(new, recipe: "")
    WarmStart(new).copy(source, into: parameters)
    let after = parameters.network(new, recipe: "")
    let fusion = try #require(old.graph.layers.firstIndex { $0.name == "fusion" })
    let span = old.encoderChannels * 9
    for (index, layer) in new.graph.layers.enumerated() {
      let known = old.graph.layers.firstIndex { $0.name == layer.name }
      if layer.name == "fusion.centre" {
        #expect(after.biases[index] == source.biases[fusion])
        let all = source.weights[fusion]
        var centre: [Float] = []
        for output in 0..<24 {
          let first = (output * 5 + 2) * span
          centre += all[first..<first + span]
        }
        #expect(after.weights[index] == centre)
      } else {
        let weights = known.map { source.weights[$0] } ?? before.weights[index]
        let biases = known.map { source.biases[$0] } ?? before.biases[index]
        #expect(after.weights[index] == weights, "\(layer.name)")
        #expect(after.biases[index] == biases, "\(layer.name)")
      }
    }
  }

  private func conditioned(hasSharpness: Bool) -> Architecture {
    Architecture(
      task: .superResolution, scale: 2, window: 3, alignment: .block, encoderChannels: 8, channels: 8,
      blocks: 1, isConditioned: true, hasSharpness: hasSharpness ? true : nil)
  }

  /// A network that gets missing detail starts like the one without it.
  @Test func missingDetailStartsWithoutWeights() throws {
    let (old, new) = (conditioned(hasSharpness: false), conditioned(hasSharpness: true))
    let source = NetworkWeights.random(old, seed: 1)
    let parameters = ParameterSet(graph: new.graph)
    parameters.initialize(graph: new.graph, seed: 3)
    WarmStart(new).copy(source, into: parameters)
    let after = parameters.network(new, recipe: "")
    for (index, layer) in new.graph.layers.enumerated() {
      guard layer.name == "encoder" else {
        #expect(after.weights[index] == source.weights[index])
        continue
      }
      let wanted = (0..<8).flatMap { output in
        source.weights[index][output * 72..<output * 72 + 72] + [Float](repeating: 0, count: 36)
      }
      #expect(after.weights[index] == wanted)
    }
  }

  /// A network without missing detail takes over all other inputs of one with it.
  @Test func missingDetailCanBeDropped() throws {
    let (old, new) = (conditioned(hasSharpness: true), conditioned(hasSharpness: false))
    let source = NetworkWeights.random(old, seed: 1)
    let parameters = ParameterSet(graph: new.graph)
    #expect(WarmStart(new).copy(source, into: parameters).isEmpty)
    let after = parameters.network(new, recipe: "")
    for (index, layer) in new.graph.layers.enumerated() {
      let all = source.weights[index]
      let wanted = layer.name == "encoder" ? (0..<8).flatMap { all[$0 * 108..<$0 * 108 + 72] } : all
      #expect(after.weights[index] == wanted, "\(layer.name)")
    }
  }

  @Test func equalNetworksAreCopied() {
    let architecture = Architecture.small(window: 3)
    let source = NetworkWeights.random(architecture, seed: 1)
    let parameters = ParameterSet(graph: architecture.graph)
    parameters.initialize(graph: architecture.graph, seed: 3)
    WarmStart(architecture).copy(source, into: parameters)
    let copy = parameters.network(architecture, recipe: "")
    #expect(copy.weights == source.weights && copy.biases == source.biases)
  }

  @Test func layersOfOtherShapesStayRandom() {
    let source = NetworkWeights.random(.small(window: 3, channels: 16), seed: 1)
    let wider = Architecture.small(window: 3, channels: 24, blocks: 2)
    let parameters = ParameterSet(graph: wider.graph)
    parameters.initialize(graph: wider.graph, seed: 3)
    let before = parameters.network(wider, recipe: "")
    let random = WarmStart(wider).copy(source, into: parameters)
    #expect(Set(random) == Set(wider.graph.layers.map(\.name)).subtracting(["encoder", "neighbour"]))
    let after = parameters.network(wider, recipe: "")
    for (index, layer) in wider.graph.layers.enumerated() {
      let isShared = ["encoder", "neighbour"].contains(layer.name)
      #expect((before.weights[index] == after.weights[index]) == !isShared, "\(layer.name)")
      #expect((before.biases[index] == after.biases[index]) == !isShared, "\(layer.name)")
    }
    // The temporal window cannot shrink.
    let long = NetworkWeights.random(.small(window: 5), seed: 1)
    let short = Architecture.small(window: 3)
    let target = ParameterSet(graph: short.graph)
    WarmStart(short).copy(long, into: target)
    let names = short.graph.layers.map(\.name)
    // The values belong to `target`.
    withExtendedLifetime(target) {
      #expect(target.layers[names.firstIndex(of: "fusion")!].all.allSatisfy { $0 == 0 })
      #expect(target.layers[names.firstIndex(of: "tail")!].all.contains { $0 != 0 })
    }
  }
}
