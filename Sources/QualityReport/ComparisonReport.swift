// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import EnhancementPipeline
internal import Foundation
package import VideoIO

/// The frames in a report, by time.
package struct ComparisonPictures {
  package var times: [Double] = []
  package var reference: [Double: VideoFrame] = [:]
  package var input: [Double: VideoFrame] = [:]
}

/// A self-contained HTML page with the results of a comparison.
package struct ComparisonReport {
  package let title: String
  package let outcome: ComparisonOutcome
  var results: [ContenderResult] { outcome.results }
  private var pictures: ComparisonPictures { outcome.pictures }

  package init(title: String, outcome: ComparisonOutcome) {
    self.title = title
    self.outcome = outcome
  }

  /// Extents of the crops, in output samples.
  private static let cropWidth = 384
  private static let cropHeight = 256
  private static let colors = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f",
  ]

  /// Creates the folder and writes `folder/index.html`.
  package func write(to folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data(try html().utf8).write(to: URL(fileURLWithPath: folder + "/index.html"), options: .atomic)
  }

  func html() throws -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(Self.escape(title))</title>
    <style>\(Self.style)</style>
    </head>
    <body>
    <h1>\(Self.escape(title))</h1>
    <p class="reference">\(Self.escape(outcome.reference.text))</p>
    <p>\(results.map(\.frames.count).max() ?? 0) frames, luma; PSNR and SSIM as FFmpeg's filters measure them, flicker in levels of 8 bits (docs/reference/json-output.md).</p>
    <div class="wide"><table>\(tableRows())</table></div>
    \(plot("PSNR in dB", \.sample.psnr))
    \(plot("SSIM") { $0.sample.ssim })
    \(plot("Flicker in levels") { $0.sample.flicker })
    \(try pictures.times.enumerated().map { try pictureSection($1, isFirst: $0 == 0) }.joined())
    \(rangeSection())
    <script>\(Self.script)</script>
    </body>
    </html>

    """
  }

  static func escape(_ text: String) -> String {
    text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
      .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
  }

  private func tableRows() -> String {
    let lines = ComparisonOutput.cells(results)
    return lines.enumerated().map { index, row in
      let tag = index == 0 ? "th" : "td"
      return "<tr>" + row.map { "<\(tag)>\(Self.escape($0))</\(tag)>" }.joined() + "</tr>"
    }.joined(separator: "\n")
  }

  // MARK: - Curves

  private func plot(_ name: String, _ value: (ContenderResult.Frame) -> Double?) -> String {
    let curves = results.map { result in
      result.frames.compactMap { frame in
        value(frame).flatMap { $0.isFinite ? (frame.time, $0) : nil }
      }
    }
    let all = curves.flatMap { $0 }
    guard all.count > 1, let first = all.map(\.0).min(), let last = all.map(\.0).max(), last > first,
      var low = all.map(\.1).min(), var high = all.map(\.1).max()
    else { return "" }
    let margin = max((high - low) * 0.05, 1e-3)
    (low, high) = (low - margin, high + margin)
    let (width, height, left) = (720.0, 220.0, 64.0)
    func x(_ time: Double) -> Double { left + (time - first) / (last - first) * (width - left - 8) }
    func y(_ value: Double) -> Double { 8 + (high - value) / (high - low) * (height - 32) }
    var svg = "<svg class=\"plot\" viewBox=\"0 0 720 220\" role=\"img\" aria-label=\"\(name) by frame\">"
    for step in 0...4 {
      let level = low + (high - low) * Double(step) / 4
      svg += String(
        format: "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", left, width - 8,
        y(level), y(level))
      svg += String(
        format: "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%@</text>", left - 4, y(level) + 4,
        String(format: high - low < 2 ? "%.3f" : "%.1f", level))
    }
    svg += String(
      format:
        "<text x=\"%.1f\" y=\"218\">%.2f s</text><text x=\"%.1f\" y=\"218\" text-anchor=\"end\">%.2f s</text>",
      left, first, width - 8, last)
    for (index, curve) in curves.enumerated() where !curve.isEmpty {
      let points = curve.map { String(format: "%.1f,%.1f", x($0.0), y($0.1)) }.joined(separator: " ")
      svg += "<polyline fill=\"none\" stroke=\"\(color(index))\" stroke-width=\"1.5\" points=\"\(points)\"/>"
    }
    svg += "</svg>"
    let legend = results.indices.filter { !curves[$0].isEmpty }.map {
      "<span><i style=\"background:\(color($0))\"></i>\(Self.escape(results[$0].contender.name))</span>"
    }.joined(separator: " ")
    return "<h2>\(Self.escape(name))</h2>\(svg)<p class=\"legend\">\(legend)</p>"
  }

  private func color(_ index: Int) -> String { Self.colors[index % Self.colors.count] }

  // MARK: - Pictures

  private func pictureSection(_ time: Double, isFirst: Bool) throws -> String {
    guard let truth = pictures.reference[time], let main = results.first,
      let shown = main.kept.first(where: { abs($0.key - time) < 0.004 })?.value
    else { return "" }
    let crop = try DifferenceCrop(
      of: shown, truth, width: Self.cropWidth, height: Self.cropHeight)
    let isWorst = main.frames.max { $0.sample.error < $1.sample.error }?.time == time
    var layers = [("reference", try Self.picture(truth, crop))]
    if let input = pictures.input[time] {
      layers.append(("input", try Self.picture(input, crop, outputWidth: truth.width)))
    }
    var differences: [String] = []
    for result in results {
      guard let frame = result.kept.first(where: { abs($0.key - time) < 0.004 })?.value else { continue }
      layers.append((result.contender.name, try Self.picture(frame, crop)))
      let difference = try Self.difference(frame, truth, crop)
      differences.append(
        "<figure><img src=\"\(difference)\" alt=\"difference of \(Self.escape(result.contender.name))\"><figcaption>\(Self.escape(result.contender.name))</figcaption></figure>"
      )
    }
    // Each picture is embedded once: the right selector reuses those of the left one.
    func choice(_ name: String, _ selected: String) -> String {
      let list = layers.map { layer in
        "<option" + (name == "left" ? " value=\"\(layer.1)\"" : "") + (layer.0 == selected ? " selected" : "")
          + ">\(Self.escape(layer.0))</option>"
      }.joined()
      return "<label>\(name) <select class=\"\(name)\">\(list)</select></label>"
    }
    let second = layers.count > 1 ? layers[1].0 : layers[0].0
    return """
      <h2>\(isWorst ? "Worst" : "Typical") frame of \(Self.escape(main.contender.name)), at \(String(format: "%.2f", time)) s</h2>
      <div class="pair">
      <div class="choices">\(choice("left", second)) \(choice("right", main.contender.name))</div>
      <div class="view"><img class="below" alt="right picture"><img class="above" alt="left picture"><i></i></div>
      <input type="range" min="0" max="100" value="50" aria-label="how much of the left picture is shown">
      </div>
      <p>Differences from the reference, eight times as strong:</p>
      <div class="differences">\(differences.joined())</div>

      """
  }

  /// A crop as an embedded image; a smaller frame (the input) is enlarged without smoothing.
  private static func picture(_ frame: VideoFrame, _ crop: DifferenceCrop, outputWidth: Int? = nil) throws
    -> String
  {
    var filters = crop.filter
    if let outputWidth, outputWidth != frame.width, outputWidth % frame.width == 0 {
      let scale = outputWidth / frame.width
      filters = "scale=iw*\(scale):ih*\(scale):flags=neighbor," + filters
    }
    var chain = try FrameFilter(filters, like: frame, timeBase: Rational(1, 25))
    let made = try chain.push(frame) + chain.finish()
    guard let cropped = made.first else { return "" }
    return dataAddress(try PictureEncoding.png(cropped))
  }

  private static func difference(_ frame: VideoFrame, _ truth: VideoFrame, _ crop: DifferenceCrop) throws
    -> String
  {
    let depth = max(frame.format.bitDepth, truth.format.bitDepth)
    let (a, b) = (QualityMeter.luma(frame, depth: depth), QualityMeter.luma(truth, depth: depth))
    guard let gray = PixelFormat(name: "gray"), a.count == b.count else { return "" }
    let picture = try VideoFrame.make(width: crop.width, height: crop.height, format: gray) {
      _, bytes, bytesPerRow in
      for y in 0..<crop.height {
        for x in 0..<crop.width {
          let i = (crop.y + y) * truth.width + crop.x + x
          let difference = (abs(a[i] - b[i]) * 8) >> Int32(depth - 8)
          bytes[y * bytesPerRow + x] = UInt8(min(difference, 255))
        }
      }
    }
    return dataAddress(try PictureEncoding.png(picture))
  }

  private static func dataAddress(_ png: [UInt8]) -> String {
    "data:image/png;base64," + Data(png).base64EncodedString()
  }

  // MARK: - Style and behaviour

  // Embedded in the program, so that no resource files are needed.
  private static let style = String(decoding: PackageResources.report_css, as: UTF8.self)
  private static let script = String(decoding: PackageResources.report_js, as: UTF8.self)
}
