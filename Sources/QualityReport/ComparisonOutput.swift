// SPDX-License-Identifier: Apache-2.0
internal import EnhancementPipeline
internal import Foundation

/// Results as text and as JSON (docs/reference/json-output.md).
package enum ComparisonOutput {
  /// The table's cells, the header first.
  package static func cells(_ results: [ContenderResult]) -> [[String]] {
    let hasVMAF = results.contains { $0.vmaf != nil }
    var header = ["contender", "bits", "PSNR dB", "SSIM"]
    if hasVMAF { header += ["VMAF", "VMAF NEG"] }
    header += ["flicker", "fps", "peak MiB", "model KiB"]
    let rows = results.map { result -> [String] in
      func text(_ value: Double?, _ format: String) -> String {
        value.map { String(format: format, $0) } ?? "-"
      }
      var row = [
        result.contender.name, result.contender.bits.map(String.init) ?? "-", decibels(result.psnr),
        text(result.ssim, "%.4f"),
      ]
      if hasVMAF { row += [text(result.vmaf?.vmaf, "%.1f"), text(result.vmaf?.neg, "%.1f")] }
      row += [
        text(result.flicker, "%.3f"), text(1 / max(result.secondsPerFrame, 1e-9), "%.1f"),
        result.peakMemoryBytes.map { String($0 >> 20) } ?? "-",
        result.contender.modelBytes.map { String(($0 + 1023) >> 10) } ?? "-",
      ]
      return row
    }
    return [header] + rows
  }

  /// What the figures refer to, and the table.
  package static func table(_ outcome: ComparisonOutcome) -> String {
    let cells = cells(outcome.results)
    let widths = cells[0].indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    let lines = cells.map { row in
      row.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        // Align names left and numbers right.
        return column == 0 ? row[column] + padding : padding + row[column]
      }.joined(separator: "  ")
    }
    return ([outcome.reference.text] + lines).joined(separator: "\n")
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
    var reference, referenceKind: String
    var bits: Int?
    var psnr, ssim, flicker: Double?
    var vmaf, vmafNEG: Double?
    var secondsPerFrame: Double
    var peakMemoryBytes, modelBytes: Int?
    var frames: [Frame]
  }

  /// An array with an object per contender; the infinite PSNR of equal frames is omitted.
  package static func json(_ outcome: ComparisonOutcome) throws -> String {
    func finite(_ value: Double?) -> Double? { value.flatMap { $0.isFinite ? $0 : nil } }
    let entries = outcome.results.map { result in
      Entry(
        contender: result.contender.name, reference: outcome.reference.name,
        referenceKind: outcome.reference.kind.rawValue, bits: result.contender.bits,
        psnr: finite(result.psnr), ssim: result.ssim, flicker: result.flicker, vmaf: result.vmaf?.vmaf,
        vmafNEG: result.vmaf?.neg, secondsPerFrame: result.secondsPerFrame,
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
