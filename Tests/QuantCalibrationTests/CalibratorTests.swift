// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Tensors
import TestSupport
import Testing

@testable import QuantCalibration

@Suite struct CalibratorTests {
  /// Returns windows of panning textures.
  private func windows(_ count: Int, length: Int, width: Int = 48, height: Int = 32) -> [[PlanarFrame]] {
    (1...count).map { seed -> [PlanarFrame] in
      let speed = 0.4 * Double(seed - 1)
      return (0..<length).map { index -> PlanarFrame in
        let time = Double(index)
        return texturedFrame(width: width, height: height, seed: UInt64(seed), x: 1.3 * time, y: speed * time)
      }
    }
  }

  private func calibrated(
    _ weights: NetworkWeights, _ windows: [[PlanarFrame]], threads: Int = 1
  ) throws -> Calibrator {
    let calibrator = Calibrator(weights, threads: threads)
    let packer = WindowPacker(weights.architecture)
    for window in windows { try calibrator.observe(packer.prepare(window)) }
    return calibrator
  }

  // MARK: - Models

  @Test func tensorsAndFramesGiveEqualHistograms() throws {
    let weights = NetworkWeights.random(.small(window: 5), seed: 1)
    let windows = windows(2, length: 5)
    let calibrator = Calibrator(weights, threads: 1)
    let packer = WindowPacker(weights.architecture)
    for window in windows { try calibrator.observe(packer.floatInputs(window)) }
    let other = try calibrated(weights, windows)
    #expect(calibrator.model(bits: 4).file.serialized() == other.model(bits: 4).file.serialized())
  }

