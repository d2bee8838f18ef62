// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import Testing

@testable import Training

/// Returns a random tensor in -1 ... 1.
private func randomTensor(
  batch: Int, height: Int, width: Int, channels: Int, _ random: inout SplitMix64
) -> FloatTensor {
  let tensor = FloatTensor(batch: batch, height: height, width: width, channels: channels)
  for i in 0..<tensor.count { tensor.pointer[i] = random.uniform(-1...1) }
  return tensor
}

@Suite struct GradientTests {
  /// A graph with all kinds of operations: a layer shared by two slots, a fusion of slots, inputs with and
  /// without ReLU, and a residual sum whose branches join again.
  private var graph: NetworkGraph {
    let architecture = Architecture(
      task: .superResolution, scale: 2, window: 3, alignment: .none, encoderChannels: 8, channels: 16,
      blocks: 2)
    return architecture.graph
  }

  private struct Setup {
    let pass: GradientPass
    let parameters: ParameterSet
    let frames: [FloatTensor]
    let target: FloatTensor
    let loss: CharbonnierLoss

    func lossValue() throws -> Float {
      try pass.setParameters(parameters)
      let output = try pass.executor.run(frames: frames)
      return loss(output, target: target, share: 1).loss
    }
  }

  /// The same with attention over the slots, which shares the layers of keys and values.
  private var attendingGraph: NetworkGraph {
    Architecture(
      task: .superResolution, scale: 2, window: 3, alignment: .none, encoderChannels: 8, channels: 16,
      blocks: 1, fusion: .attention, heads: 2
    ).graph
  }

  private func setup(precision: FloatPrecision, graph: NetworkGraph? = nil) throws -> Setup {
    var random = SplitMix64(seed: 7)
    let graph = graph ?? self.graph
    let parameters = ParameterSet(graph: graph)
    parameters.initialize(graph: graph, seed: 3)
    // With small weights, gradients would be too small to check.
    for layer in parameters.layers {
      for i in 0..<layer.all.count { layer.all[i] += random.uniform(-0.1...0.1) }
    }
    let frames = (0..<3).map { _ in randomTensor(batch: 2, height: 6, width: 5, channels: 6, &random) }
    let target = randomTensor(batch: 2, height: 6, width: 5, channels: 24, &random)
    var loss = CharbonnierLoss(lumaChannels: 16)
    loss.epsilon = 0.3  // Smooth enough for finite differences.
    let pass = try GradientPass(graph: graph, batch: 2, height: 6, width: 5, precision: precision)
    return Setup(pass: pass, parameters: parameters, frames: frames, target: target, loss: loss)
  }

  @Test(arguments: [false, true]) func agreesWithFiniteDifferencesInEveryLayer(attends: Bool) throws {
    let setup = try setup(precision: .float32, graph: attends ? attendingGraph : nil)
    if attends {
      // Sharper than at the start, where all slots have nearly the same weight.
      let names = ["fusion.query", "fusion.key"]
      for (layer, numbers) in zip(attendingGraph.layers, setup.parameters.layers)
      where names.contains(layer.name) {
        for i in 0..<numbers.all.count { numbers.all[i] *= 3 }
      }
    }
    try setup.pass.setParameters(setup.parameters)
    let (output, trace) = try setup.pass.executor.runTraced(frames: setup.frames)
    let (_, gradient) = setup.loss(output, target: setup.target, share: 1)
    try setup.pass.backward(trace, outputGradient: gradient)
    var random = SplitMix64(seed: 11)
    var checked = 0
    for (index, layer) in setup.parameters.layers.enumerated() {
      // Check a direction through the whole layer: any wrong partial derivative changes this number.
      for _ in 0..<3 {
        let direction = (0..<layer.all.count).map { _ in random.uniform(-1...1) }
        let expected = zip(direction, setup.pass.gradients.layers[index].all).reduce(Float(0)) {
          $0 + $1.0 * $1.1
        }
        let step: Float = 2e-3 / Float(layer.all.count).squareRoot()
        let saved = Array(layer.all)
        for i in 0..<layer.all.count { layer.all[i] = saved[i] + step * direction[i] }
        let above = try setup.lossValue()
        for i in 0..<layer.all.count { layer.all[i] = saved[i] - step * direction[i] }
        let below = try setup.lossValue()
        for i in 0..<layer.all.count { layer.all[i] = saved[i] }
        let measured = (above - below) / (2 * step)
        let scale = max(abs(expected), 2e-2)
        #expect(abs(measured - expected) < 0.05 * scale, "layer \(index): \(measured) against \(expected)")
        checked += 1
      }
    }
    #expect(checked == setup.parameters.layers.count * 3)
  }

