// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import EnhancementPipeline
@testable import VidenhanceTool

/// `--dry-run`, and the forecast printed before large frames are made.
@Suite struct ForecastTests {
  private func dryRun(_ bench: Workbench, _ more: [String]) throws -> Outcome {
    try Program.Run([bench.path("in.mkv"), bench.path("out.mkv"), "--dry-run"] + more).finish()
  }

  /// Returns the forecast decoded from JSON.
  private func forecast(_ bench: Workbench, _ more: [String]) throws -> [String: Any] {
    let run = try dryRun(bench, more + ["--progress", "json"])
    #expect(run.code == 0 && run.output == "" && run.errorLines.count == 1, "\(run.errors)")
    return try JSONSerialization.jsonObject(with: Data(run.errors.utf8)) as? [String: Any] ?? [:]
  }

  @Test func dryRunsReportAllAndWriteNothing() throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(), try bench.makeModel())
    let before = bench.contents
    let run = try dryRun(bench, ["--bits", "32", "--model-file", model])
    #expect(run.code == 0 && run.errors == "", "\(run.errors)")
    let lines = run.output.split(separator: "\n").map(String.init)
    #expect(lines[0].hasPrefix("\(video): forecast by "))
    #expect(lines.contains("  frames  10"))
    #expect(lines.contains("  size    192x128 yuv420p, encoder libx264"))
    for label in ["  time    about ", "  video   about ", "  noise   "] {
      #expect(lines.contains { $0.hasPrefix(label) }, "\(label)")
    }
    #if os(Linux)
      #expect(lines.contains { $0.hasPrefix("  memory  about ") })
    #endif
    #expect(bench.contents == before)
    // Errors that prevent a run also prevent its forecast.
    try Data().write(to: URL(fileURLWithPath: bench.path("out.mkv")))
    let taken = try dryRun(bench, ["--bits", "32", "--model-file", model])
    #expect(taken.code == 1 && taken.errors.contains("exists"), "\(taken.errors)")
  }

  /// Numbers of frames and sizes are exact; bytes are close for a film of uniform content.
  @Test(arguments: [
    ["--crf", "20", "--preset", "ultrafast"], ["--codec", "ffv1"],
    ["--codec", "libx265", "--preset", "ultrafast"],
  ])
  func forecastsComeTrue(options: [String]) throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(size: "96x64", seconds: 16)
    let more = options + ["--bits", "32", "--model-file", try bench.makeModel()]
    let made = try forecast(bench, more)
    #expect(made["event"] as? String == "forecast")
    #expect(made["estimatedFrames"] as? Int == 400)
    #expect(made["width"] as? Int == 192 && made["height"] as? Int == 128)
    #expect(try #require(made["secondsLeft"] as? Double) > 0)
    let run = try Program.Run(
      [bench.path("in.mkv"), bench.path("out.mkv"), "--quiet"] + more
    ).finish()
    #expect(run.code == 0, "\(run.errors)")
    let sizes = try bench.ffprobe("out.mkv", "-select_streams v:0 -show_entries packet=size -of csv=p=0")
    let bytes = sizes.split(separator: "\n").compactMap { Int($0.filter(\.isNumber)) }.reduce(0, +)
    let ratio = Double(try #require(made["videoBytes"] as? Int)) / Double(bytes)
    print("\(options.joined(separator: " ")): forecast \(ratio) times the bytes")
    #expect((0.5...2).contains(ratio))
  }

  /// The encoder looks 40 frames ahead, which a trial of 24 frames does not reach.
  @Test(.enabled(if: ProcessMemory.peakBytes != nil, "the system does not report memory"))
  func forecastsIncludeTheEncodersMemory() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(size: "480x270", seconds: 2.4)
    let more = ["--bits", "32", "--model-file", try bench.makeModel()]
    let foreseen = Double(try #require(try forecast(bench, more)["memoryBytes"] as? Int)) / 1e6
    let run = try Program.Run([bench.path("in.mkv"), bench.path("out.mkv"), "--profile"] + more).finish()
    let match = try #require(run.errors.firstMatch(of: /at most (\d+) MB/), "\(run.errors)")
    let used = try #require(Double(match.1)) * 1.048576
    print("memory: forecast \(foreseen) MB, used \(used) MB")
    #expect((0.7...1.3).contains(foreseen / used), "\(foreseen) MB, used \(used) MB")
  }

  @Test func keysAreDocumented() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    let made = try forecast(bench, ["--bits", "32", "--model-file", try bench.makeModel()])
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let page = try String(
      contentsOf: root.appendingPathComponent("docs/reference/json-output.md"), encoding: .utf8)
    #expect(made.count > 12)
    for key in made.keys { #expect(page.contains("`\(key)`"), "\(key)") }
  }

  /// Noise makes a file large; denoising makes it small again.
  @Test func noiseIsNamed() throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i color=gray:size=64x48:rate=25:duration=0.4 -vf noise=alls=30:allf=t -pix_fmt yuv420p -c:v ffv1",
      "in.mkv")
    let run = try dryRun(bench, [])
    #expect(run.code == 0, "\(run.errors)")
    #expect(
      run.output.contains(#/levels, which enlarge the file: about .* with --task denoise,sr/#),
      "\(run.output)")
    // Trials with the noise removed keep to the limit of time, too.
    let seconds = try #require(run.output.firstMatch(of: #/frames in ([0-9.]+) s on/#))
    #expect(try #require(Double(seconds.1)) < 15, "\(run.output)")
    try bench.ffmpeg("-f lavfi -i color=gray:size=64x48:rate=25:duration=0.4 -c:v ffv1", "in.mkv")
    #expect(try dryRun(bench, []).output.contains("  noise   0.0 levels\n"))
  }

  @Test func fieldsAndInterpolatedFramesAreCounted() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(size: "64x48")
    let made = try forecast(bench, ["--task", "interp", "--factor", "3"])
    #expect(made["estimatedFrames"] as? Int == 30)
    // As much of the source is tried as without the frames in between.
    #expect(try #require(made["measuredFrames"] as? Int) > 24)
    #expect(
      try forecast(bench, ["--task", "denoise", "--deinterlace-fields"])["estimatedFrames"] as? Int == 20)
  }

  /// A forecast names the pixel format of the file, not of the source.
  @Test func pixelFormatIsThatOfTheFile() throws {
    let bench = try Workbench()
    let gif = try bench.ffmpeg("-f lavfi -i testsrc2=s=64x48:r=10:d=0.3", "in.gif")
    let options = [gif, bench.path("out.mp4"), "--bits", "32", "--model-file", try bench.makeModel()]
    let foreseen = try Program.Run(options + ["--dry-run"]).finish()
    let made = try Program.Run(options + ["--verbose"]).finish()
    #expect(made.code == 0, "\(made.errors)")
    let layout = try bench.entries("out.mp4", "pix_fmt").dropFirst("pix_fmt=".count).dropLast()
    #expect(foreseen.output.contains("x96 \(layout), encoder libx264"), "\(foreseen.output)")
    #expect(made.errors.contains("encoder libx264, \(layout), "), "\(made.errors)")
  }

  @Test func foldersHaveForecasts() throws {
    let bench = try Workbench()
    try FileManager.default.createDirectory(atPath: bench.path("in"), withIntermediateDirectories: true)
    for name in ["in/a.mkv", "in/b.mkv"] { _ = try bench.makeVideo(name) }
    let model = try bench.makeModel()
    let before = bench.contents
    let run = try Program.run(
      "batch", bench.path("in"), bench.path("out"), "--dry-run", "--bits", "32", "--model-file", model)
    #expect(run.code == 0 && run.errors == "", "\(run.errors)")
    #expect(run.output.contains("\n2 files: 20 frames, about "), "\(run.output)")
    #expect(bench.contents == before)
  }

  /// Printed from 4K on, before the first frame is made.
  @Test func largeFramesAreAnnounced() throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(size: "64x36", seconds: 0.08), try bench.makeModel())
    let options = ["--bits", "32", "--model-file", model, "--preset", "ultrafast", "--overwrite"]
    func errors(_ more: String...) throws -> String {
      let run = try Program.Run([video, bench.path("out.mkv")] + options + more).finish()
      #expect(run.code == 0, "\(run.errors)")
      return run.errors
    }
    let large = try errors("--to", "4k")
    #expect(large.hasPrefix("\(video): forecast by ") && large.contains("size    3840x2160 "), "\(large)")
    #expect(try !errors("--to", "1080p").contains("forecast"))
    #expect(try errors("--to", "4k", "--quiet") == "")
  }

  @Test func pipesHaveNoForecast() throws {
    let run = try Program.run("-", "out.mkv", "--dry-run")
    #expect(run.code == 64 && run.errors.contains("--dry-run reads its source twice"))
  }

  @Test func plansHoldAForecast() throws {
    let bench = try Workbench()
    _ = try bench.makeVideo(size: "64x48", seconds: 2)
    let run = try Program.run(
      "plan", bench.path("in.mkv"), bench.path("out.mkv"), "-o", bench.path("plan.json"), "--shards", "2",
      "--bits", "32", "--model-file", try bench.makeModel())
    #expect(run.code == 0 && run.errors.contains(" of work on this machine ("), "\(run.errors)")
    let made = try #require(try bench.planJSON()["forecast"] as? [String: Any])
    #expect(try #require(made["seconds"] as? Double) > 0 && #require(made["bytes"] as? Int) > 0)
  }

  @Test func bytesInWords() {
    #expect(ForecastReport.text(bytes: 999) == "1.0 kB")
    #expect(ForecastReport.text(bytes: 12_340_000) == "12.3 MB")
    #expect(ForecastReport.text(bytes: 4_560_000_000) == "4.6 GB")
  }
}
