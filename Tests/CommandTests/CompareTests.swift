// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import VidenhanceTool

@Suite struct CompareTests {
  private static let clip = "-f lavfi -i testsrc2=size=128x96:rate=25:duration=0.48 -pix_fmt yuv420p"

  private struct Entry: Decodable {
    struct Frame: Decodable {
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

  private func entries(_ outcome: Outcome) throws -> [Entry] {
    #expect(outcome.code == 0, "\(outcome.errors)")
    return try JSONDecoder().decode([Entry].self, from: Data(outcome.output.utf8))
  }

  /// What FFmpeg's filter says of luma, on average.
  private func judged(_ bench: Workbench, _ a: String, _ b: String, filter: String, key: String) throws
    -> Double
  {
    let log = bench.path("judge.log")
    try bench.ffmpeg("-i DIR/\(a) -i DIR/\(b) -lavfi \(filter)=stats_file=\(log) -f null", "-")
    let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
    let values = lines.compactMap { line in
      line.split(separator: " ").first { $0.hasPrefix(key + ":") }.flatMap {
        Double($0.dropFirst(key.count + 1))
      }
    }
    return values.reduce(0, +) / Double(values.count)
  }

  @Test func filesAreMeasuredAsFFmpegDoes() throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.clip) -c:v ffv1", "a.mkv")
    for (name, options) in [
      ("b.mkv", "-c:v mpeg2video -b:v 60k"), ("c.mkv", "-c:v libx264 -crf 40 -preset ultrafast"),
    ] {
      try bench.ffmpeg("-i DIR/a.mkv \(options)", name)
    }
    let run = try Program.run(
      "compare", bench.path("a.mkv"), bench.path("b.mkv"), bench.path("c.mkv"), "--json")
    let entries = try entries(run)
    #expect(entries.map(\.contender) == ["b.mkv", "c.mkv"])
    for entry in entries {
      #expect(entry.frames.count == 12 && entry.bits == nil && entry.modelBytes == nil)
      let error = try judged(bench, entry.contender, "a.mkv", filter: "psnr", key: "mse_y")
      #expect(abs(-10 * log10(error / 65025) - (entry.psnr ?? 0)) < 0.01)
      let ssim = try judged(bench, entry.contender, "a.mkv", filter: "ssim", key: "Y")
      #expect(abs(ssim - (entry.ssim ?? 0)) < 1e-4)
      #expect((entry.flicker ?? 0) > 0)
      #expect(entry.frames[0].flicker == nil)
    }
    // Equal files: no error, no flicker.
    let same = try Program.run("compare", bench.path("a.mkv"), bench.path("a.mkv"))
    #expect(
      same.code == 0 && same.output.contains("equal") && same.output.contains("0.000"), "\(same.output)")
  }

  @Test func networksAndFiltersOnTheSameFrames() throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.clip) -c:v ffv1", "a.mkv")
    let arguments = ["compare", bench.path("a.mkv"), "--degrade", "--json", "--frames", "5", "--bits", "4,2"]
    let sr = try entries(Program.Run(arguments + ["--task", "sr", "--also", "bicubic,bilinear"]).finish())
    #expect(sr.map(\.contender) == ["sr-x2-balanced-4bit", "sr-x2-balanced-2bit", "bicubic", "bilinear"])
    #expect(sr.map(\.bits) == [4, 2, nil, nil])
    #expect(sr.allSatisfy { $0.frames.count == 5 && $0.secondsPerFrame > 0 })
    #expect((sr[0].psnr ?? 0) > (sr[2].psnr ?? 100) && (sr[2].psnr ?? 0) > (sr[3].psnr ?? 100))
    #expect((sr[0].modelBytes ?? 0) > (sr[1].modelBytes ?? .max) && sr[2].modelBytes == nil)
    let denoise = try entries(
      Program.Run(arguments + ["--task", "denoise", "--also", "none,hqdn3d"]).finish())
    // Noise of 25 levels, clipped here and there.
    #expect(abs((denoise[2].psnr ?? 0) - 20.2) < 1, "\(denoise[2].psnr ?? 0)")
    #expect((denoise[0].psnr ?? 0) > (denoise[2].psnr ?? 100) + 4)
    let interp = try entries(
      Program.Run(arguments + ["--task", "interp", "--also", "repeat,blend"]).finish())
    // Only frames that are not the input's own.
    for entry in interp {
      #expect(
        entry.frames.allSatisfy { Int(($0.time * 25).rounded()) % 2 == 1 }, "\(entry.frames.map(\.time))")
    }
    #expect((interp[0].psnr ?? 0) > (interp[2].psnr ?? 100))
  }

  @Test func withoutATruthFullPrecisionIsIt() throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.clip) -c:v ffv1", "a.mkv")
    let run = try Program.run(
      "compare", bench.path("a.mkv"), "--task", "sr", "--bits", "32,8,2", "--frames", "3", "--json")
    let entries = try entries(run)
    #expect(entries[0].psnr == nil && entries[0].ssim == 1)
    #expect((entries[1].psnr ?? 0) > (entries[2].psnr ?? 100))
  }

  @Test func refusals() throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.clip) -c:v ffv1", "a.mkv")
    try bench.ffmpeg("-i DIR/a.mkv -vf scale=64:48 -c:v ffv1", "small.mkv")
    for (arguments, code, words) in [
      (["a.mkv", "small.mkv"], 1, "pictures of 64x48 cannot be compared with those of 128x96"),
      (["a.mkv", "none.mkv"], 1, "none.mkv"), (["a.mkv"], 64, "name two files"),
      (["a.mkv", "--task", "interp"], 64, "needs --reference or --degrade"),
      (
        ["a.mkv", "--task", "sr", "--degrade", "--also", "magic"], 1,
        "magic is not known (hint: one of bilinear"
      ),
      (["a.mkv", "--task", "sr", "--bits", "4,4"], 64, "--bits"),
      (["a.mkv", "small.mkv", "--report", "."], 1, "exists (hint: choose another name)"),
    ] as [([String], Int32, String)] {
      let run = try Program.Run(["compare"] + arguments, directory: bench.directory).finish()
      #expect(run.code == code && run.errors.contains(words) && run.output == "", "\(run.errors)")
      if code == 1 { #expect(run.errorLines.count == 1, "\(run.errors)") }
    }
    #expect(bench.contents == ["a.mkv", "small.mkv"])
  }

  private static let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
    .first {
      FileManager.default.isExecutableFile(atPath: $0)
    }

  private func report(_ bench: Workbench) throws -> String {
    try bench.ffmpeg("\(Self.clip) -c:v ffv1", "a.mkv")
    let run = try Program.run(
      "compare", bench.path("a.mkv"), "--task", "sr", "--degrade", "--bits", "4,2", "--also", "bicubic",
      "--frames",
      "6", "--report", bench.path("report"))
    #expect(run.code == 0, "\(run.errors)")
    return try String(contentsOfFile: bench.path("report/index.html"), encoding: .utf8)
  }

  @Test func reportNeedsNothingElse() throws {
    let bench = try Workbench()
    let page = try report(bench)
    #expect(try FileManager.default.contentsOfDirectory(atPath: bench.path("report")) == ["index.html"])
    #expect(!page.contains("://") && !page.contains("src=\"/") && !page.contains(bench.directory.path))
    #expect(page.components(separatedBy: "<polyline").count - 1 == 9)
    #expect(page.components(separatedBy: "class=\"pair\"").count - 1 == 2)
    #expect(page.contains("prefers-color-scheme:dark") && page.contains("clipping ranges of activations"))
    // Pictures are PNG files of the crop's extents.
    let start = try #require(page.range(of: "data:image/png;base64,"))
    let end = try #require(page[start.upperBound...].firstIndex(of: "\""))
    let png = try #require(Data(base64Encoded: String(page[start.upperBound..<end])))
    try png.write(to: URL(fileURLWithPath: bench.path("crop.png")))
    #expect(
      try bench.entries("crop.png", "codec_name,width,height") == "codec_name=png\nwidth=128\nheight=96\n")
  }

  /// In a real browser: the page runs without an error, and the slider moves the border between the pictures.
  @Test(.enabled(if: chromium != nil)) func reportWorksInABrowser() throws {
    let bench = try Workbench()
    var page = try report(bench)
    page = page.replacingOccurrences(
      of: "<head>", with: "<head><script>window.faults=[];window.onerror=m=>faults.push(m)</script>")
    page = page.replacingOccurrences(
      of: "</body>",
      with: """
        <script>
        const range = document.querySelector('.pair input'), above = document.querySelector('.above');
        const before = above.style.clipPath;
        range.value = 20; range.dispatchEvent(new Event('input', {bubbles: true}));
        addEventListener('load', () => { document.title = [before, above.style.clipPath, above.naturalWidth,
          document.querySelector('.below').naturalWidth, faults.length].join('|') });
        </script></body>
        """)
    try Data(page.utf8).write(to: URL(fileURLWithPath: bench.path("test.html")))
    let dom = try runProgram(
      Self.chromium ?? "",
      [
        "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom",
        "file://" + bench.path("test.html"),
      ])
    #expect(
      dom.contains("<title>inset(0px 50% 0px 0px)|inset(0px 80% 0px 0px)|128|128|0</title>"),
      "\(dom.prefix(400))")
  }
}
