// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests the page written by `compare --report`.
@Suite struct ReportTests {
  private func report(_ bench: Workbench) throws -> String {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=128x96:rate=25:duration=0.48 -pix_fmt yuv420p -c:v ffv1", "a.mkv")
    let run = try Program.run(
      "compare", bench.path("a.mkv"), "--task", "sr", "--degrade", "--bits", "4,2", "--also", "bicubic",
      "--frames", "6", "--report", bench.path("report"))
    #expect(run.code == 0, "\(run.errors)")
    return try String(contentsOfFile: bench.path("report/index.html"), encoding: .utf8)
  }

  @Test func pageIsSelfContained() throws {
    let bench = try Workbench()
    let page = try report(bench)
    #expect(try FileManager.default.contentsOfDirectory(atPath: bench.path("report")) == ["index.html"])
    #expect(!page.contains("://") && !page.contains("src=\"/") && !page.contains(bench.directory.path))
    #expect(page.components(separatedBy: "<polyline").count - 1 == 9)
    #expect(page.components(separatedBy: "class=\"pair\"").count - 1 == 2)
    #expect(page.components(separatedBy: "alt=\"difference of").count - 1 == 6)
    // The ranges of the fusion by slot, five for each of two networks.
    #expect(page.components(separatedBy: "<td>fusion</td>").count - 1 == 10)
    for slot in ["-2", "-1", "0", "+1", "+2"] {
      #expect(page.components(separatedBy: "<td>fusion</td><td>\(slot)</td>").count - 1 == 2, "\(slot)")
    }
    // Pictures are PNG files with the extents of the crop.
    let start = try #require(page.range(of: "data:image/png;base64,"))
    let end = try #require(page[start.upperBound...].firstIndex(of: "\""))
    let png = try #require(Data(base64Encoded: String(page[start.upperBound..<end])))
    try png.write(to: URL(fileURLWithPath: bench.path("crop.png")))
    #expect(
      try bench.entries("crop.png", "codec_name,width,height") == "codec_name=png\nwidth=128\nheight=96\n")
  }

  // MARK: - In a browser

  private static let chromium = [
    "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome",
  ].first { FileManager.default.isExecutableFile(atPath: $0) }

  /// A script that examines the page in the browser and reports in its title. Changes are made before the
  /// page is loaded and checked after `load`, which waits for all pictures, including those just selected:
  /// the result does not depend on the machine's speed.
  private static let probe = """
    <script>
    const seen = [], below = document.querySelector('.below'), old = below.src;
    addEventListener('DOMContentLoaded', () => {
      const range = document.querySelector('.pair input'), above = document.querySelector('.above');
      const view = document.querySelector('.view');
      seen.push(above.style.clipPath);
      range.value = 20; range.dispatchEvent(new Event('input', {bubbles: true}));
      seen.push(above.style.clipPath);
      const box = view.getBoundingClientRect();
      view.dispatchEvent(new PointerEvent('pointermove', {clientX: box.left + box.width * 0.7, buttons: 1}));
      seen.push(above.style.clipPath);
      const right = document.querySelector('.right');
      right.selectedIndex = 3; right.dispatchEvent(new Event('input', {bubbles: true}));
    });
    addEventListener('load', () => {
      const images = [...document.images];
      document.title = JSON.stringify({
        slider: seen, changes: below.src !== old, images: images.length,
        decoded: images.filter(x => x.complete && x.naturalWidth === 128).length, width: innerWidth,
        overflow: document.documentElement.scrollWidth - innerWidth,
        curves: [...document.querySelectorAll('polyline')].filter(x => x.getTotalLength() > 50).length,
        background: getComputedStyle(document.body).backgroundColor, text: getComputedStyle(document.body).color,
      });
    });
    </script></body>
    """

  private struct Answer: Decodable {
    var slider: [String]
    var changes: Bool
    var images, decoded, width, overflow, curves: Int
    var background, text: String
  }

  /// In a real browser with a wide window, a phone's width and a dark theme: pictures and curves are loaded,
  /// slider and selectors work, nothing overflows, and the console is empty.
  @Test(
    .enabled(if: chromium != nil, "no chromium is installed"),
    arguments: [
      (width: 1200, isDark: false), (width: 500, isDark: false), (width: 1200, isDark: true),
    ]) func worksInABrowser(width: Int, isDark: Bool) throws
  {
    let bench = try Workbench()
    let page = try report(bench).replacingOccurrences(of: "</body>", with: Self.probe)
    try Data(page.utf8).write(to: URL(fileURLWithPath: bench.path("test.html")))
    let run = try Program.Run(
      [
        "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--hide-scrollbars",
        "--window-size=\(width),900", "--enable-logging=stderr", "--user-data-dir=" + bench.path("profile"),
        "--blink-settings=preferredColorScheme=\(isDark ? 0 : 1)", "--dump-dom",
        "file://" + bench.path("test.html"),
      ], program: Self.chromium ?? ""
    ).finish()
    #expect(!run.errors.contains("CONSOLE"), "\(run.errors)")
    let start = try #require(run.output.range(of: "<title>"), "\(run.output.prefix(400)) \(run.errors)")
    let end = try #require(run.output.range(of: "</title>"))
    let json = run.output[start.upperBound..<end.lowerBound]
    #expect(json.hasPrefix("{"), "the page did not answer: \(json) \(run.errors)")
    let answer = try JSONDecoder().decode(Answer.self, from: Data(json.utf8))
    #expect(answer.slider == ["inset(0px 50% 0px 0px)", "inset(0px 80% 0px 0px)", "inset(0px 30% 0px 0px)"])
    #expect(answer.changes && answer.images == 10 && answer.decoded == 10, "\(answer)")
    #expect(answer.width == width && answer.overflow <= 0 && answer.curves == 9, "\(answer)")
    #expect(answer.background == (isDark ? "rgb(22, 24, 28)" : "rgb(255, 255, 255)"), "\(answer)")
    #expect(answer.text == (isDark ? "rgb(232, 232, 232)" : "rgb(27, 27, 27)"), "\(answer)")
  }
}
