// SPDX-License-Identifier: Apache-2.0
public import Tensors

/// A network on integers (`--bits 8` and below): every convolution of the graph on unsigned codes and signed weights, the
/// residual stream in 16 bits.
public final class IntegerNetwork: WindowNetwork {
  /// What it is.
  public let architecture: Architecture
  /// The steps as they run, for reports.
  public let steps: [IntegerStep]

  /// See `WindowNetwork`.
  public var noiseLevel: Float? {
    get { packer.noiseLevel }
    set { packer.noiseLevel = newValue }
  }
  /// See `WindowNetwork`.
  public var instant: Int {
    get { packer.instant }
    set { packer.instant = newValue }
  }
  /// See `WindowNetwork`.
  public var motion: FrameMotion? { packer.motion }
  /// See `WindowNetwork`.
  public var warped: [PlanarFrame] { packer.warped }
  /// See `WindowNetwork`.
  public var profile: WorkProfile?

  private let threads: Int
  private let kernels: [IntegerConvolution]
  private let buffers: IntegerBuffers
  private let packer: WindowPacker

  /// Packs weights and plans memory for frames of `width` x `height` (even).
  /// - Throws: `ModelError` when the model's numbers cannot run exactly.
  public init(
    _ model: QuantizedModel, width: Int, height: Int, threads: Int,
    algorithm: ConvolutionAlgorithm = .automatic,
    instructionSet: InstructionSet = .best
  ) throws {
    architecture = model.architecture
    self.threads = threads
    packer = WindowPacker(model.architecture, threads: threads)
    let plan = try IntegerPlan(model)
    steps = plan.steps
    kernels = try plan.steps.map { step in
      guard
        let kernel = IntegerConvolution(
          step.parameters.padded, algorithm: algorithm, instructionSet: instructionSet)
      else { throw ModelError.badArchitecture("layer \(step.name) cannot run exactly on integers") }
      return kernel
    }
    buffers = IntegerBuffers(plan: plan, width: width / 2, height: height / 2)
  }

  /// See `WindowNetwork`.
  public func residual(window: [PlanarFrame]) throws -> Residual {
    profile.measure("motion, packing") {
      packer.pack(
        window,
        into: buffers.frames.map {
          WindowPacker.Destination(origin: $0.origin, pixelStride: $0.channels, rowStride: $0.rowStride)
        })
    }
    let first = buffers.frames[0]
    let channels = architecture.outputChannels
    let result = Residual(
      gridWidth: first.width, gridHeight: first.height,
      channels: IntegerConvolutionParameters.padded(channels))
    for index in steps.indices {
      profile.measure("network: \(steps[index].name)") { run(index, result: result) }
    }
    if architecture.isMasked {
      return profile.measure("mask") { BlendMask.apply(result, warped: packer.warped, threads: threads) }
    }
    return result.channels == channels ? result : result.first(channels)
  }

  private func run(_ index: Int, result: Residual) {
    let (step, use) = (steps[index], buffers.steps[index])
    let target: UnsafeMutablePointer<Int16>? =
      step.isOutput ? result.values : use.streamOut.map { buffers.streams[$0].values }
    let source = use.streamIn.map { UnsafePointer(buffers.streams[$0].values) }
    let outputs = zip(step.outputs, use.codes).map { output, buffer in
      CodeOutput(
        tensor: buffers.codes[buffer], multiplier: output.multiplier, zeroPoint: output.quantizer.zeroPoint,
        levels: output.quantizer.levels)
    }
    let inputs = use.inputs.map { input in
      switch input {
      case .frame(let slot): buffers.frames[slot]
      case .codes(let index): buffers.codes[index]
      }
    }
    kernels[index].run(
      inputs, adding: source, stream: target,
      streamChannels: step.isOutput ? result.channels : step.outputChannels,
      codes: outputs, threads: threads)
  }
}

extension IntegerConvolutionParameters {
  /// Channels that kernels compute for `channels`: whole eights.
  static func padded(_ channels: Int) -> Int { (channels + 7) / 8 * 8 }

  /// With output channels of zeros up to whole eights.
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

  init(plan: IntegerPlan, width: Int, height: Int) {
    let architecture = plan.architecture
    let graph = architecture.graph
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
    for (index, step) in plan.steps.enumerated() {
      var use = Step()
      for (slot, input) in step.inputs.enumerated() {
        use.inputs.append(slotOf[input].map { .frame($0) } ?? .codes(codesOf[[step.operation, slot]]!))
      }
      for output in step.outputs {
        let kind = [Int32(step.outputChannels), output.quantizer.zeroPoint]
        let buffer =
          freeCodes[kind]?.popLast()
          ?? add(
            CodeTensor(
              width: width, height: height, channels: step.outputChannels,
              zeroPoint: output.quantizer.zeroPoint))
        codesOf[[output.operation, output.input]] = buffer
        use.codes.append(buffer)
      }
      use.streamIn = step.addend.map { streamOf[$0]! }
      if step.keepsStream && !step.isOutput {
        let isLastUse =
          step.addend.map { addend in
            !plan.steps[(index + 1)...].contains { $0.addend == addend }
          } ?? false
        // The last reader of a stream may write over it: kernels read a value before they write its place.
        let buffer =
          isLastUse
          ? use.streamIn!
          : freeStreams[step.outputChannels]?.popLast()
            ?? add(
              StreamTensor(width: width, height: height, channels: step.outputChannels))
        streamOf[step.value] = buffer
        use.streamOut = buffer
      }
      // Inputs are free for the steps that follow, not for this one: bands read beyond their own rows.
      for (slot, input) in step.inputs.enumerated() where slotOf[input] == nil {
        let buffer = codesOf[[step.operation, slot]]!
        freeCodes[[Int32(codes[buffer].channels), Int32(codes[buffer].zeroPoint)], default: []].append(buffer)
      }
      steps.append(use)
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
