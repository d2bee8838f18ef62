// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation

/// Evaluates a quantized network in the simplest way: operation by operation, with 64-bit sums, and rounding
/// as defined by CQuantKernels.h and `IntegerNetwork`. Independent of buffers, bands, packing and fused
/// steps.
struct QuantizedOracle {
  private let model: QuantizedModel
  private let graph: NetworkGraph
  private let width, height: Int

  /// The value of an operation.
  private enum Value {
    /// Codes of a frame.
    case frame([UInt8], channels: Int)
    /// Rounded real numbers in units of `step`; 16 bits if they are part of the residual stream.
    case units([Int32], step: Float, channels: Int, isStream: Bool)
  }

  init(_ model: QuantizedModel, frameWidth: Int, frameHeight: Int) {
    self.model = model
    graph = model.architecture.graph
    width = frameWidth / 2
    height = frameHeight / 2
  }

  /// Returns the residuals of a window given as packed codes.
  func residual(_ frames: [[UInt8]]) -> [Int16] {
    var values: [Value] = []
    for (index, operation) in graph.operations.enumerated() {
      switch operation {
      case .frame(let slot):
        values.append(.frame(frames[slot], channels: model.architecture.channels(ofSlot: slot)))
      case .convolution(let layer, let inputs, _):
        let codes = zip(inputs, model.quantizers[index]).map { input, quantizer in
          self.codes(values[input], quantizer)
        }
        values.append(convolve(index, layer: layer, codes))
      case .attention(let attention):
        let codes = zip(attention.inputs, model.quantizers[index]).map { input, quantizer in
          self.codes(values[input], quantizer).codes
        }
        values.append(attend(index, attention, codes))
      case .add(let a, let b):
        guard case .units(let x, let step, let channels, _) = values[a],
          case .units(let y, _, _, _) = values[b]
        else {
          fatalError("frames are not added")
        }
        values.append(
          .units(
            zip(x, y).map { max(-32768, min(32767, $0 + $1)) }, step: step, channels: channels, isStream: true
          ))
      }
    }
    guard case .units(let output, _, _, _) = values[values.count - 1] else {
      fatalError("a network ends in numbers")
    }
    return output.map { Int16(max(-32768, min(32767, $0))) }
  }

  /// Returns the operand of a convolution for a value.
  private func codes(_ value: Value, _ quantizer: ActivationQuantizer) -> (codes: [Int64], channels: Int) {
    switch value {
    case .frame(let codes, let channels): return (codes.map { Int64($0) }, channels)
    case .units(let units, let step, let channels, let isStream):
      let codes = units.map { unit -> Int64 in
        let scaled = isStream ? Self.rounded(Float(unit) * (step / quantizer.step)) : Int64(unit)
        return max(0, min(Int64(quantizer.levels), scaled + Int64(quantizer.zeroPoint)))
      }
      return (codes, channels)
    }
  }

  /// Evaluates an attention as defined in VEAttention.h.
  private func attend(_ index: Int, _ attention: SlotAttention, _ codes: [[Int64]]) -> Value {
    let quantizers = model.quantizers[index]
    let slots = attention.slots
    let (step, _) = resultStep(of: index)
    func centred(_ input: Int, _ at: Int) -> Int64 { codes[input][at] - Int64(quantizers[input].zeroPoint) }
    let weights = Array(quantizers[(1 + 2 * slots)...])
    let units = (0..<slots).map { weights[$0].step * quantizers[1 + slots + $0].step }
    let factors = units.map { Int64(($0 / units.max()! * 1024).rounded(.toNearestOrEven)) }
    let multiplier = units.max()! / (1024 * step)
    var result = [Int32](repeating: 0, count: codes[0].count)
    let scale = 64 / Float(8).squareRoot()
    for first in stride(from: 0, to: result.count, by: 8) {
      var scores: [Int64] = []
      for key in 1...slots {
        var sum: Int64 = 0
        for c in first..<first + 8 { sum += centred(0, c) * centred(key, c) }
        let unit = quantizers[0].step * quantizers[key].step * scale
        scores.append(Self.rounded22(Float(sum) * unit))
      }
      var exponentials: [Int64] = []
      for score in scores {
        let difference = scores.max()! - score
        let real = 32768 * exp(-Double(difference) / 64)
        exponentials.append(difference >= 511 ? 0 : Int64(real.rounded(.toNearestOrEven)))
      }
      let reciprocal = Self.rounded22(0x1p30 / Float(exponentials.reduce(0, +)))
      for c in first..<first + 8 {
        var sum: Int64 = 0
        for s in 0..<slots {
          let share = Float(exponentials[s] * reciprocal)
          let code = Self.rounded22(share * (1 / (0x1p30 * weights[s].step)))
          sum += min(Int64(weights[s].levels), code) * factors[s] * centred(1 + slots + s, c)
        }
        result[c] = Int32(Self.rounded22(Float(sum) * multiplier))
      }
    }
    return .units(result, step: step, channels: attention.channels, isStream: false)
  }