  @Test(arguments: [8, 4, 2]) func equalWindowsGiveEqualBytes(_ bits: Int) throws {
    let weights = NetworkWeights.random(.small(window: 5), seed: 1, recipe: #"{"steps":3}"#)
    let windows = windows(3, length: 5)
    let first = try calibrated(weights, windows).model(bits: bits)
    let second = try calibrated(weights, windows).model(bits: bits)
    #expect(first.file.serialized() == second.file.serialized())
    let other = try calibrated(weights, Array(windows.reversed().dropLast())).model(bits: bits)
    #expect(other.file.serialized() != first.file.serialized())
    // Calling it again changes nothing.
    let calibrator = try calibrated(weights, windows)
    #expect(calibrator.model(bits: bits) == first && calibrator.model(bits: bits) == first)
    #expect(calibrator.windowCount == 3)
  }

  /// 4-bit weights with finer activations use the same transform and are closer to full precision.
  @Test func activationsMayBeFiner() throws {
    let weights = NetworkWeights.random(.small(window: 3, blocks: 2), seed: 6)
    let windows = windows(2, length: 3)
    let calibrator = try calibrated(weights, windows)
    var widths = Calibrator.Widths(4)
    widths.activationCodes = 64
    let model = calibrator.model(widths: widths)
    #expect(try QuantizedModel(file: Safetensors(data: model.file.serialized(), path: "x")) == model)
    let graph = weights.architecture.graph
    for (index, operation) in graph.operations.enumerated() {
      guard case .convolution(let layer, _, _) = operation, !graph.layers[layer].isEdge else { continue }
      #expect(model.layers[layer].bits == 4 && model.quantizers[index].allSatisfy { $0.bits == 6 })
    }
    let truth = try FloatNetwork(weights, width: 48, height: 32, threads: 1).predict(windows[0]).residual
    func error(_ model: QuantizedModel) throws -> Double {
      let result = try IntegerNetwork(model, width: 48, height: 32, threads: 1).predict(windows[0]).residual
      return (0..<24 * 16 * truth.channels).reduce(0.0) { sum, i in
        let difference = Double(result.values[i]) - Double(truth.values[i])
        return sum + difference * difference
      }
    }
    #expect(try error(model) < error(calibrator.model(bits: 4)))
  }

  /// Ranges grow with the noise; a band without windows uses its neighbour's.
  @Test func rangesFollowTheNoise() throws {
    let architecture = Architecture(
      task: .denoising, scale: 1, window: 3, alignment: .block, encoderChannels: 8, channels: 16, blocks: 1)
    let weights = NetworkWeights.random(architecture, seed: 8)
    let calibrator = Calibrator(weights, threads: 1)
    let packer = WindowPacker(architecture)
    var random = SplitMix64(seed: 5)
    for window in windows(4, length: 3) {
      for level: Float in [3, 28] {
        let noisy = window.map { frame -> PlanarFrame in
          let result = PlanarFrame(width: 48, height: 32)
          for i in 0..<48 * 32 * 3 / 2 {
            result.luma[i] = UInt8(max(0, min(255, Float(frame.luma[i]) + level * random.normal())))
          }
          return result
        }
        try calibrator.observe(packer.prepare(noisy, given: WindowConditions(noiseLevel: level)))
      }
    }
    let model = calibrator.model(bits: 4)
    let bands = try #require(model.noiseBands)
    #expect(bands.bounds == NoiseBands.standardBounds && bands.factors.count == 5)
    #expect(bands.factors[1] == bands.factors[0] && bands.factors[4] == bands.factors[3])
    #expect(bands.factors[2] == bands.factors[3], "of two as near, the louder")
    for (index, operation) in architecture.graph.operations.enumerated() {
      let (calm, loud) = (bands.factors[0][index], bands.factors[3][index])
      if case .convolution(_, _, true) = operation {
        #expect(calm < loud, "operation \(index)")
      } else {
        #expect(calm == 1 && loud == 1)
      }
    }
    #expect(model.atNoiseLevel(3).noiseBands == nil)
    #expect(model.atNoiseLevel(3).layers == model.atNoiseLevel(40).layers)
  }

  /// Queries, keys and values have ranges on both sides of zero, weights on one; each slot its own, or all slots the same.
  @Test(arguments: CalibrationMethod.allCases) func operandsOfAttentionHaveRanges(method: CalibrationMethod)
    throws
  {
    let architecture = Architecture.small(window: 3, fusion: .attention)
    let weights = NetworkWeights.random(architecture, seed: 14)
    let calibrator = try calibrated(weights, windows(2, length: 3))
    let operations = architecture.graph.operations
    let place = try #require(operations.firstIndex { if case .attention = $0 { true } else { false } })
    guard case .attention(let attention) = operations[place] else { return }
    let own = calibrator.model(bits: 4, method: method).quantizers[place]
    let shared = calibrator.model(bits: 4, method: method, isPerFrame: false).quantizers[place]
    #expect(own.count == 10 && shared.count == 10)
    for (operand, quantizer) in zip(attention.operands, own) {
      #expect(quantizer.levels == 15)
      #expect(operand.kind == .weight ? quantizer.zeroPoint == 0 : (1...14).contains(quantizer.zeroPoint))
      if operand.kind == .weight { #expect(quantizer.step <= 1 / 15) }
    }
    #expect(Set(own[1...3].map(\.step)).count == 3 && Set(own[4...6].map(\.step)).count == 3)
    for group in [1...3, 4...6, 7...9] { #expect(Set(shared[group]).count == 1) }
    // Layers that all slots share: a range for each slot's input, or one.
    let keys = operations.indices.filter {
      if case .convolution(let layer, _, _) = operations[$0] {
        architecture.graph.layers[layer].name == "fusion.key"
      } else {
        false
      }
    }
    #expect(keys.count == 3)
    let model = calibrator.model(bits: 4, method: method, isPerFrame: false)
    #expect(Set(keys.map { model.quantizers[$0][0] }).count == 1)
    let report = calibrator.report(on: calibrator.model(bits: 4, method: method))
    #expect(report.entries.filter { $0.layer.hasPrefix("attention.") }.count == 10)
  }

  /// Coarse weights shift the mean of a layer's output; corrected biases compensate for the shift.
  @Test func biasesCompensateForRoundedWeights() throws {
    let weights = NetworkWeights.random(.small(window: 3, blocks: 1), seed: 12)
    let windows = windows(3, length: 3)
    let model = try calibrated(weights, windows).model(bits: 2)
    var plain = model
    for index in plain.layers.indices { plain.layers[index].biases = weights.biases[index] }
    func shift(_ model: QuantizedModel) throws -> Double {
      let integers = try IntegerNetwork(model, width: 48, height: 32, threads: 1)
      let floats = try FloatNetwork(weights, width: 48, height: 32, threads: 1)
      var (sums, count) = ([Double](repeating: 0, count: 24), 0.0)
      for window in windows {
        let (a, b) = (try integers.predict(window).residual, try floats.predict(window).residual)
        for i in 0..<24 * 16 * 24 { sums[i % 24] += Double(a.values[i]) - Double(b.values[i]) }
        count += 24 * 16
      }
      return sums.reduce(0) { $0 + abs($1 / count) }
    }
    let (corrected, uncorrected) = (try shift(model), try shift(plain))
    #expect(corrected < 0.7 * uncorrected, "\(corrected) after, \(uncorrected) before")
  }

  @Test func calibratedModelsAreValid() throws {
    let weights = NetworkWeights.random(.small(window: 3, blocks: 2), seed: 2, recipe: #"{"steps":3}"#)
    let calibrator = try calibrated(weights, windows(2, length: 3))
    let graph = weights.architecture.graph
    for bits in 2...8 {
      let model = calibrator.model(bits: bits, note: #"a "note""#)
      #expect(try QuantizedModel(file: Safetensors(data: model.file.serialized(), path: "x")) == model)
      for (layer, quantized) in zip(graph.layers, model.layers) {
        let width = layer.isEdge ? 8 : bits
        let half = 1 << (width - 1)
        #expect(quantized.bits == width)
        #expect(quantized.codes.allSatisfy { (-half..<half).contains(Int($0)) })
        #expect(quantized.codes.contains { $0 != 0 })
      }
      for (index, operation) in graph.operations.enumerated() {
        guard case .convolution(let layer, let inputs, let rectified) = operation else {
          #expect(model.quantizers[index].isEmpty)
          continue
        }
        for (input, quantizer) in zip(inputs, model.quantizers[index]) {
          if case .frame = graph.operations[input] {
            #expect(quantizer == .frame)
          } else {
            #expect(quantizer.bits == (graph.layers[layer].isEdge ? 8 : bits))
            // Clipping at code 0 implements the ReLU.
            if rectified { #expect(quantizer.zeroPoint == 0) }
          }
        }
      }
      let recipe = try JSONSerialization.jsonObject(with: Data(model.recipe.utf8)) as? [String: Any]
      #expect(recipe?["note"] as? String == #"a "note""# && recipe?["windows"] as? Int == 2)
      #expect((recipe?["source"] as? [String: Any])?["steps"] as? Int == 3)
      _ = try IntegerNetwork(model, width: 8, height: 8, threads: 1)
    }
  }

  @Test func slotsHaveSeparateRanges() throws {
    let architecture = Architecture.small(window: 3, alignment: .none)
    let weights = NetworkWeights.random(architecture, seed: 3)
    // The last frame is gray: its slot only receives the encoder's biases.
    let windows = windows(2, length: 3)
    let gray = PlanarFrame(width: 48, height: 32)
    gray.luma.update(repeating: 128, count: 48 * 32 * 3 / 2)
    let model = try calibrated(weights, windows.map { [$0[0], $0[1], gray] }).model(bits: 4)
    let fusion = try #require(
      architecture.graph.operations.firstIndex { if case .convolution(1, _, _) = $0 { true } else { false } })
    let steps = model.quantizers[fusion].map(\.step)
    #expect(steps.count == 3)
    #expect(steps[2] < 0.5 * steps[0] && steps[2] < 0.5 * steps[1], "\(steps)")
    #expect(steps[0] != steps[1])
  }

  @Test func streamStepLeavesHeadroom() throws {
    let weights = NetworkWeights.random(.small(window: 1, blocks: 2), seed: 4)
    let windows = windows(2, length: 1)
    let calibrator = try calibrated(weights, windows)
    let peak = calibrator.histograms.joined().map(\.maximum).max()!
    let step = calibrator.model(bits: 4).streamStep
    #expect(step * 32767 >= peak * 1.15 && step * 32767 < peak * 4)
  }

  // MARK: - Folding

  @Test func foldingByEqualStepsIsTheIdentity() {
    let layer = ConvolutionLayer(name: "f", slots: 3, inputChannels: 8, outputChannels: 4, isEdge: false)
    var random = SplitMix64(seed: 1)
    let weights = (0..<layer.weightCount).map { _ in random.normal() }
    let slot = ActivationQuantizer(step: 0.37, zeroPoint: 0, levels: 15)
    #expect(Calibrator.folded(weights, layer: layer, slots: [slot, slot, slot]) == weights)
    let single = ConvolutionLayer(name: "s", inputChannels: 24, outputChannels: 4, isEdge: false)
    #expect(Calibrator.folded(weights, layer: single, slots: [slot]) == weights)
  }

  /// The sum over slots of step x w x q equals the first step x the sum of folded w x q.
  @Test func foldingMovesStepsIntoWeights() {
    let layer = ConvolutionLayer(name: "f", slots: 3, inputChannels: 2, outputChannels: 4, isEdge: false)
    var random = SplitMix64(seed: 2)
    let weights = (0..<layer.weightCount).map { _ in random.normal() }
    let slots = [0.3, 0.7, 0.05].map { ActivationQuantizer(step: $0, zeroPoint: 0, levels: 15) }
    let folded = Calibrator.folded(weights, layer: layer, slots: slots)
    for output in 0..<4 {
      let codes = (0..<3 * 18).map { _ in Double(random.index(16)) }
      var (real, integer) = (0.0, 0.0)
      for i in codes.indices {
        real += Double(slots[i / 18].step) * Double(weights[output * 54 + i]) * codes[i]
        integer += Double(slots[0].step) * Double(folded[output * 54 + i]) * codes[i]
      }
      #expect(abs(real - integer) < 1e-4)
    }
  }

  // MARK: - Closeness

  /// Returns the relative root mean square error of the integer network's residuals.
  private func error(
    _ weights: NetworkWeights, _ model: QuantizedModel, _ windows: [[PlanarFrame]]
  ) throws -> Double {
    let (width, height) = (windows[0][0].width, windows[0][0].height)
    let float = try FloatNetwork(weights, width: width, height: height, threads: 1)
    let integer = try IntegerNetwork(model, width: width, height: height, threads: 1)
    var (difference, size) = (0.0, 0.0)
    for window in windows {
      for (a, b) in zip(
        values(try float.predict(window).residual), values(try integer.predict(window).residual))
      {
        difference += (Double(a) - Double(b)) * (Double(a) - Double(b))
        size += Double(a) * Double(a)
      }
    }
    return (difference / size).squareRoot()
  }

  @Test(arguments: [
    Architecture.small(window: 1, channels: 32, blocks: 2),
    .small(window: 3, encoderChannels: 16, channels: 32, blocks: 2),
    .small(window: 5, alignment: .none, blocks: 1),
  ])
  func fewerBitsLeaveMoreError(_ architecture: Architecture) throws {
    let weights = NetworkWeights.random(architecture, seed: 5)
    let windows = windows(4, length: architecture.window)
    let calibrator = try calibrated(weights, Array(windows[..<3]))
    let errors = try [8, 6, 4, 3, 2].map { try error(weights, calibrator.model(bits: $0), windows) }
    #expect(errors[0] < 0.02, "\(errors)")
    #expect(zip(errors, errors.dropFirst()).allSatisfy { 1.2 * $0 < $1 }, "\(errors)")
    #expect(errors[2] < 0.35, "\(errors)")
  }
}

@Suite struct CalibrationChoiceTests {
  private static func windows(_ architecture: Architecture) -> [[FloatTensor]] {
    var random = SplitMix64(seed: 9)
    return (0..<4).map { _ in
      (0..<architecture.window).map { slot in
        let tensor = FloatTensor(height: 12, width: 10, channels: architecture.channels(ofSlot: slot))
        // Slots of different magnitudes.
        let bound = 0.1 + 0.4 * Float(slot)
        for i in 0..<tensor.count { tensor.pointer[i] = random.uniform(-bound...bound) }
        return tensor
      }
    }
  }

  private static func calibrator() throws -> Calibrator {
    let weights = NetworkWeights.random(.small(), seed: 4)
    let calibrator = Calibrator(weights, threads: 1)
    for window in windows(weights.architecture) { try calibrator.observe(window) }
    return calibrator
  }

  @Test(arguments: CalibrationMethod.allCases) func methodsAreRecordedAndDeterministic(
    method: CalibrationMethod
  ) throws {
    let first = try Self.calibrator().model(bits: 4, method: method)
    #expect(first == (try Self.calibrator().model(bits: 4, method: method)))
    #expect(first.recipe.contains("\"method\":\"\(method.rawValue)\""))
  }

  @Test func methodsDifferAndBMFQIsTheDefault() throws {
    let calibrator = try Self.calibrator()
    #expect(calibrator.model(bits: 4) == calibrator.model(bits: 4, method: .bmfq))
    #expect(calibrator.model(bits: 4, method: .minmax).quantizers != calibrator.model(bits: 4).quantizers)
  }

  @Test func sharedRangesAreEqualInAllSlots() throws {
    let calibrator = try Self.calibrator()
    let shared = calibrator.model(bits: 4, isPerFrame: false)
    let own = calibrator.model(bits: 4)
    let fusion = try #require(shared.quantizers.firstIndex { $0.count > 1 })
    #expect(Set(shared.quantizers[fusion]).count == 1)
    #expect(Set(own.quantizers[fusion]).count > 1)
    #expect(shared.recipe.contains("\"perFrame\":false") && !own.recipe.contains("perFrame"))
  }

  @Test func reportCountsClippedValues() throws {
    let calibrator = try Self.calibrator()
    let extremes = calibrator.report(on: calibrator.model(bits: 4, method: .minmax))
    let best = calibrator.report(on: calibrator.model(bits: 4))
    #expect(extremes.entries.count == best.entries.count && !best.entries.isEmpty)
    for (a, b) in zip(extremes.entries, best.entries) {
      #expect(a.clippedFraction < 1e-3, "\(a)")
      // BMFQ minimizes the error on a grid between the percentiles.
      #expect(b.error <= a.error * 1.05, "\(b) \(a)")
      #expect(b.bits == a.bits && b.codes == a.codes && b.deadLevels < b.codes)
    }
    #expect(best.entries.contains { $0.clippedFraction > 0 })
    #expect(best.text.split(separator: "\n").count == best.entries.count + 1)
    #expect(try best.json().contains("\"clippedFraction\""))
  }

  @Test func histogramsAddUp() {
    var random = SplitMix64(seed: 2)
    let (few, many) = (
      (0..<500).map { _ in random.uniform(-1...1) }, (0..<900).map { _ in random.uniform(0...7) } + [0, 0]
    )
    var (a, b, both) = (ActivationHistogram(), ActivationHistogram(), ActivationHistogram())
    _ = few.withUnsafeBufferPointer { a.add($0, floor: -.infinity) }
    _ = many.withUnsafeBufferPointer { b.add($0, floor: -.infinity) }
    _ = (few + many).withUnsafeBufferPointer { both.add($0, floor: -.infinity) }
    a.add(b)
    #expect(a.count == both.count && a.zeros == both.zeros)
    #expect(a.minimum == both.minimum && a.maximum == both.maximum)
    for fraction in [0.1, 0.5, 0.9] {
      #expect(abs(a.quantile(fraction) - both.quantile(fraction)) < 2 * a.binWidth)
    }
  }
}
