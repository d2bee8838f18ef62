// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Foundation

/// The fit of a model's clipping ranges to the observed activations, with an entry per layer and frame slot.
package struct CalibrationReport: Sendable, Encodable {
  /// One activation.
  package struct Entry: Sendable, Encodable {
    /// The layer that reads it.
    package var layer: String
    /// The frame slot; 0 if the layer has one input.
    package var slot: Int
    /// Bits of a code, and number of codes: 2^bits, or fewer.
    package var bits, codes: Int
    /// The clipping range.
    package var lower, upper: Float
    /// Minimum and maximum observed value.
    package var minimum, maximum: Float
    /// Fraction of the values outside the range by more than half a step.
    package var clippedFraction: Double
    /// Mean squared error of quantizing this activation alone.
    package var error: Float
    /// The ratio of the mean square of the values to that error, in dB.
    package var signalToNoise: Double
    /// The same ratio with all preceding layers quantized; nil if not measured.
    package var cumulativeSignalToNoise: Double?
    /// Number of unused codes.
    package var deadLevels: Int

    init(layer: String, slot: Int, quantizer: ActivationQuantizer, histogram: ActivationHistogram) {
      self.layer = layer
      self.slot = slot
      bits = quantizer.bits
      codes = Int(quantizer.levels) + 1
      lower = -Float(quantizer.zeroPoint) * quantizer.step
      upper = Float(quantizer.levels - quantizer.zeroPoint) * quantizer.step
      minimum = histogram.minimum
      maximum = histogram.maximum
      var used = [Bool](repeating: false, count: Int(quantizer.levels) + 1)
      if histogram.zeros > 0 { used[Int(quantizer.zeroPoint)] = true }
      var (clipped, squares, power) = (0.0, 0.0, 0.0)
      for (value, weight) in histogram.occupied {
        let code = max(
          0, min(quantizer.levels, Int32((value / quantizer.step).rounded()) + quantizer.zeroPoint))
        used[Int(code)] = true
        let difference = Double(Float(code - quantizer.zeroPoint) * quantizer.step - value)
        squares += Double(weight) * difference * difference
        power += Double(weight) * Double(value) * Double(value)
        if abs(difference) > Double(quantizer.step) / 2 * 1.001 { clipped += Double(weight) }
      }
      let count = Double(max(1, histogram.count))
      clippedFraction = clipped / count
      error = Float(squares / count)
      signalToNoise = squares > 0 && power > 0 ? 10 * log10(power / squares) : 0
      deadLevels = used.filter { !$0 }.count
    }
  }

  /// In the order of the network.
  package var entries: [Entry]

  /// As JSON.
  package func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }

  /// As a table.
  package var text: String {
    func padded(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    let header =
      "layer             slot codes     lower      upper  clipped     SNR dB  cumulative  dead levels"
    return
      ([header]
      + entries.map { entry in
        entry.layer.padding(toLength: 16, withPad: " ", startingAt: 0) + padded("\(entry.slot)", 6)
          + padded("\(entry.codes)", 6) + padded(String(format: "%.4f", entry.lower), 10)
          + padded(String(format: "%.4f", entry.upper), 11)
          + padded(String(format: "%.3f %%", entry.clippedFraction * 100), 9)
          + padded(String(format: "%.1f", entry.signalToNoise), 11)
          + padded(entry.cumulativeSignalToNoise.map { String(format: "%.1f", $0) } ?? "-", 12)
          + padded("\(entry.deadLevels)", 13)
      }).joined(separator: "\n") + "\n"
  }
}
