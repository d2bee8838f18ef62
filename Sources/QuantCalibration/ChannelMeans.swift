// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors

/// Means of a convolution's input channels, over every fourth row of all observed tensors.
struct ChannelMeans: Sendable {
  private var sums: [Double] = []
  private var pixels = 0

  /// Adds a tensor, rectified first if the convolution rectifies.
  mutating func add(_ tensor: FloatTensor, rectified: Bool) {
    let channels = tensor.channels
    if sums.isEmpty { sums = Array(repeating: 0, count: channels) }
    let floor: Float = rectified ? 0 : -.infinity
    var row = [Float](repeating: 0, count: channels)
    for y in stride(from: 0, to: tensor.batch * tensor.height, by: 4) {
      row.withUnsafeMutableBufferPointer { row in
        row.update(repeating: 0)
        var pixel = tensor.pointer + y * tensor.width * channels
        for _ in 0..<tensor.width {
          for c in 0..<channels { row[c] += max(pixel[c], floor) }
          pixel += channels
        }
      }
      for c in 0..<channels { sums[c] += Double(row[c]) }
      pixels += tensor.width
    }
  }

  /// Adds the sums of another instance.
  mutating func add(_ other: ChannelMeans) {
    if sums.isEmpty { sums = Array(repeating: 0, count: other.sums.count) }
    for c in other.sums.indices { sums[c] += other.sums[c] }
    pixels += other.pixels
  }

  /// The mean of a channel; 0 before the first tensor.
  subscript(channel: Int) -> Double { sums.isEmpty ? 0 : sums[channel] / Double(max(1, pixels)) }
}

extension QuantizedLayer {
  /// Corrects the biases for the shift of each output channel's mean due to weight rounding (M. Nagel et al., Data-Free
  /// Quantization Through Weight Equalization and Bias Correction, 2019): inputs after a ReLU have nonzero means, so errors of
  /// many weights add up to a constant.
  /// - Parameters:
  ///   - real: the real weights, with slot ratios folded in.
  ///   - means: means of the inputs, by slot.
  ///   - slotRatios: ratio of each slot's step to the first one's.
  mutating func correctBiases(
    real: [Float], layer: ConvolutionLayer, means: [ChannelMeans], slotRatios: [Float]
  ) {
    let span = layer.inputChannels * 9
    for output in 0..<layer.outputChannels {
      var shift = 0.0
      for slot in 0..<layer.slots {
        let at = (output * layer.slots + slot) * span
        for channel in 0..<layer.inputChannels {
          var error: Float = 0
          for i in at + channel * 9..<at + channel * 9 + 9 {
            error += Float(codes[i]) * steps[output] - real[i]
          }
          shift += Double(error) * means[slot][channel] / Double(slotRatios[slot])
        }
      }
      biases[output] -= Float(shift)
    }
  }
}
