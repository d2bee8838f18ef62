// SPDX-License-Identifier: Apache-2.0
public import Tensors

/// A network on integers (`--bits 8` and below): every convolution of the graph on unsigned codes and signed weights, the
/// residual stream in 16 bits.
public final class IntegerNetwork: WindowNetwork {
  /// What it is.
  public let architecture: Architecture
  /// The steps as they run, for reports.
  public let steps: [IntegerStep]

  private let threads: Int
  private let program: IntegerProgram
  private let buffers: IntegerBuffers
  private let packer: WindowPacker

  /// Packs weights and plans memory for frames of `width` x `height` (even).
  /// - Throws: `ModelError` when the model's numbers cannot run exactly.
  public init(
    _ model: QuantizedModel, width: Int, height: Int, threads: Int, algorithm: ConvolutionAlgorithm = .automatic,
    instructionSet: InstructionSet = .best
  ) throws {
    architecture = model.architecture
    self.threads = threads
    packer = WindowPacker(model.architecture, threads: threads)
    program = try IntegerProgram(model, algorithm: algorithm, instructionSet: instructionSet)
    steps = program.steps
    buffers = IntegerBuffers(program: program, width: width / 2, height: height / 2)
  }

  /// See `WindowNetwork`.
  public func residual(window: [PlanarFrame]) throws -> Residual {
    packer.pack(
      window,
      into: buffers.frames.map {
        WindowPacker.Destination(origin: $0.origin, pixelStride: $0.channels, rowStride: $0.rowStride)
      })
    let first = buffers.frames[0]
    let result = Residual(
      gridWidth: first.width, gridHeight: first.height, channels: architecture.outputChannels)
    for (index, step) in program.steps.enumerated() {
      run(step, buffers: buffers.steps[index], result: result)
    }
    return result
  }

  /// Runs the steps and hands over every convolution's input codes; for tests of bit-exactness.
  func run(_ step: IntegerStep, buffers step_: IntegerBuffers.Step, result: Residual) {
    let target: UnsafeMutablePointer<Int16>? =
      step.isOutput ? result.values : step_.streamOut.map { buffers.streams[$0].values }
    let source = step_.streamIn.map { UnsafePointer(buffers.streams[$0].values) }
    let outputs = zip(step.outputs, step_.codes).map { output, buffer in
      CodeOutput(
        tensor: buffers.codes[buffer], multiplier: output.multiplier, zeroPoint: output.quantizer.zeroPoint,
        levels: output.quantizer.levels)
    }
    let inputs = step_.inputs.map { input in
      switch input {
      case .frame(let slot): buffers.frames[slot]
      case .codes(let index): buffers.codes[index]
      }
    }
    step.convolution.run(
      inputs, adding: source, stream: target, streamChannels: step.outputChannels, codes: outputs, threads: threads)
  }
}

/// A convolution as it runs on integers, with what is fused into its end.
public struct IntegerStep {
  /// Its layer's name.
  public let name: String
  /// The graph's operation whose value leaves the step: the convolution, or the sum fused into it.
  public let value: Int
  /// Values that enter, by slot.
  public let inputs: [Int]
  /// The stream value added, if any.
  public let addend: Int?
  /// Whether the value is kept as a 16-bit stream.
  public let keepsStream: Bool
  /// Whether it is the network's output.
  public let isOutput: Bool
  /// Channels out.
  public let outputChannels: Int
  /// Codes made from the value: for which operation and input, with which quantizer and multiplier.
  public let outputs: [Output]
  /// The arithmetic.
  public let convolution: IntegerConvolution
  /// Its numbers. (For tests and reports.)
  public let parameters: IntegerConvolutionParameters

  /// Codes for one use of a value.
  public struct Output {
    /// The convolution that reads them, and as which of its inputs.
    public let operation: Int
    /// See `operation`.
    public let input: Int
    /// How values become codes.
    public let quantizer: ActivationQuantizer
    /// Stream units (or accumulators already scaled: 1) to code units.
    public let multiplier: Float
  }
}

/// A quantized model compiled to integer steps: scales folded, sums fused.
struct IntegerProgram {
  let architecture: Architecture
  let graph: NetworkGraph
  let steps: [IntegerStep]

