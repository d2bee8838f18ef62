// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import QuantCalibration
import Tensors
import TestSupport
import Testing

@testable import Distillation
@testable import Training

@Suite struct DistillerTests {
  private static let architecture = Architecture(
    task: .superResolution, scale: 2, window: 3, alignment: .block, encoderChannels: 8, channels: 16,
    blocks: 1)

  private static func tensor(_ values: [Float]) -> FloatTensor {
    let tensor = FloatTensor(height: 1, width: values.count / 2, channels: 2)
    for (i, value) in values.enumerated() { tensor.pointer[i] = value }
    return tensor
  }

  @Test func streamLossGradientMatchesItsSlope() {
    let teachings: [[Int16]] = [[30, -20, 0, 7]]
    let loss = StreamLoss(weight: 3)
    func value(_ values: [Float]) -> Float {
      loss(Self.tensor(values), teachings: teachings, share: 0.5, addTo: Self.tensor([0, 0, 0, 0]))
    }
    let at: [Float] = [28, -25, 4, 7]
    let gradient = Self.tensor([1, 1, 1, 1])  // Existing gradients are kept.
    let total = loss(Self.tensor(at), teachings: teachings, share: 0.5, addTo: gradient)
    #expect(abs(total - 3 * 0.5 * 45 / 1349) < 1e-6)
    for i in at.indices {
      var (above, below) = (at, at)
      above[i] += 0.5
      below[i] -= 0.5
      #expect(abs(gradient.pointer[i] - 1 - (value(above) - value(below))) < 1e-5)
    }
  }

  private static func network(seed: UInt64) -> NetworkWeights {
    let parameters = ParameterSet(graph: architecture.graph)
    parameters.initialize(graph: architecture.graph, seed: seed)
    return parameters.network(architecture, recipe: "test")
  }

  private static func calibrated(_ weights: NetworkWeights, _ window: TrainingWindow, bits: Int) throws
    -> QuantizedModel
  {
    let calibrator = Calibrator(weights, threads: 1)
    try calibrator.observe(WindowPool.batch([window]).frames)
    return calibrator.model(bits: bits)
  }

  private static func maker(_ folder: URL) throws -> WindowMaker {
    try WindowMaker(folder: folder, architecture: architecture, size: 64, log: { _ in })
  }

  @Test func realWeightsReproduceTheModel() throws {
    let bench = try Workbench()
    try TrainingFolder.fill(bench)
    var random = SplitMix64(seed: 4)
    let window = try Self.maker(bench.directory).make(using: &random)
    let model = try Self.calibrated(Self.network(seed: 3), window, bits: 4)
    let again = QuantizedParameters(model, weights: model.realWeights).model()
    #expect(again.layers.map(\.codes) == model.layers.map(\.codes))
    #expect(again.layers.map(\.biases) == model.layers.map(\.biases))
  }

