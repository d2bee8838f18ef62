// SPDX-License-Identifier: Apache-2.0
internal import EnhancementPipeline
internal import Foundation

/// Results as text and as JSON (docs/reference/json-output.md).
package enum ComparisonOutput {
  /// The table's cells, the header first.
  package static func cells(_ results: [ContenderResult]) -> [[String]] {
    let header = ["contender", "bits", "PSNR dB", "SSIM", "flicker", "fps", "peak MiB", "model KiB"]
    let rows = results.map { result -> [String] in
      [
        result.contender.name, result.contender.bits.map(String.init) ?? "-",
        decibels(result.psnr), result.ssim.map { String(format: "%.4f", $0) } ?? "-",
        result.flicker.map { String(format: "%.3f", $0) } ?? "-",
        String(format: "%.1f", 1 / max(result.secondsPerFrame, 1e-9)),
        result.peakMemoryBytes.map { String($0 >> 20) } ?? "-",
        result.contender.modelBytes.map { String(($0 + 1023) >> 10) } ?? "-",
      ]
    }
    return [header] + rows
  }

  package static func table(_ results: [ContenderResult]) -> String {
    let cells = cells(results)
    let widths = cells[0].indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    return cells.map { row in
      row.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        // Align names left and numbers right.
        return column == 0 ? row[column] + padding : padding + row[column]
      }.joined(separator: "  ")
    }.joined(separator: "\n")
  }

  package static func decibels(_ value: Double?) -> String {
    guard let value else { return "-" }
    return value.isFinite ? String(format: "%.2f", value) : "equal"
  }

  private struct Entry: Encodable {
    struct Frame: Encodable {
      var time: Double
      var psnr, ssim, flicker: Double?
    }

    var contender: String
    var bits: Int?
    var psnr, ssim, flicker: Double?
    var secondsPerFrame: Double
    var peakMemoryBytes, modelBytes: Int?
    var frames: [Frame]
  }

  /// An array with an object per contender; the infinite PSNR of equal frames is omitted.
  package static func json(_ results: [ContenderResult]) throws -> String {
    func finite(_ value: Double?) -> Double? { value.flatMap { $0.isFinite ? $0 : nil } }
    let entries = results.map { result in
      Entry(
        contender: result.contender.name, bits: result.contender.bits, psnr: finite(result.psnr),
        ssim: result.ssim, flicker: result.flicker, secondsPerFrame: result.secondsPerFrame,
        peakMemoryBytes: result.peakMemoryBytes, modelBytes: result.contender.modelBytes,
        frames: result.frames.map {
          .init(time: $0.time, psnr: finite($0.sample.psnr), ssim: $0.sample.ssim, flicker: $0.sample.flicker)
        })
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(entries), as: UTF8.self)
  }
}