  init(_ model: QuantizedModel, algorithm: ConvolutionAlgorithm, instructionSet: InstructionSet) throws {
    let graph = model.architecture.graph
    self.graph = graph
    architecture = model.architecture
    let uses = Uses(graph)
    var steps: [IntegerStep] = []
    for (index, operation) in graph.operations.enumerated() {
      guard case .convolution(let layer, let inputs, _) = operation else { continue }
      // A sum that follows is computed where the convolution ends.
      let sum = uses.onlySum(of: index)
      let value = sum?.operation ?? index
      let isOutput = value == graph.operations.count - 1
      let quantizers = model.quantizers[index]
      let readers = uses.convolutions[value]
      let keepsStream = isOutput || sum != nil || uses.isSummed[value] || readers.count > 1
      let parameters = try Self.parameters(
        model, layer: layer, inputs: quantizers,
        outputStep: isOutput
          ? 1 / ResidualScale.unitsPerRange
          : keepsStream ? model.streamStep : model.quantizers[readers[0].operation][readers[0].input].step)
      guard
        let convolution = IntegerConvolution(parameters, algorithm: algorithm, instructionSet: instructionSet)
      else {
        throw ModelError.badArchitecture("layer \(graph.layers[layer].name) cannot run exactly on integers")
      }
      let outputs = readers.map { reader in
        let quantizer = model.quantizers[reader.operation][reader.input]
        return IntegerStep.Output(
          operation: reader.operation, input: reader.input, quantizer: quantizer,
          multiplier: keepsStream ? model.streamStep / quantizer.step : 1)
      }
      steps.append(
        IntegerStep(
          name: graph.layers[layer].name, value: value, inputs: inputs, addend: sum?.other,
          keepsStream: keepsStream, isOutput: isOutput, outputChannels: graph.layers[layer].outputChannels,
          outputs: outputs, convolution: convolution, parameters: parameters))
    }
    self.steps = steps
  }

  /// Integer weights, bias and multipliers of a layer whose inputs have the given quantizers.
  ///
  /// real = sum over slots of slotStep * sum(w (q - zero)) + bias. The layer's steps are those of w * slotStep / firstStep,
  /// so one accumulator serves all slots; the zero points' share goes into the integer bias.
  private static func parameters(
    _ model: QuantizedModel, layer index: Int, inputs: [ActivationQuantizer], outputStep: Float
  ) throws -> IntegerConvolutionParameters {
    let layer = model.architecture.graph.layers[index]
    let quantized = model.layers[index]
    let padded = (layer.inputChannels + 3) / 4 * 4
    var weights = [Int8](repeating: 0, count: layer.outputChannels * layer.slots * padded * 9)
    var bias = [Int32](repeating: 0, count: layer.outputChannels)
    var multiplier = [Float](repeating: 0, count: layer.outputChannels)
    for output in 0..<layer.outputChannels {
      let unit = inputs[0].step * quantized.steps[output]
      let scaled = (quantized.biases[output] / unit).rounded(.toNearestOrEven)
      guard abs(scaled) < 0x1p30 else {
        throw ModelError.badArchitecture("bias of layer \(layer.name) does not fit")
      }
      var sum = Int32(scaled)
      for slot in 0..<layer.slots {
        for channel in 0..<layer.inputChannels {
          let from = ((output * layer.slots + slot) * layer.inputChannels + channel) * 9
          let to = ((output * layer.slots + slot) * padded + channel) * 9
          for tap in 0..<9 {
            weights[to + tap] = quantized.codes[from + tap]
            sum -= inputs[slot].zeroPoint * Int32(quantized.codes[from + tap])
          }
        }
      }
      bias[output] = sum
      multiplier[output] = unit / outputStep
    }
    return IntegerConvolutionParameters(
      slots: layer.slots, inputChannels: padded, outputChannels: layer.outputChannels,
      activationLevels: inputs.map(\.levels).max()!, weightBits: quantized.bits, weights: weights, bias: bias,
      multiplier: multiplier)
  }
}

/// Who reads each value of a graph.
private struct Uses {
  /// Convolutions that read a value, and as which input.
  var convolutions: [[(operation: Int, input: Int)]]
  /// Whether a value enters a sum.
  var isSummed: [Bool]
  private var sums: [[(operation: Int, other: Int)]]

