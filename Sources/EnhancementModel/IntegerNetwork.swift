// SPDX-License-Identifier: Apache-2.0
package import Kernels
internal import LineEngine

/// A network in integer arithmetic (`--bits 8` and below): convolutions of unsigned codes with signed weights, and a 16-bit
/// residual stream.
package final class IntegerNetwork: WindowNetwork {
  /// The network's architecture.
  package let architecture: Architecture
  /// The compiled steps, for reports.
  package let steps: [IntegerStep]
  /// See `WindowNetwork`.
  package private(set) var noiseCode: UInt8?
  /// Bytes of all intermediate tensors; independent of the height of frames.
  package var tensorBytes: Int { executor.bytes }

  private let model: QuantizedModel
  private let threads: Int
  private let width, height: Int
  private let executor: LineExecutor
  private let packer: WindowPacker
  private let kernel: (IntegerStep) throws -> any RowKernel
  /// Steps by noise band, created on first use: bands share weights but not ranges.
  private var linesOfBand: [Int: [LineStep]] = [:]
  private var band = 0

  /// Packs weights and plans memory for frames of `width` x `height` (even).
  /// - Parameter rowsAtOnce: grid rows per turn, for tests; nil for the default.
  /// - Throws: `ModelError` if the model cannot be computed exactly.
  package init(
    _ model: QuantizedModel, width: Int, height: Int, threads: Int,
    algorithm: ConvolutionAlgorithm = .automatic,
    instructionSet: InstructionSet = .best, rowsAtOnce: Int? = nil
  ) throws {
    architecture = model.architecture
    self.model = model
    self.threads = threads
    packer = WindowPacker(model.architecture, threads: threads)
    kernel = { step in
      switch step.work {
      case .attention(let parameters): return IntegerAttention(parameters, instructionSet: instructionSet)
      case .convolution(let convolution):
        guard
          let kernel = IntegerConvolution(
            convolution.parameters.padded, algorithm: algorithm, instructionSet: instructionSet)
        else { throw ModelError.badArchitecture("layer \(step.name) cannot run exactly on integers") }
        return kernel
      }
    }
    let plan = try IntegerPlan(model.inNoiseBand(0))
    steps = plan.steps
    let lines = try Self.lines(plan, kernel)
    linesOfBand[0] = lines
    let architecture = architecture
    self.width = width / 2
    self.height = height / 2
    executor = LineExecutor(
      lines,
      sources: (0..<architecture.window).map {
        LineExecutor.Source(
          channels: (architecture.channels(ofSlot: $0) + 3) / 4 * 4,
          zeroPoint: ActivationQuantizer.frame.zeroPoint)
      }, width: width / 2, height: height / 2, threads: threads, chunk: rowsAtOnce)
  }

  /// See `WindowNetwork`.
  package func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) throws -> Prediction {
    let prepared = profile.measure("motion, packing") {
      packer.prepare(window, at: instant, given: conditions)
    }
    let channels = architecture.outputChannels
    let result = Residual(
      gridWidth: width, gridHeight: height, channels: IntegerConvolutionParameters.padded(channels))
    try run(prepared, profile, into: .whole(result.values))
    if architecture.isMasked, let alignment = prepared.alignment {
      let masked = profile.measure("mask") {
        BlendMask.apply(result, warped: alignment.warped, threads: threads)
      }
      return Prediction(residual: masked, alignment: alignment)
    }
    return Prediction(
      residual: result.channels == channels ? result : result.first(channels), alignment: prepared.alignment)
  }

  /// See `WindowNetwork`. Delivers rows as they are computed, without storing the residuals of a whole frame.
  package func predictRows(
    _ window: [PlanarFrame], given conditions: WindowConditions, profile: WorkProfile?,
    take: (ResidualRows) -> Void
  ) throws {
    precondition(architecture.task != .interpolation, "interpolation predicts whole frames")
    let prepared = profile.measure("motion, packing") { packer.prepare(window, given: conditions) }
    let channels = architecture.outputChannels
    try withoutActuallyEscaping(take) { [width, height] take in
      try run(
        prepared, profile,
        into: .rows { rows, values in
          take(
            ResidualRows(
              rows: rows, gridWidth: width, gridHeight: height, channels: channels,
              stride: IntegerConvolutionParameters.padded(channels), values: values))
        })
    }
  }

  /// Switches to the clipping ranges of a noise band.
  private func takeRanges(of wanted: Int) throws {
    if wanted == band { return }
    let lines =
      try linesOfBand[wanted] ?? Self.lines(IntegerPlan(model.inNoiseBand(wanted)), kernel)
    linesOfBand[wanted] = lines
    executor.steps = lines
    band = wanted
  }

  private func run(_ window: PreparedWindow, _ profile: WorkProfile?, into result: LineExecutor.Result) throws
  {
    noiseCode = window.noiseCode
    try takeRanges(of: model.noiseBand(of: window.noiseCode))
    guard let profile else { return executor.run(into: result, fill: window.fill) }
    executor.run(
      into: result,
      timing: { [steps] part, duration in
        switch part {
        case .filling: profile.add(duration, to: "motion, packing")
        case .step(let step): profile.add(duration, to: "network: \(steps[step].name)")
        case .taking: if case .rows = result { profile.add(duration, to: "enlarge") }
        }
      }, fill: window.fill)
  }

  /// Combines the plan's steps with their kernels.
  private static func lines(
    _ plan: IntegerPlan, _ kernel: (IntegerStep) throws -> any RowKernel
  ) rethrows -> [LineStep] {
    try plan.steps.map { step in
      let inputs = step.inputs.enumerated().map { slot, value -> LineStep.Input in
        if case .frame(let source) = plan.architecture.graph.operations[value] { return .source(source) }
        let maker = plan.steps.firstIndex { $0.value == value }!
        let output = plan.steps[maker].outputs.firstIndex {
          $0.operation == step.operation && $0.input == slot
        }!
        return .codes(step: maker, output: output)
      }
      return LineStep(
        try kernel(step), inputs: inputs,
        channels: IntegerConvolutionParameters.padded(step.outputChannels),
        addend: step.addend.map { addend in plan.steps.firstIndex { $0.value == addend }! },
        keepsStream: step.keepsStream, isOutput: step.isOutput,
        codes: step.outputs.map {
          LineStep.Codes(
            zeroPoint: $0.quantizer.zeroPoint, levels: $0.quantizer.levels, multiplier: $0.multiplier)
        })
    }
  }
}

extension IntegerConvolutionParameters {
  /// `channels` rounded up to a multiple of 8, as the kernels require.
  static func padded(_ channels: Int) -> Int { (channels + 7) / 8 * 8 }

  /// The parameters with output channels zero-padded to a multiple of 8.
  var padded: IntegerConvolutionParameters {
    let missing = Self.padded(outputChannels) - outputChannels
    if missing == 0 { return self }
    var result = self
    result.outputChannels += missing
    result.weights += [Int8](repeating: 0, count: missing * slots * inputChannels * 9)
    result.bias += [Int32](repeating: 0, count: missing)
    result.multiplier += [Float](repeating: multiplier[outputChannels - 1], count: missing)
    return result
  }
}
