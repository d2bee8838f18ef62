// SPDX-License-Identifier: Apache-2.0
// A convolution with its operands, and everything a kernel wrote, including guards.
import CEmulatedTiles
import CQuantKernels

/// A seeded random generator (SplitMix64): failures can be reproduced from the seed in their description.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// The values of operands: small ones reveal rounding errors, extreme ones overflow, random ones indexing
/// errors.
enum Fill: CaseIterable {
  case nearZero, allLowest, allHighest, alternating, random
}

enum Streams: CaseIterable {
  case none, input, output, both, inPlace

  var hasInput: Bool { self == .input || self == .both || self == .inPlace }
  var hasOutput: Bool { self == .output || self == .both || self == .inPlace }
}

struct Shape: CustomStringConvertible {
  var width = 7
  var height = 3
  var slots = 1
  var channelsIn = 16
  var channelsOut = 16
  var activationLevels = 255
  var weightLevels = 127
  var fill = Fill.random
  var streams = Streams.none
  var outputs = 1
  var seed: UInt64 = 1

  var description: String {
    "\(width)x\(height), \(slots) x \(channelsIn) -> \(channelsOut), codes <= \(activationLevels), "
      + "weights <= \(weightLevels), \(fill), streams \(streams), \(outputs) outputs, seed \(seed)"
  }
}

/// Everything a run wrote: a flat buffer per tensor, with guards on both sides, between rows and in the
/// border.
struct Written: Equatable {
  var codes: [[UInt8]]
  var stream: [Int16]
}

struct Problem {
  static let canary: UInt8 = 0xA5
  static let streamCanary: Int16 = 0x5A5A
  /// Number of pixels by which strides exceed rows.
  static let rowPadding = 3

  let shape: Shape
  /// A slot: bordered rows with padding, then slack.
  var inputs: [[UInt8]]
  var weights: [Int8]
  var bias: [Int32]
  var multipliers: [Float]
  var streamIn: [Int16]
  var outputFormats: [(multiplier: Float, zeroPoint: Int32, levels: Int32)]

  var inputStride: Int { (shape.width + 2 + Self.rowPadding) * shape.channelsIn }
  var inputOrigin: Int { inputStride + shape.channelsIn }
  var codesStride: Int { (shape.width + 2 + Self.rowPadding) * shape.channelsOut }
  var codesOrigin: Int { codesStride + shape.channelsOut }
  var streamStride: Int { (shape.width + Self.rowPadding) * shape.channelsOut }
  var streamOrigin: Int { streamStride }

  init(_ shape: Shape) {
    self.shape = shape
    var random = SplitMix64(state: shape.seed)
    let levels = shape.activationLevels
    let weightRange = (-shape.weightLevels - 1)...shape.weightLevels

    let stride = (shape.width + 2 + Self.rowPadding) * shape.channelsIn
    let inputCount = stride * (shape.height + 2)
    inputs = (0..<shape.slots).map { _ in
      (0..<inputCount).map { i in
        switch shape.fill {
        case .nearZero: UInt8.random(in: 0...1, using: &random)
        case .allLowest, .allHighest: UInt8(levels)
        case .alternating: i / shape.channelsIn % 2 == 0 ? UInt8(levels) : 0
        case .random: UInt8(Int.random(in: 0...levels, using: &random))
        }
      }
    }
    weights = (0..<shape.channelsOut * shape.slots * shape.channelsIn * 9).map { i in
      switch shape.fill {
      case .nearZero: Int8.random(in: -1...1, using: &random)
      case .allLowest: Int8(weightRange.lowerBound)
      case .allHighest: Int8(weightRange.upperBound)
      case .alternating: Int8(i % 2 == 0 ? weightRange.lowerBound : weightRange.upperBound)
      case .random: Int8(Int.random(in: weightRange, using: &random))
      }
    }
    bias = (0..<shape.channelsOut).map { _ in Int32.random(in: -5000...5000, using: &random) }
    // Usually spread over the codes; sometimes negative, and in half of the problems sometimes far outside of the clamps,
    // where kernels must not rely on bounded results.
    let canExceedBounds = Bool.random(using: &random)
    let taps = Float(shape.slots * shape.channelsIn * 9)
    let typical = taps.squareRoot() * Float(levels * shape.weightLevels) / 3
    multipliers = (0..<shape.channelsOut).map { _ in
      let scale = Float.random(in: 0.1...3, using: &random) * Float(levels) / typical
      switch Int.random(in: 0..<12, using: &random) {
      case 0 where canExceedBounds: return scale * 1e6
      case 1: return -scale
      case 2: return 0.5
      default: return scale
      }
    }
    let streamCount = (shape.width + Self.rowPadding) * shape.channelsOut * (shape.height + 2)
    streamIn = (0..<streamCount).map { _ in
      Int16.random(in: Bool.random(using: &random) ? -32768...32767 : -200...200, using: &random)
    }
    outputFormats = (0..<shape.outputs).map { i in
      let codes: Int32 = [255, 63, 15, 7, 3].randomElement(using: &random)!
      let far = Int.random(in: 0..<8, using: &random) == 0
      return (
        Float.random(in: 0.001...1, using: &random) * (far ? 1e5 : 1),
        i == 0 ? 0 : Int32.random(in: 0...codes, using: &random), codes
      )
    }
  }

  private func description(_ algorithm: ve_conv3x3_algorithm) -> ve_conv3x3_description {
    ve_conv3x3_description(
      slots: Int32(shape.slots), channels_in: Int32(shape.channelsIn),
      channels_out: Int32(shape.channelsOut), activation_levels: Int32(shape.activationLevels),
      weight_levels: Int32(shape.weightLevels), algorithm: algorithm)
  }

