// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
import Foundation
package import Tensors

/// Collects activation statistics of a full-precision network and quantizes it (BMFQ, PMQ-VE section 3.2), with a clipping
/// range for every activation of every frame slot and a weight step for every output channel.
package final class Calibrator {
  /// The full-precision network.
  package let network: NetworkWeights
  /// Histograms by operation and input.
  package var histograms: [[ActivationHistogram]] {
    var all = bandHistograms[0]
    for (operation, band) in bandHistograms.dropFirst().flatMap({ $0.enumerated() }) {
      for (slot, counts) in band.enumerated() { all[operation][slot].add(counts) }
    }
    return all
  }
  /// By noise band, operation and input; one band if the network has no noise level input.
  private var bandHistograms: [[[ActivationHistogram]]]
  private var bandCounts: [Int]
  /// Channel means by operation and input.
  private var means: [[ChannelMeans]]
  /// Number of observed windows.
  package private(set) var windowCount = 0

  private let graph: NetworkGraph
  private var streamPeak: Float = 0
  private var executor: FloatExecutor?
  private let threads: Int

  /// Creates a calibrator for `network`.
  package init(_ network: NetworkWeights, threads: Int) {
    self.network = network
    self.threads = threads
    graph = network.architecture.graph
    let empty = graph.operations.map { operation -> [ActivationHistogram] in
      guard case .convolution(_, let inputs, _) = operation else { return [] }
      return inputs.map { _ in ActivationHistogram() }
    }
    let count = network.architecture.hasNoiseBands ? NoiseBands.standardBounds.count : 1
    bandHistograms = Array(repeating: empty, count: count)
    bandCounts = Array(repeating: 0, count: count)
    means = empty.map { $0.map { _ in ChannelMeans() } }
  }

  /// Runs the network on a window (aligned, one tensor per slot, (code - 128) / 255) and counts every activation.
  package func observe(_ frames: [FloatTensor]) throws {
    let executor = try executor(batch: frames[0].batch, height: frames[0].height, width: frames[0].width)
    // The noise level is the last plane of the centre frame.
    let code =
      network.architecture.hasNoiseBands
      ? UInt8(frames[frames.count / 2].pointer[Architecture.frameChannels] * 255 + 128.5) : nil
    try observe(executor, noiseCode: code) { frames[$0] }
  }

  /// Runs the network on a window and counts every activation; converts one slot at a time to a float tensor, to save memory.
  package func observe(_ window: PreparedWindow) throws {
    let codes = window.codes()
    let frame = window.frames[0]
    let executor = try executor(batch: 1, height: frame.gridHeight, width: frame.gridWidth)
    try observe(executor, noiseCode: window.noiseCode) { slot in
      WindowPacker.floats(codes[slot], network.architecture.channels(ofSlot: slot), like: frame)
    }
  }

  private func observe(_ executor: FloatExecutor, noiseCode: UInt8?, frame: (Int) -> FloatTensor) throws {
    windowCount += 1
    let band = noiseCode.map { NoiseBands.index(of: $0, in: NoiseBands.standardBounds) } ?? 0
    bandCounts[band] += 1
    let count = { [self] (operation: Int, inputs: [FloatTensor]) in
      guard case .convolution(_, _, let rectified) = graph.operations[operation] else { return }
      for (slot, input) in inputs.enumerated() {
        let values = UnsafeBufferPointer(input.buffer)
        let peak = bandHistograms[band][operation][slot].add(
          values, floor: rectified ? 0 : -.infinity, threads: threads)
        means[operation][slot].add(input, rectified: rectified)
        // Before rectification, inputs of convolutions are the values of the 16-bit stream.
        if rectified { streamPeak = max(streamPeak, peak) }
      }
    }
    _ = try executor.run(observe: count, frame: frame)
  }

  private func executor(batch: Int, height: Int, width: Int) throws -> FloatExecutor {
    setConvolutionThreads(threads)
    if let executor, executor.height == height, executor.width == width, executor.batch == batch {
      return executor
    }
    let made = try FloatExecutor(
      graph: graph, batch: batch, height: height, width: width, precision: .float32, training: false)
    for index in graph.layers.indices {
      try network.weights[index].withUnsafeBufferPointer { weights in
        try network.biases[index].withUnsafeBufferPointer { biases in
          // The arrays are held by `network`, so the pointers stay valid as long as the executor.
          try made.setWeights(layer: index, weights.baseAddress!, bias: biases.baseAddress!)
        }
      }
    }
    executor = made
    return made
  }

  /// Bits of a model's operands.
  package struct Widths: Sendable, Hashable {
    /// Weight bits of the body.
    package var weights: Int
    /// Number of activation codes in the body, 2^weights unless set; see `mostCodes`.
    package var activationCodes: Int
    /// Weight grid of the body, except for layers with their own bits.
    package var grid = WeightGrid.midTread
    /// Bits of single layers by name, for weights and, if that is more than `activationCodes`, for activations.
    package var layers: [String: Int] = [:]

    /// The most activation codes for which the fastest kernel for a number of weight bits is exact: F(2x4, 3x3) for 2 and 3
    /// bits, F(2x2, 3x3) for 4, F(2, 3) for 6.
    package static func mostCodes(weightBits: Int) -> Int {
      switch weightBits {
      case ...3: 13
      case 4: 64
      case ...6: 128
      default: 256
      }
    }

    /// Creates widths with the same bits for weights and activations.
    package init(_ bits: Int) {
      weights = bits
      activationCodes = 1 << bits
    }

    /// Bits and grid of a layer's weights and the greatest code of its activations; edge layers have 8 bits.
    package func of(_ layer: ConvolutionLayer) -> (weights: Int, grid: WeightGrid, levels: Int32) {
      if layer.isEdge { return (8, .midTread, 255) }
      let bits = layers[layer.name]
      return (
        bits ?? weights, bits == nil ? grid : .midTread,
        Int32(max(bits.map { 1 << $0 } ?? 0, activationCodes)) - 1
      )
    }
  }

  /// The model at `bits` bits, with edge layers at 8. See `model(widths:method:isPerFrame:note:)`.
  package func model(
    bits: Int, method: CalibrationMethod = .bmfq, isPerFrame: Bool = true, note: String = ""
  ) -> QuantizedModel {
    model(widths: Widths(bits), method: method, isPerFrame: isPerFrame, note: note)
  }

  /// The model with operands of the given widths.
  /// - Parameters:
  ///   - method: the method of choosing clipping ranges.
  ///   - isPerFrame: whether each frame slot has its own range; otherwise all slots share one.
  package func model(
    widths: Widths, method: CalibrationMethod = .bmfq, isPerFrame: Bool = true, note: String = ""
  ) -> QuantizedModel {
    let histograms = histograms
    var quantizers = graph.operations.map { _ in [ActivationQuantizer]() }
    var layerQuantizers: [Int: [ActivationQuantizer]] = [:]
    for (index, operation) in graph.operations.enumerated() {
      guard case .convolution(let layer, let inputs, _) = operation else { continue }
      let levels = widths.of(graph.layers[layer]).levels
      let counts = isPerFrame ? histograms[index] : Self.shared(histograms[index])
      quantizers[index] = inputs.enumerated().map { slot, input in
        if case .frame = graph.operations[input] { return .frame }
        return ActivationQuantizer(
          range: method.search(counts[slot], levels: levels).range, levels: levels)
      }
      layerQuantizers[layer] = quantizers[index]
    }
    let bands = noiseBands(quantizers, widths: widths, method: method)
    let layers = graph.layers.enumerated().map { index, layer in
      let width = widths.of(layer)
      let slots = layerQuantizers[index] ?? []
      let folded = Self.folded(network.weights[index], layer: layer, slots: slots)
      let (codes, steps) = WeightQuantizer()(
        folded, channels: layer.outputChannels, bits: width.weights, grid: width.grid)
      var quantized = QuantizedLayer(
        bits: width.weights, grid: width.grid, codes: codes, steps: steps, biases: network.biases[index])
      let ratios = slots.map { $0.step / slots[0].step }
      quantized.correctBiases(
        real: folded, layer: layer, means: means(ofLayer: index), slotRatios: layer.slots > 1 ? ratios : [1])
      return quantized
    }
    // 20 % headroom, since other clips may have larger activations than the observed ones.
    let streamStep = max(streamPeak, 1e-3) * 1.2 / 32767
    return QuantizedModel(
      architecture: network.architecture, bits: widths.weights, layers: layers, quantizers: quantizers,
      noiseBands: bands, streamStep: streamStep,
      recipe: recipe(widths, method: method, isPerFrame: isPerFrame, note: note))
  }

  /// Means of a layer's inputs by slot, over all operations that use it.
  private func means(ofLayer layer: Int) -> [ChannelMeans] {
    var result = (0..<graph.layers[layer].slots).map { _ in ChannelMeans() }
    for (index, operation) in graph.operations.enumerated() {
      guard case .convolution(layer, _, _) = operation else { continue }
      for (slot, part) in means[index].enumerated() { result[slot].add(part) }
    }
    return result
  }

  /// The ratio of each band's ranges to those of all windows; nil if the network has no noise level input.
  private func noiseBands(
    _ quantizers: [[ActivationQuantizer]], widths: Widths, method: CalibrationMethod
  ) -> NoiseBands? {
    if bandHistograms.count == 1 { return nil }
    let found = bandHistograms.indices.map { band -> [Float]? in
      // A few windows are not representative of a band.
      if bandCounts[band] < Self.leastWindowsOfBand { return nil }
      return graph.operations.enumerated().map { index, operation in
        guard case .convolution(let layer, let inputs, _) = operation else { return 1 }
        let levels = widths.of(graph.layers[layer]).levels
        // One factor for all slots, since their ratios are folded into the weights: the mean of their individual factors.
        let logarithms = inputs.indices.map { slot -> Float in
          if case .frame = graph.operations[inputs[slot]] { return 0 }
          let range = method.search(bandHistograms[band][index][slot], levels: levels).range
          return log(ActivationQuantizer(range: range, levels: levels).step / quantizers[index][slot].step)
        }
        return exp(logarithms.reduce(0, +) / Float(logarithms.count))
      }
    }
    let known = found.indices.filter { found[$0] != nil }
    let neutral = graph.operations.map { _ in Float(1) }
    // A band without windows uses the ranges of the nearest one with windows, the noisier one of two.
    let factors = found.indices.map { band in
      known.min { (abs($0 - band), -$0) < (abs($1 - band), -$1) }.flatMap { found[$0] } ?? neutral
    }
    return NoiseBands(bounds: NoiseBands.standardBounds, factors: factors)
  }

  private static let leastWindowsOfBand = 4

  /// The combined histogram of all slots, for each slot.
  private static func shared(_ histograms: [ActivationHistogram]) -> [ActivationHistogram] {
    guard var all = histograms.first, histograms.count > 1 else { return histograms }
    for other in histograms.dropFirst() { all.add(other) }
    return histograms.map { _ in all }
  }

  /// Reports the fit of a model's ranges to the observed activations.
  /// - Parameter cumulative: ratio of signal to error power with all preceding layers quantized, by operation and slot.
  package func report(
    on model: QuantizedModel, cumulative: (_ operation: Int, _ slot: Int) -> Double? = { _, _ in nil }
  ) -> CalibrationReport {
    let histograms = histograms
    var entries: [CalibrationReport.Entry] = []
    for (index, operation) in graph.operations.enumerated() {
      guard case .convolution(let layer, let inputs, _) = operation else { continue }
      for (slot, input) in inputs.enumerated() {
        if case .frame = graph.operations[input] { continue }
        var entry = CalibrationReport.Entry(
          layer: graph.layers[layer].name, slot: slot, quantizer: model.quantizers[index][slot],
          histogram: histograms[index][slot])
        entry.cumulativeSignalToNoise = cumulative(index, slot).map { 10 * log10($0) }
        entries.append(entry)
      }
    }
    return CalibrationReport(entries: entries)
  }

  /// The model's recipe, as JSON.
  private func recipe(_ widths: Widths, method: CalibrationMethod, isPerFrame: Bool, note: String) -> String {
    func quoted(_ text: String) -> String {
      (try? JSONEncoder().encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "null"
    }
    // The network's recipe may be any text.
    let isJSON = (try? JSONSerialization.jsonObject(with: Data(network.recipe.utf8))) != nil
    let source = network.recipe.isEmpty ? "null" : isJSON ? network.recipe : quoted(network.recipe)
    var ranges = isPerFrame ? "" : #""perFrame":false,"#
    if widths.activationCodes != 1 << widths.weights {
      ranges += #""activationCodes":\#(widths.activationCodes),"#
    }
    if widths.grid != .midTread { ranges += #""weightGrid":"\#(widths.grid.rawValue)","# }
    if !widths.layers.isEmpty {
      let pairs = widths.layers.sorted { $0.key < $1.key }.map { #""\#($0.key)":\#($0.value)"# }
      ranges += #""layerBits":{\#(pairs.joined(separator: ","))},"#
    }
    return
      #"{"method":"\#(method.rawValue)",\#(ranges)"windows":\#(windowCount),"note":\#(quoted(note)),"source":\#(source)}"#
  }

  /// Weights multiplied by slot step / first slot's step: see `QuantizedLayer.steps`.
  static func folded(_ weights: [Float], layer: ConvolutionLayer, slots: [ActivationQuantizer]) -> [Float] {
    guard layer.slots > 1, slots.count == layer.slots else { return weights }
    var result = weights
    let span = layer.inputChannels * 9
    for output in 0..<layer.outputChannels {
      for slot in 0..<layer.slots {
        let factor = slots[slot].step / slots[0].step
        for i in 0..<span { result[(output * layer.slots + slot) * span + i] *= factor }
      }
    }
    return result
  }
}