  @Test(.enabled(if: FloatPrecision.hasBFloat16, "oneDNN has no bf16 for this processor"))
  func bfloat16GradientsPointTheSameWay() throws {
    setConvolutionThreads(1)  // Several of oneDNN's wait for each other by spinning.
    let exact = try setup(precision: .float32)
    let coarse = try setup(precision: .bfloat16)
    for setup in [exact, coarse] {
      try setup.pass.setParameters(setup.parameters)
      let (output, trace) = try setup.pass.executor.runTraced(frames: setup.frames)
      try setup.pass.backward(
        trace, outputGradient: setup.loss(output, target: setup.target, share: 1).gradient)
    }
    for (a, b) in zip(exact.pass.gradients.layers, coarse.pass.gradients.layers) {
      let dot = zip(a.all, b.all).reduce(Float(0)) { $0 + $1.0 * $1.1 }
      let lengths = [a, b].map { $0.all.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot() }
      #expect(dot / (lengths[0] * lengths[1]) > 0.99)
    }
  }

  /// Returns the loss's slope with respect to one output, by finite differences.
  private func slope(
    of loss: CharbonnierLoss, at index: Int, of output: FloatTensor, target: FloatTensor, share: Float
  ) -> Float {
    let value = output.pointer[index]
    defer { output.pointer[index] = value }
    output.pointer[index] = value + 1e-2
    let above = loss(output, target: target, share: share).loss
    output.pointer[index] = value - 1e-2
    return (above - loss(output, target: target, share: share).loss) / 2e-2
  }

  @Test func lossGradientAgreesWithFiniteDifferences() {
    var random = SplitMix64(seed: 5)
    let output = randomTensor(batch: 1, height: 3, width: 2, channels: 24, &random)
    let target = randomTensor(batch: 1, height: 3, width: 2, channels: 24, &random)
    var loss = CharbonnierLoss(lumaChannels: 16)
    loss.epsilon = 0.1
    let gradient = loss(output, target: target, share: 0.5).gradient
    for i in stride(from: 0, to: output.count, by: 7) {
      let slope = slope(of: loss, at: i, of: output, target: target, share: 0.5)
      #expect(abs(slope - gradient.pointer[i]) < 2e-3 * max(0.1, abs(gradient.pointer[i])) + 1e-5)
    }
  }

  @Test func adamReachesAMinimum() {
    let graph = graph
    let parameters = ParameterSet(graph: graph)
    parameters.initialize(graph: graph, seed: 1)
    let goal = ParameterSet(graph: graph)
    goal.initialize(graph: graph, seed: 2)
    let gradients = ParameterSet(graph: graph)
    var optimizer = Optimizer(like: parameters) { ParameterSet(graph: graph) }
    func distance(_ set: ParameterSet) -> Float {
      zip(set.layers, goal.layers).reduce(0) { sum, pair in
        sum + zip(pair.0.all, pair.1.all).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      }
    }
    let before = distance(parameters)
    for step in 0..<400 {
      for (index, layer) in gradients.layers.enumerated() {
        for i in 0..<layer.all.count {
          layer.all[i] = parameters.layers[index].all[i] - goal.layers[index].all[i]
        }
      }
      let rate = CosineSchedule(peak: 0.01, warmUpSteps: 10).rate(step: step, progress: Double(step) / 400)
      optimizer.update(parameters, gradients: gradients, rate: rate)
    }
    #expect(distance(parameters) < 0.01 * before)
    #expect(distance(optimizer.average) < 0.2 * before)
  }

  @Test func throughput() throws {
    // No threshold: prints steps per second of the default network, to make a slow build visible.
    let architecture = Architecture.balancedSuperResolution
    let graph = architecture.graph
    var random = SplitMix64(seed: 7)
    setConvolutionThreads(1)  // Before the primitives are created, which keep the count.
    let pass = try GradientPass(graph: graph, batch: 4, height: 48, width: 48, precision: .fastest)
    let parameters = ParameterSet(graph: graph)
    parameters.initialize(graph: graph, seed: 3)
    let frames = (0..<architecture.window).map {
      randomTensor(batch: 4, height: 48, width: 48, channels: architecture.channels(ofSlot: $0), &random)
    }
    let target = randomTensor(batch: 4, height: 48, width: 48, channels: 24, &random)
    let loss = CharbonnierLoss(lumaChannels: 16)
    let clock = ContinuousClock()
    var best = Duration.seconds(100)
    for _ in 0..<5 {
      let time = try clock.measure {
        try pass.setParameters(parameters)
        let (output, trace) = try pass.executor.runTraced(frames: frames)
        try pass.backward(trace, outputGradient: loss(output, target: target, share: 1).gradient)
      }
      best = min(best, time)
    }
    let seconds = Double(best.components.attoseconds) * 1e-18 + Double(best.components.seconds)
    let operations = 3.0 * Double(graph.operationsPerPoint * 4 * 48 * 48) / seconds / 1e9
    print("training pass of 4 windows: \(seconds * 1e3) ms, \(operations) GMAC/s on one thread")
    #expect(seconds < 100)
  }