  func plan(_ isa: ve_isa, _ algorithm: ve_conv3x3_algorithm = VE_CONV3X3_DIRECT) -> OpaquePointer? {
    var description = description(algorithm)
    return ve_conv3x3_create(&description, weights, bias, multipliers, isa)
  }

  /// Creates the plan of the AMX kernels, with tiles emulated in software.
  func planOnEmulatedTiles(_ algorithm: ve_conv3x3_algorithm = VE_CONV3X3_DIRECT) -> OpaquePointer? {
    var description = description(algorithm)
    return ve_emulated_tiles_create(&description, weights, bias, multipliers)
  }

  /// Runs bands of rows that end at `bandEnds` (default: one band). Slack pixels contain `slack`, which must
  /// have no effect.
  func run(_ plan: OpaquePointer, bandEnds: [Int]? = nil, slack: UInt8 = 0) -> Written {
    let slackBytes = [UInt8](repeating: slack, count: Int(VE_SLACK_BYTES))
    let inputBuffers = inputs.map { copied($0 + slackBytes) }
    let codeCount = codesStride * (shape.height + 2)
    let codeBuffers = outputFormats.map { _ in
      copied([UInt8](repeating: Self.canary, count: codeCount))
    }
    let streamBuffer = copied(
      shape.streams == .inPlace
        ? streamIn : [Int16](repeating: Self.streamCanary, count: streamIn.count))
    let streamInBuffer = copied(streamIn)
    let scratch = UnsafeMutableRawPointer.allocate(
      byteCount: ve_conv3x3_scratch_bytes(plan), alignment: 1)
    defer {
      inputBuffers.forEach { $0.deallocate() }
      codeBuffers.forEach { $0.deallocate() }
      streamBuffer.deallocate()
      streamInBuffer.deallocate()
      scratch.deallocate()
    }

    let codesInputs = inputBuffers.map {
      ve_codes_input(data: $0.baseAddress! + inputOrigin, row_stride: inputStride, wrap: ve_wrap())
    }
    let codesOutputs = zip(codeBuffers, outputFormats).map {
      ve_codes_output(
        data: $0.baseAddress! + codesOrigin, row_stride: codesStride, wrap: ve_wrap(),
        multiplier: $1.multiplier, zero_point: $1.zeroPoint, levels: $1.levels)
    }
    codesInputs.withUnsafeBufferPointer { inputs in
      codesOutputs.withUnsafeBufferPointer { outputs in
        var io = ve_conv3x3_io()
        io.width = Int32(shape.width)
        io.height = Int32(shape.height)
        io.inputs = inputs.baseAddress
        io.outputs = outputs.baseAddress
        io.output_count = Int32(outputs.count)
        if shape.streams.hasInput {
          let buffer = shape.streams == .inPlace ? streamBuffer : streamInBuffer
          io.stream_in = UnsafePointer(buffer.baseAddress! + streamOrigin)
          io.stream_in_stride = streamStride * 2
        }
        if shape.streams.hasOutput {
          io.stream_out = streamBuffer.baseAddress! + streamOrigin
          io.stream_out_stride = streamStride * 2
        }
        var begin = 0
        for end in bandEnds ?? [shape.height] {
          ve_conv3x3_run(plan, &io, Int32(begin), Int32(end), scratch)
          begin = end
        }
      }
    }
    return Written(codes: codeBuffers.map(Array.init), stream: Array(streamBuffer))
  }

  /// Computes the definition with 64-bit integers and doubles: slow, and independent of the kernels.
  func oracle() -> Written {
    var codes = outputFormats.map { _ in
      [UInt8](repeating: Self.canary, count: codesStride * (shape.height + 2))
    }
    var stream =
      shape.streams == .inPlace
      ? streamIn : [Int16](repeating: Self.streamCanary, count: streamIn.count)
    for y in 0..<shape.height {
      for x in 0..<shape.width {
        for channel in 0..<shape.channelsOut {
          let sum = exactSum(x, y, channel)
          let scaled = Float(sum) * multipliers[channel]
          var value = Int64(Double(min(max(scaled, -8_388_608), 8_388_607)).rounded(.toNearestOrEven))
          let at = streamOrigin + y * streamStride + x * shape.channelsOut + channel
          let hasStream = shape.streams != .none
          if shape.streams.hasInput { value += Int64(streamIn[at]) }
          if hasStream { value = min(max(value, -32768), 32767) }
          if shape.streams.hasOutput { stream[at] = Int16(value) }
          for (i, format) in outputFormats.enumerated() {
            let step = Double(Float(value) * format.multiplier).rounded(.toNearestOrEven)
            let code = (hasStream ? Int64(step) : value) + Int64(format.zeroPoint)
            codes[i][codesOrigin + y * codesStride + x * shape.channelsOut + channel] =
              UInt8(min(max(code, 0), Int64(format.levels)))
          }
        }
      }
    }
    return Written(codes: codes, stream: stream)
  }

  private func exactSum(_ x: Int, _ y: Int, _ channel: Int) -> Int64 {
    var sum = Int64(bias[channel])
    for slot in 0..<shape.slots {
      for ky in 0..<3 {
        for kx in 0..<3 {
          let pixel = (y + ky) * inputStride + (x + kx) * shape.channelsIn
          for c in 0..<shape.channelsIn {
            let weight = ((channel * shape.slots + slot) * shape.channelsIn + c) * 9 + ky * 3 + kx
            sum += Int64(weights[weight]) * Int64(inputs[slot][pixel + c])
          }
        }
      }
    }
    return sum
  }
}

private func copied<Element>(_ values: [Element]) -> UnsafeMutableBufferPointer<Element> {
  let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: values.count)
  _ = buffer.initialize(from: values)
  return buffer
}