  /// Rounds to the nearest integer, ties to even, and clamps to 2^22.
  private static func rounded22(_ value: Float) -> Int64 {
    Int64(max(-0x1p22, min(0x1p22, value)).rounded(.toNearestOrEven))
  }

  /// Rounds to the nearest integer, ties to even, and clamps to 24 bits.
  private static func rounded(_ value: Float) -> Int64 {
    Int64(max(-0x1p23, min(0x1p23 - 1, value)).rounded(.toNearestOrEven))
  }

  /// Returns the step of a convolution's result and whether it is stored in 16 bits: for the output and for
  /// values that are added or read more than once. A value with a single reader is converted directly to the
  /// reader's codes.
  private func resultStep(of index: Int) -> (step: Float, isStream: Bool) {
    if index == graph.operations.count - 1 { return (1 / (255 * 64), true) }
    var readers: [ActivationQuantizer] = []
    for (other, operation) in graph.operations.enumerated() {
      switch operation {
      case .frame: break
      case .add(let a, let b): if a == index || b == index { return (model.streamStep, true) }
      case .convolution(_, let inputs, _):
        for (slot, input) in inputs.enumerated() where input == index {
          readers.append(model.quantizers[other][slot])
        }
      case .attention(let attention):
        for (place, input) in attention.inputs.enumerated() where input == index {
          readers.append(model.quantizers[other][place])
        }
      }
    }
    return readers.count == 1 ? (readers[0].step, false) : (model.streamStep, true)
  }

  private func convolve(_ index: Int, layer: Int, _ inputs: [(codes: [Int64], channels: Int)]) -> Value {
    let description = graph.layers[layer]
    let quantized = model.layers[layer]
    let quantizers = model.quantizers[index]
    let (step, isStream) = resultStep(of: index)
    var result = [Int32](repeating: 0, count: width * height * description.outputChannels)
    let weights = quantized.codes.map { Int64($0) }
    for output in 0..<description.outputChannels {
      let unit = quantizers[0].step * quantized.steps[output]
      let bias = Int64((quantized.biases[output] / unit).rounded(.toNearestOrEven))
      let multiplier = unit / step
      for y in 0..<height {
        for x in 0..<width {
          var sum = bias
          for (slot, input) in inputs.enumerated() {
            let zero = Int64(quantizers[slot].zeroPoint)
            let base = (output * inputs.count + slot) * description.inputChannels
            for dy in -1...1 where y + dy >= 0 && y + dy < height {
              for dx in -1...1 where x + dx >= 0 && x + dx < width {
                let from = ((y + dy) * width + x + dx) * input.channels
                let tap = (dy + 1) * 3 + dx + 1
                for c in 0..<input.channels {
                  sum += weights[(base + c) * 9 + tap] * (input.codes[from + c] - zero)
                }
              }
            }
          }
          // Sums never exceed 32 bits, which plans check.
          let value = Self.rounded(Float(Int32(sum)) * multiplier)
          // The branch of a sum is clamped only after the addition.
          result[(y * width + x) * description.outputChannels + output] = Int32(value)
        }
      }
    }
    let entersSum = graph.operations.contains { if case .add(_, let b) = $0 { b == index } else { false } }
    if isStream && !entersSum { result = result.map { max(-32768, min(32767, $0)) } }
    return .units(result, step: step, channels: description.outputChannels, isStream: isStream)
  }
}