  init(_ graph: NetworkGraph) {
    let count = graph.operations.count
    convolutions = Array(repeating: [], count: count)
    isSummed = Array(repeating: false, count: count)
    sums = Array(repeating: [], count: count)
    for (index, operation) in graph.operations.enumerated() {
      switch operation {
      case .frame: break
      case .convolution(_, let inputs, _):
        for (slot, input) in inputs.enumerated() { convolutions[input].append((index, slot)) }
      case .add(let a, let b):
        sums[a].append((index, b))
        sums[b].append((index, a))
        isSummed[a] = true
        isSummed[b] = true
      }
    }
  }

  /// The sum that is the only reader of a value and can be fused into its making: the other term is older.
  func onlySum(of value: Int) -> (operation: Int, other: Int)? {
    guard convolutions[value].isEmpty, sums[value].count == 1, sums[value][0].other < value else { return nil }
    return sums[value][0]
  }
}

/// Memory of an integer program for one grid: planned once, reused for every window.
final class IntegerBuffers {
  enum Input {
    case frame(Int)
    case codes(Int)
  }

  /// Which buffers a step uses.
  struct Step {
    var inputs: [Input] = []
    var streamIn: Int?
    var streamOut: Int?
    var codes: [Int] = []
  }

  private(set) var frames: [CodeTensor] = []
  private(set) var codes: [CodeTensor] = []
  private(set) var streams: [StreamTensor] = []
  private(set) var steps: [Step] = []

  init(program: IntegerProgram, width: Int, height: Int) {
    let graph = program.graph
    let architecture = program.architecture
    var slotOf: [Int: Int] = [:]
    for (index, operation) in graph.operations.enumerated() {
      if case .frame(let slot) = operation {
        slotOf[index] = slot
        frames.append(
          CodeTensor(
            width: width, height: height, channels: (architecture.channels(ofSlot: slot) + 3) / 4 * 4,
            zeroPoint: ActivationQuantizer.frame.zeroPoint))
      }
    }
    // Buffers free for another use, by what they must agree in.
    var freeCodes: [[Int32]: [Int]] = [:]
    var codesOf: [[Int]: Int] = [:]
    var streamOf: [Int: Int] = [:]
    var freeStreams: [Int: [Int]] = [:]
    for (index, step) in program.steps.enumerated() {
      var plan = Step()
      let operation = step.convolutionOperation(in: graph)
      for (slot, input) in step.inputs.enumerated() {
        plan.inputs.append(slotOf[input].map { .frame($0) } ?? .codes(codesOf[[operation, slot]]!))
      }
      for output in step.outputs {
        let kind = [Int32(step.outputChannels), output.quantizer.zeroPoint]
        let buffer =
          freeCodes[kind]?.popLast()
          ?? add(
            CodeTensor(
              width: width, height: height, channels: step.outputChannels, zeroPoint: output.quantizer.zeroPoint))
        codesOf[[output.operation, output.input]] = buffer
        plan.codes.append(buffer)
      }
      plan.streamIn = step.addend.map { streamOf[$0]! }
      if step.keepsStream && !step.isOutput {
        let isLastUse = step.addend.map { addend in
          !program.steps[(index + 1)...].contains { $0.addend == addend }
        } ?? false
        // The last reader of a stream may write over it: kernels read a value before they write its place.
        let buffer =
          isLastUse ? plan.streamIn! : freeStreams[step.outputChannels]?.popLast() ?? add(
            StreamTensor(width: width, height: height, channels: step.outputChannels))
        streamOf[step.value] = buffer
        plan.streamOut = buffer
      }
      // Inputs are free for the steps that follow, not for this one: bands read beyond their own rows.
      for (slot, input) in step.inputs.enumerated() where slotOf[input] == nil {
        let buffer = codesOf[[operation, slot]]!
        freeCodes[[Int32(codes[buffer].channels), Int32(codes[buffer].zeroPoint)], default: []].append(buffer)
      }
      steps.append(plan)
    }
  }

  private func add(_ tensor: CodeTensor) -> Int {
    codes.append(tensor)
    return codes.count - 1
  }

  private func add(_ tensor: StreamTensor) -> Int {
    streams.append(tensor)
    return streams.count - 1
  }
}

extension IntegerStep {
  /// The convolution's own operation: the value's, or the term of the sum that is not the addend.
  fileprivate func convolutionOperation(in graph: NetworkGraph) -> Int {
    guard case .add(let a, let b) = graph.operations[value] else { return value }
    return a == addend ? b : a
  }
}
