// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import QuantCalibration
import Tensors
import Testing
import Training

@testable import Distillation

@Suite struct FakeQuantizationTests {
  private static func frame(width: Int, height: Int, _ random: inout SplitMix64) -> PlanarFrame {
    let frame = PlanarFrame(width: width, height: height)
    // Blobs and noise: values of the whole range, with structure for the motion search.
    let (cx, cy) = (random.uniform(0...Float(width)), random.uniform(0...Float(height)))
    for y in 0..<height {
      for x in 0..<width {
        let distance = (Float(x) - cx) * (Float(x) - cx) + (Float(y) - cy) * (Float(y) - cy)
        frame.luma[y * width + x] = UInt8(max(0, min(255, 230 - distance * 0.6 + random.uniform(-25...25))))
      }
    }
    for plane in frame.chroma {
      for i in 0..<width * height / 4 { plane[i] = UInt8(random.index(256)) }
    }
    return frame
  }

  private static func network(_ architecture: Architecture, seed: UInt64, loudness: Float = 4)
    -> NetworkWeights
  {
    let parameters = ParameterSet(graph: architecture.graph)
    parameters.initialize(graph: architecture.graph, seed: seed)
    var random = SplitMix64(seed: seed)
    // By default, large enough that every layer has an effect and some values clip.
    for layer in parameters.layers {
      for i in 0..<layer.all.count { layer.all[i] *= random.uniform(1...loudness) }
    }
    return parameters.network(architecture, recipe: "test")
  }

  @Test func initialParametersGiveTheCalibratedModel() throws {
    let architecture = Architecture(
      task: .superResolution, scale: 2, window: 3, alignment: .none, encoderChannels: 8, channels: 16,
      blocks: 1)
    let weights = Self.network(architecture, seed: 5)
    var random = SplitMix64(seed: 9)
    let window = (0..<3).map { _ in Self.frame(width: 32, height: 32, &random) }
    let calibrator = Calibrator(weights, threads: 1)
    try calibrator.observe(WindowPacker(architecture).floatInputs(window))
    let model = calibrator.model(bits: 4)
    let again = QuantizedParameters(model, weights: weights).model()
    // Converting to logarithms and back may change steps by a rounding error, and codes at ties with them.
    for (a, b) in zip(model.layers, again.layers) {
      let moved = zip(a.codes, b.codes).filter { $0 != $1 }.count
      #expect(moved * 200 <= a.codes.count)
      #expect(zip(a.steps, b.steps).allSatisfy { abs($0 - $1) <= 1e-5 * $0 })
    }
  }

  @Test func roundsTiesToEven() {
    for (value, expected) in [
      (0.5, 0.0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (7.49, 7), (-7.51, -8), (1e9, 4_194_304),
    ] as [(Float, Float)] {
      #expect(roundToNearestEven(value) == expected)
    }
  }

  /// Straight-through gradients do not match finite differences of the rounded function, but following those
  /// of steps and weights must lower the loss.
  @Test(arguments: [nil, .attention] as [WindowFusion?])
  func followingTheGradientsLowersTheLoss(fusion: WindowFusion?) throws {
    let architecture = Architecture(
      task: .superResolution, scale: 2, window: 3, alignment: .none, encoderChannels: 8, channels: 16,
      blocks: 1, fusion: fusion)
    let weights = Self.network(architecture, seed: 8, loudness: 2)
    var random = SplitMix64(seed: 3)
    let window = (0..<3).map { _ in Self.frame(width: 32, height: 32, &random) }
    let packer = WindowPacker(architecture)
    let inputs = packer.floatInputs(window)
    let calibrator = Calibrator(weights, threads: 1)
    try calibrator.observe(inputs)
    let model = calibrator.model(bits: 3)
    let executor = try FloatExecutor(
      graph: architecture.graph, batch: 1, height: 16, width: 16, precision: .float32, training: false)
    let full = ParameterSet(weights)
    try executor.setWeights(full)
    let target = try executor.run(frames: inputs)
    // Half of the network's output: far enough away to make progress visible.
    for i in 0..<target.count { target.pointer[i] *= 0.5 }
    let parameters = QuantizedParameters(model, weights: weights)
    let pass = try FakeQuantizedPass(parameters, batch: 1, height: 16, width: 16, precision: .float32)
    let codes = inputs.map { input in
      let tensor = FloatTensor(like: input)
      for i in 0..<input.count { tensor.pointer[i] = (input.pointer[i] * 255).rounded() }
      return tensor
    }
    func like(_ set: ParameterSet) -> ParameterSet {
      ParameterSet(
        layers: set.layers.map { LayerNumbers(weightCount: $0.weightCount, biasCount: $0.biasCount) })
    }
    let sets = [parameters.values, parameters.weightSteps, parameters.activationSteps]
    var optimizers = sets.map { set in Optimizer(like: set) { like(set) } }
    var loss = CharbonnierLoss(lumaChannels: 16)
    loss.epsilon = 1e-5  // A larger value would hide the remaining error.
    var losses: [Float] = []
    for _ in 0..<200 {
      let current = parameters.model()
      pass.setModel(current)
      let (output, trace) = try pass.forward(frames: codes)
      for i in 0..<output.count { output.pointer[i] /= ResidualScale.unitsPerRange }
      let (value, gradient) = loss(output, target: target, share: 1)
      losses.append(value)
      for i in 0..<gradient.count { gradient.pointer[i] /= ResidualScale.unitsPerRange }
      try pass.backward(trace, outputGradient: gradient)
      let gradients = [pass.gradients, pass.weightStepGradients, pass.activationStepGradients]
      for index in sets.indices {
        optimizers[index].update(sets[index], gradients: gradients[index], rate: 2e-4)
      }
    }
    let (first, last) = (losses[0], losses.suffix(10).reduce(0, +) / 10)
    #expect(last < 0.9 * first, "loss went from \(first) to \(last)")
  }
}
