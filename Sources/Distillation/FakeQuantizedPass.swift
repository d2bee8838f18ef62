// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
internal import Kernels
package import Tensors
package import Training

/// Forward and backward through an integer model in floating point, with exactly the results of the integer kernels:
/// operands are integers of at most 8 bits (exact in bfloat16), sums stay below 2^24 (exact in a float), and sums are
/// followed by the same sequence of single-precision operations as in the kernels. Gradients pass straight through
/// rounding and stop at clipping (PMQ-VE, section 3.1; bounds learn as in LSQ).
///
/// One shard of a batch; one thread at a time.
package final class FakeQuantizedPass {
  /// Gradients with respect to real weights and biases.
  package let gradients: ParameterSet
  /// Gradients with respect to the logarithms of weight steps.
  package let weightStepGradients: ParameterSet
  /// Gradients with respect to the logarithms of activation steps.
  package let activationStepGradients: ParameterSet

  private let graph: NetworkGraph
  private let parameters: QuantizedParameters
  private let batch, height, width: Int
  private let precision: FloatPrecision
  private let convolutions: [FloatConvolution]
  private let codes: ParameterSet
  /// Biases of convolutions by step: those of one layer differ where its inputs have different steps.
  private var biases: [Int: LayerNumbers] = [:]
  private let scratch: ParameterSet
  private var whole: QuantizedModel?
  /// The model with the ranges of the last windows' noise band, and its plan.
  private var current: (band: Int, model: QuantizedModel, plan: IntegerPlan)?

  /// Prepares a shard of `batch` windows on a `height` x `width` grid.
  package init(
    _ parameters: QuantizedParameters, batch: Int, height: Int, width: Int, precision: FloatPrecision
  ) throws {
    self.parameters = parameters
    (self.batch, self.height, self.width, self.precision) = (batch, height, width, precision)
    let graph = parameters.base.architecture.graph
    self.graph = graph
    gradients = ParameterSet(graph: graph)
    weightStepGradients = ParameterSet(
      layers: graph.layers.map { LayerNumbers(weightCount: $0.outputChannels, biasCount: 0) })
    activationStepGradients = ParameterSet(
      layers: [LayerNumbers(weightCount: parameters.activationSteps.layers[0].weightCount, biasCount: 0)])
    codes = ParameterSet(graph: graph)
    scratch = ParameterSet(graph: graph)
    convolutions = try graph.layers.map { layer in
      try FloatConvolution(
        batch: batch, height: height, width: width, inputChannels: layer.totalInputChannels,
        outputChannels: layer.outputChannels, precision: precision, training: true, exact: true)
    }
  }

  /// Sets the integer model.
  package func setModel(_ model: QuantizedModel) {
    whole = model
    current = nil
  }

  /// The model with the ranges used for the last windows.
  package var modelInUse: QuantizedModel? { current?.model }

  /// Prepares the model with the ranges of a noise band: its plan, and its codes as the weights of the convolutions.
  private func inBand(_ band: Int) throws -> (band: Int, model: QuantizedModel, plan: IntegerPlan) {
    guard let whole else { preconditionFailure("setModel comes first") }
    if let current, current.band == band { return current }
    let model = whole.inNoiseBand(band)
    let plan = try IntegerPlan(model)
    var found: [Int: LayerNumbers] = [:]
    for (index, layer) in model.layers.enumerated() {
      let target = codes.layers[index]
      for i in 0..<target.weightCount { target.weights[i] = Float(layer.codes[i]) }
      let users = plan.steps.indices.filter { plan.steps[$0].convolution?.layer == index }
      let all = users.map { plan.steps[$0].convolution!.centredBias }
      if let first = all.first {
        for i in 0..<target.biasCount { target.biases[i] = Float(first[i]) }
      }
      if Set(all).count > 1 {
        for (step, bias) in zip(users, all) {
          let own = LayerNumbers(weightCount: 0, biasCount: target.biasCount)
          for i in 0..<target.biasCount { own.biases[i] = Float(bias[i]) }
          found[step] = own
        }
      }
      try convolutions[index].setWeights(target.weights, bias: target.biases)
    }
    biases = found
    current = (band, model, plan)
    return (band, model, plan)
  }

  /// `NoiseLevel.code` of windows (codes - 128 as floats); nil for networks without a noise level input. All windows of a
  /// batch must be in the same band, whose ranges apply to all of them.
  private func noiseCode(_ frames: [FloatTensor]) -> UInt8? {
    let architecture = parameters.base.architecture
    guard architecture.hasNoiseBands else { return nil }
    return UInt8(frames[architecture.window / 2].pointer[Architecture.frameChannels] + 128)
  }

  /// Data recorded by a forward pass for the backward pass.
  package struct Trace {
    /// By step: the convolution's operand, integers q - zero point.
    var operands: [Int: ConvolutionOperand] = [:]
    /// By step: the attention's operands, likewise.
    var attended: [Int: AttendedSlots] = [:]
    /// By operation and input or operand: values in units of the code before rounding and clipping.
    var unrounded: [[Int]: FloatTensor] = [:]
    /// The input stream of the last step, in integers; nil in networks without one.
    package var stream: FloatTensor?
  }

  /// Runs a forward pass.
  /// - Parameter frames: by slot, codes - 128 as floats.
  /// - Returns: integer residuals in 1/64 of a level, equal to those of the integer executor.
  package func forward(frames: [FloatTensor]) throws -> (output: FloatTensor, trace: Trace) {
    let plan = try inBand(whole?.noiseBand(of: noiseCode(frames)) ?? 0).plan
    var trace = Trace()
    var slots: [Int: FloatTensor] = [:]
    for (index, operation) in graph.operations.enumerated() {
      if case .frame(let slot) = operation { slots[index] = frames[slot] }
    }
    var codes: [[Int]: FloatTensor] = [:]
    var streams: [Int: FloatTensor] = [:]
    var output: FloatTensor?
    for (index, step) in plan.steps.enumerated() {
      let inputs = step.inputs.enumerated().map { slot, input in
        slots[input] ?? codes[[step.operation, slot]]!
      }
      for slot in step.inputs.indices { codes[[step.operation, slot]] = nil }
      let sums = try compute(step, index, inputs, &trace)
      if step.keepsStream {
        makeStream(sums, adding: step.addend.map { streams[$0]! })
        if step.isOutput { output = sums } else { streams[step.value] = sums }
      }
      for use in step.outputs {
        let unrounded = FloatTensor(like: sums)
        let made = FloatTensor(like: sums)
        fakeQuantize(
          sums, multiplier: step.keepsStream ? use.multiplier : 1, range: range(use), unrounded: unrounded,
          codes: made)
        codes[[use.operation, use.input]] = made
        trace.unrounded[[use.operation, use.input]] = unrounded
      }
    }
    trace.stream = plan.steps.last.flatMap { streams[$0.inputs[0]] }
    return (output!, trace)
  }

  /// The result of step `index` in units of its output, before rounding.
  private func compute(
    _ step: IntegerStep, _ index: Int, _ inputs: [FloatTensor], _ trace: inout Trace
  ) throws -> FloatTensor {
    switch step.work {
    case .convolution(let work):
      let operand = gatherOperand(inputs, rectified: false, precision: precision)
      trace.operands[index] = operand
      let sums = FloatTensor(batch: batch, height: height, width: width, channels: step.outputChannels)
      if let own = biases[index] {
        try convolutions[work.layer].setWeights(codes.layers[work.layer].weights, bias: own.biases)
      }
      try convolutions[work.layer].forward(operand.raw, into: sums.pointer)
      scale(sums, byChannel: work.parameters.multiplier)
      return sums
    case .attention(let attention):
      let count = (inputs.count - 1) / 2
      let slots = AttendedSlots(
        query: inputs[0], keys: Array(inputs[1...count]), values: Array(inputs[(1 + count)...]),
        heads: attention.heads)
      trace.attended[index] = slots
      let sums = slots.attendInCodes(attention)
      for (slot, weights) in slots.weights.enumerated() {
        trace.unrounded[[step.operation, inputs.count + slot]] = weights
      }
      return sums
    }
  }

  /// The range of an output's codes minus their zero point.
  private func range(_ use: IntegerStep.Output) -> ClosedRange<Float> {
    Float(-use.quantizer.zeroPoint)...Float(use.quantizer.levels - use.quantizer.zeroPoint)
  }

  // MARK: - Backward

  /// Propagates the gradient of the output (in units of 1/64 of a level) backward, and that of the last step's stream if there
  /// is one. Overwrites the three sets of gradients.
  package func backward(_ trace: Trace, outputGradient: FloatTensor, streamGradient: FloatTensor? = nil)
    throws
  {
    guard let (band, model, plan) = current else { preconditionFailure("forward comes first") }
    for set in [gradients, weightStepGradients, activationStepGradients] {
      for layer in set.layers { layer.all.update(repeating: 0) }
    }
    var codeGradients: [[Int]: FloatTensor] = [:]
    var streamGradients: [Int: FloatTensor] = [:]
    if let streamGradient, let last = plan.steps.last { streamGradients[last.inputs[0]] = streamGradient }
    for (index, step) in plan.steps.enumerated().reversed() {
      let gradient: FloatTensor
      if step.isOutput {
        gradient = outputGradient
      } else {
        gradient = streamGradients.removeValue(forKey: step.value) ?? zeros(channels: step.outputChannels)
      }
      for use in step.outputs {
        guard let part = codeGradients.removeValue(forKey: [use.operation, use.input]) else { continue }
        let place = parameters.stepIndex[use.operation][use.input]
        let total = fakeQuantizeBackward(
          part, unrounded: trace.unrounded[[use.operation, use.input]]!,
          multiplier: step.keepsStream ? use.multiplier : 1, range: range(use), addTo: gradient)
        if let place { activationStepGradients.layers[0].all[place] += total }
        if let place = parameters.factorIndex(band: band, operation: use.operation) {
          activationStepGradients.layers[0].all[place] += total
        }
      }
      if let addend = step.addend {
        // The older term receives the same gradient. It can be shared, since this step only reads it from here on.
        let shared = FloatTensor(like: gradient)
        shared.pointer.update(from: gradient.pointer, count: gradient.count)
        streamGradients[addend] = streamGradients[addend].map { add($0, shared) } ?? shared
      }
      switch step.work {
      case .convolution(let work):
        scale(gradient, byChannel: work.parameters.multiplier)
        let difference = gatherOperand([gradient], rectified: false, precision: precision)
        let target = scratch.layers[work.layer]
        try convolutions[work.layer].backwardWeights(
          trace.operands[index]!.raw, difference.raw, into: target.weights, bias: target.biases)
        accumulateWeights(step, layer: work.layer, model)
        try spread(difference, step: step, layer: work.layer, into: &codeGradients)
      case .attention(let attention):
        let targets = step.inputs.map { _ in zeros(channels: gradient.channels) }
        let totals = trace.attended[index]!.backwardInCodes(attention, gradient, addTo: targets)
        for (slot, target) in targets.enumerated() { codeGradients[[step.operation, slot]] = target }
        for (slot, total) in totals.enumerated() {
          guard let place = parameters.stepIndex[step.operation][targets.count + slot] else { continue }
          activationStepGradients.layers[0].all[place] += total
        }
      }
    }
  }

  private func zeros(channels: Int) -> FloatTensor {
    let result = FloatTensor(batch: batch, height: height, width: width, channels: channels)
    result.fill(0)
    return result
  }

  /// Converts gradients of codes (in `scratch`) to those of real weights, biases and weight steps.
  private func accumulateWeights(_ step: IntegerStep, layer index: Int, _ model: QuantizedModel) {
    let layer = graph.layers[index]
    let quantized = model.layers[index]
    let ratios = parameters.slotRatios(model, layer: index)
    let from = scratch.layers[index]
    let to = gradients.layers[index]
    let real = parameters.values.layers[index]
    let limits = WeightRounding(quantized.grid, bits: quantized.bits).limits
    let span = layer.inputChannels * 9
    let inputStep = model.quantizers[step.operation][0].step
    for output in 0..<layer.outputChannels {
      var stepGradient: Float = 0
      for slot in 0..<layer.slots {
        let factor = ratios[slot] / quantized.steps[output]
        let at = (output * layer.slots + slot) * span
        for i in at..<at + span {
          let x = real.weights[i] * factor
          let passed = x >= limits.lowerBound && x <= limits.upperBound ? from.weights[i] : 0
          to.weights[i] += passed * factor
          stepGradient += from.weights[i] * Float(quantized.codes[i]) - passed * x
        }
      }
      weightStepGradients.layers[index].all[output] += stepGradient
      to.biases[output] += from.biases[output] / (inputStep * quantized.steps[output])
    }
  }

  /// Computes the gradients of a step's input codes.
  private func spread(
    _ difference: ConvolutionOperand, step: IntegerStep, layer index: Int,
    into codeGradients: inout [[Int]: FloatTensor]
  ) throws {
    let takesFrames = step.inputs.contains { if case .frame = graph.operations[$0] { true } else { false } }
    if takesFrames { return }
    let layer = graph.layers[index]
    let joined = FloatTensor(batch: batch, height: height, width: width, channels: layer.totalInputChannels)
    try convolutions[index].backwardData(difference.raw, into: joined.pointer)
    for slot in step.inputs.indices {
      let part = zeros(channels: layer.inputChannels)
      scatterGradient(joined, offset: slot * layer.inputChannels, rectifiedOperand: nil, addTo: part)
      codeGradients[[step.operation, slot]] = part
    }
  }
}