  /// A mean of PSNRs counts relative errors: eight times the error has nearly an eighth of the gradient.
  @Test func relativeLossDividesByTheWindowsError() {
    var random = SplitMix64(seed: 14)
    var loss = CharbonnierLoss(lumaChannels: 4)
    (loss.epsilon, loss.relativeEpsilon, loss.isRelative) = (1e-3, 0.5, true)
    let small = randomTensor(batch: 1, height: 3, width: 4, channels: 6, &random)
    let (output, target) = (
      FloatTensor(batch: 2, height: 3, width: 4, channels: 6),
      FloatTensor(batch: 2, height: 3, width: 4, channels: 6)
    )
    for i in 0..<small.count {
      (target.pointer[i], target.pointer[small.count + i]) = (small.pointer[i], 8 * small.pointer[i])
      (output.pointer[i], output.pointer[small.count + i]) = (0, 0)
    }
    let (_, gradient) = loss(output, target: target, share: 1)
    for i in 0..<small.count where abs(small.pointer[i]) > 0.05 {
      let ratio = gradient.pointer[i] / gradient.pointer[small.count + i]
      #expect(ratio > 7 && ratio < 8.001, "\(i): \(ratio)")
      let slope = slope(of: loss, at: i, of: output, target: target, share: 1)
      #expect(abs(slope - gradient.pointer[i]) < 2e-4 + 0.05 * abs(slope), "\(i)")
    }
  }

  /// Windows with small and large errors have the same weight: scaled by a factor, both have the same
  /// gradient.
  @Test func relativeLossWeighsWindowsEqually() {
    var random = SplitMix64(seed: 13)
    var loss = CharbonnierLoss(lumaChannels: 4)
    (loss.epsilon, loss.relativeEpsilon) = (0, 0.5)
    let small = randomTensor(batch: 1, height: 3, width: 4, channels: 6, &random)
    let wanted = randomTensor(batch: 1, height: 3, width: 4, channels: 6, &random)
    let (output, target) = (
      FloatTensor(batch: 2, height: 3, width: 4, channels: 6),
      FloatTensor(batch: 2, height: 3, width: 4, channels: 6)
    )
    for i in 0..<small.count {
      (output.pointer[i], target.pointer[i]) = (small.pointer[i], wanted.pointer[i])
      output.pointer[small.count + i] = 8 * small.pointer[i]
      target.pointer[small.count + i] = 8 * wanted.pointer[i]
    }
    let (_, gradient) = loss(output, target: target, share: 1)
    for i in 0..<small.count {
      #expect(abs(gradient.pointer[i] - gradient.pointer[small.count + i]) < 1e-6, "\(i)")
      let slope = slope(of: loss, at: i, of: output, target: target, share: 1)
      #expect(abs(slope - gradient.pointer[i]) < 2e-4 + 0.05 * abs(slope), "\(i)")
    }
    loss.relativeEpsilon = 0
    loss.epsilon = 1
    let (_, plain) = loss(output, target: target, share: 1)
    #expect((0..<small.count).contains { abs(plain.pointer[$0] - plain.pointer[small.count + $0]) > 1e-4 })
  }

  /// Checks the gradient with a mask by finite differences, and the value by the combined residuals.
  @Test func maskedLossGradientAgreesWithFiniteDifferences() {
    var random = SplitMix64(seed: 12)
    var loss = CharbonnierLoss(
      Architecture(
        task: .interpolation, scale: 1, window: 2, alignment: .block, encoderChannels: 8, channels: 16,
        blocks: 1, hasMask: true))
    loss.epsilon = 0.04
    let output = randomTensor(batch: 1, height: 3, width: 4, channels: 12, &random)
    let target = randomTensor(batch: 1, height: 3, width: 4, channels: 12, &random)
    let (value, gradient) = loss(output, target: target, share: 1)
    for i in 0..<output.count {
      let slope = slope(of: loss, at: i, of: output, target: target, share: 1)
      #expect(abs(slope - gradient.pointer[i]) < 2e-4 + 0.05 * abs(slope), "\(i)")
    }
    // The same combined residuals from a network without a mask.
    let (sums, wanted) = (
      FloatTensor(height: 3, width: 4, channels: 6), FloatTensor(height: 3, width: 4, channels: 6)
    )
    for i in 0..<sums.count {
      let at = i / 6 * 12 + i % 6
      sums.pointer[i] = output.pointer[at] + output.pointer[at + 6] * target.pointer[at + 6] * 255 / 256
      wanted.pointer[i] = target.pointer[at]
    }
    var plain = CharbonnierLoss(lumaChannels: 4)
    plain.epsilon = loss.epsilon
    #expect(abs(plain(sums, target: wanted, share: 1).loss - value) < 1e-5)
  }
}