  @Test func teachersMatchTheirNetworks() throws {
    let bench = try Workbench()
    try TrainingFolder.fill(bench)
    var random = SplitMix64(seed: 5)
    let window = try Self.maker(bench.directory).make(using: &random)
    let weights = Self.network(seed: 6)
    let eight = try Self.calibrated(weights, window, bits: 8)
    let full = ParameterSet(weights)
    let teachers = try Teachers(
      weights: full, network: weights, intermediates: [eight], side: 16, precision: .float32,
      streamStep: eight.streamStep)
    let teachings = try teachers.teach(window)
    try #require(teachings.count == 2)
    let parameters = QuantizedParameters(eight, weights: weights)
    let pass = try FakeQuantizedPass(parameters, batch: 1, height: 16, width: 16, precision: .float32)
    pass.setModel(eight)
    let (output, trace) = try pass.forward(frames: Distiller.codes(WindowPool.batch([window]).frames))
    #expect(teachings[1].output == (0..<output.count).map { Int16(output.pointer[$0]) })
    let stream = try #require(trace.stream)
    #expect(teachings[1].stream == (0..<stream.count).map { Int16(stream.pointer[$0]) })
    // Eight bits are close to full precision, in the same units.
    func distance(_ a: [Int16], _ b: [Int16]) -> Double {
      let square = a.reduce(0.0) { $0 + Double($1) * Double($1) }
      return zip(a, b).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) } / square
    }
    #expect(distance(teachings[0].stream, teachings[1].stream) < 0.01)
    #expect(distance(teachings[0].output, teachings[1].output) < 0.05)
    withExtendedLifetime(full) {}
  }

  @Test func errorsAddUpFromLayerToLayer() throws {
    let bench = try Workbench()
    try TrainingFolder.fill(bench)
    var random = SplitMix64(seed: 9)
    let window = try Self.maker(bench.directory).make(using: &random)
    let weights = Self.network(seed: 10)
    let frames = WindowPool.batch([window]).frames
    func ratios(bits: Int) throws -> [Double] {
      let model = try Self.calibrated(weights, window, bits: bits)
      let errors = try CumulativeErrors(model, network: weights, height: 16, width: 16)
      try errors.observe(frames)
      return Self.architecture.graph.operations.indices.compactMap {
        errors.signalToNoise(operation: $0, slot: 0)
      }
    }
    let (eight, three) = (try ratios(bits: 8), try ratios(bits: 3))
    // Fusion, two layers of the body, tail; the encoders read frames.
    #expect(eight.count == 4 && three.count == 4)
    #expect(eight.allSatisfy { $0 > 100 }, "\(eight)")
    // Fusion has 8 bits in both models; the following layers are worse at 3.
    #expect(abs(eight[0] / three[0] - 1) < 1e-6)
    #expect(zip(eight, three).dropFirst().allSatisfy { $0 > 1.5 * $1 }, "\(eight) \(three)")
  }

  private static func greatestMove(_ distiller: Distiller, from weights: NetworkWeights) -> Float {
    zip(distiller.realWeights.weights, weights.weights).reduce(0) { most, pair in
      zip(pair.0, pair.1).reduce(most) { max($0, abs($1.0 - $1.1)) }
    }
  }

  /// A whole run in a tiny folder: it ends after its steps, continues from its checkpoint, and produces a
  /// model.
  @Test func runsAndResumes() throws {
    let bench = try Workbench()
    try TrainingFolder.fill(bench)
    var random = SplitMix64(seed: 7)
    let window = try Self.maker(bench.directory).make(using: &random)
    let weights = Self.network(seed: 8)
    let eight = try Self.calibrated(weights, window, bits: 8)
    let four = try Self.calibrated(weights, window, bits: 4)
    func distiller(steps: Int, _ change: (inout DistillationSettings) -> Void = { _ in }) throws -> Distiller
    {
      var training = TrainingSettings(architecture: Self.architecture, minutes: 0)
      training.steps = steps
      training.cropSize = 64
      training.batch = 4
      training.poolCapacity = 24
      training.precision = .float32
      var settings = DistillationSettings(training: training, bits: 4)
      change(&settings)
      return try Distiller(
        settings: settings, calibrated: four, teacher: weights, intermediates: [eight], data: bench.directory,
        checkpointPath: bench.path("state"), log: { _ in })
    }
    var losses: [Double] = []
    let first = try distiller(steps: 3)
    try first.run(isCancelled: { false }) { losses.append($0.loss) }
    #expect(first.step == 3 && losses.allSatisfy { $0.isFinite && $0 > 0 })
    let second = try distiller(steps: 5)
    #expect(second.step == 3)
    try second.run(isCancelled: { false }) { _ in }
    #expect(second.step == 5)
    #expect(
      try QuantizedModel(file: Safetensors(data: second.model.file.serialized(), path: "state")).bits == 4)
    #expect(Self.greatestMove(second, from: weights) > 1e-5)

    // Muon keeps other moments.
    let path = bench.path("state")
    #expect(throws: TrainingError.otherOptimizer(path: path, .adam)) {
      try distiller(steps: 6) { $0.training.optimizer = .muon }
    }
    try FileManager.default.removeItem(atPath: path)
    let muon = try distiller(steps: 3) { $0.training.optimizer = .muon }
    try muon.run(isCancelled: { false }) { _ in }
    #expect(Self.greatestMove(muon, from: weights) > 1e-5)
    #expect(throws: TrainingError.otherOptimizer(path: path, .muon)) { try distiller(steps: 6) }

    try FileManager.default.removeItem(atPath: path)
    let bounds = try distiller(steps: 3) { $0.movesWeights = false }
    try bounds.run(isCancelled: { false }) { _ in }
    // Only rounding differs from their average.
    #expect(Self.greatestMove(bounds, from: weights) < 1e-7)
    let moved = zip(bounds.model.layers, four.layers).contains { $0.steps != $1.steps }
    #expect(moved)
  }
}
