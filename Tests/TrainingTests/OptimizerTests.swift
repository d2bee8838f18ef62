// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite struct OptimizerTests {
  private let graph = Architecture.small(window: 1, blocks: 0).graph

  private func flat(_ set: ParameterSet) -> [Double] { set.layers.flatMap { $0.all.map { Double($0) } } }

  /// Adam in double precision as in the paper, with clipping and averaging.
  @Test(arguments: [Float(0.05), 100]) func stepsMatchThePaper(_ size: Float) {
    let parameters = ParameterSet(graph: graph)
    parameters.initialize(graph: graph, seed: 1)
    var optimizer = Optimizer(like: parameters) { ParameterSet(graph: graph) }
    var value = flat(parameters)
    var (first, second, average) = (value.map { _ in 0.0 }, value.map { _ in 0.0 }, value)
    var random = SplitMix64(seed: 2)
    for step in 1...12 {
      let gradients = ParameterSet(graph: graph)
      for layer in gradients.layers { for i in layer.all.indices { layer.all[i] = size * random.normal() } }
      let gradient = flat(gradients)
      let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let scale = min(1, Double(optimizer.clipNorm) / norm)
      let rate = 1e-3 * Double(step)
      let decay = min(0.999, Double(1 + step) / Double(10 + step))
      for i in value.indices {
        let g = gradient[i] * scale
        first[i] = 0.9 * first[i] + 0.1 * g
        second[i] = 0.99 * second[i] + 0.01 * g * g
        value[i] -=
          rate * (first[i] / (1 - pow(0.9, Double(step))))
          / ((second[i] / (1 - pow(0.99, Double(step)))).squareRoot() + 1e-8)
        average[i] = decay * average[i] + (1 - decay) * value[i]
      }
      let found = optimizer.update(parameters, gradients: gradients, rate: Float(rate))
      #expect(abs(Double(found) - norm) < 1e-3 * norm)
      #expect(optimizer.step == step)
    }
    for (found, wanted) in [(parameters, value), (optimizer.average, average), (optimizer.first, first)] {
      let worst = zip(flat(found), wanted).map { abs($0 - $1) }.max()!
      #expect(worst < 1e-4, "\(worst)")
    }
  }

  /// Weights of hidden layers take orthogonal steps in proportion to the rate; everything else follows Adam.
  @Test func muonStepsHiddenWeightsOrthogonally() throws {
    let graph = Architecture.small(window: 3, blocks: 1).graph
    let sets = [OptimizerKind.adam, .muon].map { kind in
      let parameters = ParameterSet(graph: graph)
      parameters.initialize(graph: graph, seed: 1)
      return (parameters, Optimizer(like: parameters, kind: kind) { ParameterSet(graph: graph) })
    }
    let start = ParameterSet(graph: graph)
    start.initialize(graph: graph, seed: 1)
    let gradients = ParameterSet(graph: graph)
    gradients.initialize(graph: graph, seed: 2)
    let rate: Float = 1e-3
    for (parameters, optimizer) in sets {
      var optimizer = optimizer
      optimizer.update(parameters, gradients: gradients, rate: rate)
    }
    let (byAdam, byMuon) = (sets[0].0.layers, sets[1].0.layers)
    let hidden = 1..<graph.layers.count - 1
    #expect(hidden.count > 2)
    for index in byMuon.indices {
      let (adam, muon, first) = (byAdam[index], byMuon[index], start.layers[index])
      let isEqual = Array(adam.all) == Array(muon.all)
      #expect(isEqual == !hidden.contains(index))
      let areBiasesEqual = Array(adam.all[adam.weightCount...]) == Array(muon.all[muon.weightCount...])
      #expect(areBiasesEqual)
      guard hidden.contains(index) else { continue }
      // Singular values near 1 times the scale leave the mean square near the step's; the direction is the gradient's.
      let step = (0..<muon.weightCount).map { first.weights[$0] - muon.weights[$0] }
      let size = (step.reduce(0) { $0 + $1 * $1 } / Float(step.count)).squareRoot()
      #expect((0.7...1.2).contains(size / (rate * sets[1].1.muonStep)), "\(size)")
      let along = (0..<step.count).reduce(Float(0)) { $0 + step[$1] * gradients.layers[index].weights[$1] }
      #expect(along > 0)
    }
  }

  /// Rows of the result are orthonormal up to the 0.7 to 1.2 of the iteration, and span what the rows did.
  @Test(arguments: [(8, 72), (16, 16), (36, 9)]) func orthogonalizingKeepsSingularVectors(
    rows: Int, columns: Int
  ) {
    // left * diagonal * right with orthonormal left and right, the cosines of the DCT, has known singular vectors.
    let rank = min(rows, columns)
    func cosines(_ count: Int, _ index: Int) -> [Float] {
      let norm = Float(index == 0 ? 1 : 2).squareRoot() / Float(count).squareRoot()
      return (0..<count).map { norm * cos(Float.pi * (Float($0) + 0.5) * Float(index) / Float(count)) }
    }
    let (left, right) = ((0..<rank).map { cosines(rows, $0) }, (0..<rank).map { cosines(columns, $0) })
    let matrix = UnsafeMutableBufferPointer<Float>.allocate(capacity: rows * columns)
    defer { matrix.deallocate() }
    matrix.initialize(repeating: 0)
    for vector in 0..<rank {
      for index in matrix.indices {
        let product: Float = left[vector][index / columns] * right[vector][index % columns]
        matrix[index] += Float(1 + vector) * product
      }
    }
    Orthogonalizer().apply(matrix, rows: rows, columns: columns)
    for i in 0..<rank {
      for j in 0..<rank {
        var value: Float = 0
        for index in matrix.indices {
          let product: Float = left[i][index / columns] * right[j][index % columns]
          value += product * matrix[index]
        }
        if i == j { #expect((0.6...1.25).contains(value), "\(value)") } else { #expect(abs(value) < 1e-3) }
      }
    }
    matrix.update(repeating: 0)
    Orthogonalizer().apply(matrix, rows: rows, columns: columns)
    #expect(matrix.allSatisfy { $0 == 0 })
  }

  @Test(arguments: [Float.nan, .infinity, 3e38]) func badGradientsAreSkipped(_ bad: Float) {
    let parameters = ParameterSet(graph: graph)
    parameters.initialize(graph: graph, seed: 1)
    var optimizer = Optimizer(like: parameters) { ParameterSet(graph: graph) }
    let before = flat(parameters)
    let gradients = ParameterSet(graph: graph)
    gradients.layers[0].all[3] = bad
    let norm = optimizer.update(parameters, gradients: gradients, rate: 1)
    #expect(!norm.isFinite && optimizer.step == 0)
    #expect(flat(parameters) == before && flat(optimizer.average) == before)
  }

  @Test func theRateWarmsUpAndFalls() {
    let schedule = CosineSchedule(peak: 2, warmUpSteps: 100)
    #expect(abs(schedule.rate(step: 0, progress: 0) - 0.02) < 1e-6)
    #expect(abs(schedule.rate(step: 49, progress: 0) - 1) < 1e-6)
    #expect(abs(schedule.rate(step: 99, progress: 0) - 2) < 1e-6)
    #expect(abs(schedule.rate(step: 5000, progress: 0.5) - 2 * 0.505) < 1e-5)
    #expect(abs(schedule.rate(step: 5000, progress: 1) - 0.02) < 1e-6)
    #expect(schedule.rate(step: 5000, progress: 7) == schedule.rate(step: 5000, progress: 1))
    let rates = (0...100).map { schedule.rate(step: 1000, progress: Double($0) / 100) }
    #expect(zip(rates, rates.dropFirst()).allSatisfy { $0 > $1 })
    #expect(CosineSchedule(peak: 1, warmUpSteps: 0).rate(step: 0, progress: 0) == 1)
  }

  @Test func parametersRoundTripThroughANetwork() {
    let architecture = Architecture.small(window: 3)
    let network = NetworkWeights.random(architecture, seed: 4)
    let copy = ParameterSet(network).network(architecture, recipe: "r")
    #expect(copy.weights == network.weights && copy.biases == network.biases && copy.recipe == "r")
    let set = ParameterSet(network)
    let sum = flat(set).reduce(0) { $0 + $1 * $1 }
    #expect(abs(Double(set.squaredNorm) - sum) < 1e-4 * sum)
  }

  @Test func randomStartsAreSeededWithASmallLastLayer() {
    let graph = Architecture.small(window: 3, blocks: 2).graph
    let sets = [1, 1, 2].map { seed -> ParameterSet in
      let set = ParameterSet(graph: graph)
      set.initialize(graph: graph, seed: UInt64(seed))
      return set
    }
    #expect(flat(sets[0]) == flat(sets[1]) && flat(sets[0]) != flat(sets[2]))
    for (layer, numbers) in zip(graph.layers, sets[0].layers) {
      let bound = 1 / Float(layer.totalInputChannels * 9).squareRoot()
      let isQuiet = layer.name == "tail" || layer.name.hasSuffix(".b")
      let largest = (0..<numbers.weightCount).map { abs(numbers.weights[$0]) }.max()!
      #expect(largest <= bound * (isQuiet ? 0.1001 : 1) && largest > bound * (isQuiet ? 0.09 : 0.9))
      let hasBias = (0..<numbers.biasCount).contains { numbers.biases[$0] != 0 }
      #expect(hasBias == (layer.name != "tail"))
    }
  }
}
