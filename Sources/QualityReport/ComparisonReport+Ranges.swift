// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Foundation

/// The section on clipping ranges of the quantized networks, per layer and frame slot of the window.
extension ComparisonReport {
  /// A table per network; only that of the fewest bits is expanded.
  func rangeSection() -> String {
    let models = results.compactMap { result -> (name: String, model: ModelDescription)? in
      guard result.contender.bits ?? 32 < 32, let file = result.contender.models.first,
        let model = try? ModelDescription(path: file)
      else { return nil }
      return (result.contender.name, model)
    }
    guard let fewest = models.map(\.model.bits).min() else { return "" }
    return "<h2>Clipping ranges of activations</h2>"
      + models.map { name, model in
        "<details\(model.bits == fewest ? " open" : "")><summary>\(Self.escape(name))</summary><div class=\"wide\">"
          + "<table><tr><th>layer</th><th>frame slot</th><th>bits</th><th>from</th><th>to</th><th></th></tr>"
          + model.layers.map {
            Self.rows($0.layer.name, $0.activations, window: model.architecture.window)
          }.joined()
          + model.attention.map { kind, activations in
            Self.rows("attention, \(kind)", activations, window: model.architecture.window)
          }.joined()
          + "</table></div></details>"
      }.joined()
  }

  /// A row per slot of a layer or operand, on a common scale for comparison.
  private static func rows(
    _ name: String, _ activations: [ModelDescription.Layer.Activation], window: Int
  ) -> String {
    let ranges = activations.filter { !$0.isFrame }
      .flatMap { range in range.slots.map { (slot: $0, range: range) } }.sorted { $0.slot < $1.slot }
    guard let low = ranges.map(\.range.lower).min(), let high = ranges.map(\.range.upper).max(), high > low
    else { return "" }
    func x(_ value: Float) -> Float { 200 * (value - min(low, 0)) / (max(high, 0) - min(low, 0)) }
    return ranges.map { slot, range in
      let (left, right) = (x(range.lower), x(range.upper))
      let cells = [
        name, self.name(ofSlot: slot, of: ranges.count, window: window), "\(range.bits)",
        String(format: "%.3f", range.lower), String(format: "%.3f", range.upper),
      ]
      let bar = String(
        format: "<rect x=\"%.1f\" y=\"1\" width=\"%.1f\" height=\"10\"/>"
          + "<line x1=\"%.1f\" x2=\"%.1f\" y2=\"12\"/>",
        left, right - left, x(0), x(0))
      return "<tr>" + cells.map { "<td>\(escape($0))</td>" }.joined()
        + "<td><svg class=\"range\" viewBox=\"0 0 200 12\" preserveAspectRatio=\"none\">\(bar)</svg></td></tr>"
    }.joined()
  }

  /// The name of a slot: the position of its frame relative to the enhanced one, which is 0 and does not exist for
  /// interpolation.
  private static func name(ofSlot slot: Int, of count: Int, window: Int) -> String {
    if count < 2 { return "-" }
    if window % 2 == 0 { return slot == 0 ? "before" : "after" }
    let place = slot - window / 2
    return place > 0 ? "+\(place)" : "\(place)"
  }
}
