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
    var reference, referenceKind: String
    var psnr, ssim, flicker, vmaf, vmafNEG: Double?
    var secondsPerFrame: Double
    var peakMemoryBytes, modelBytes: Int?
    var frames: [Frame]
  }

  private func entries(_ outcome: Outcome) throws -> [Entry] {
    #expect(outcome.code == 0, "\(outcome.errors)")
    // Exactly the documented keys; keys without a value are omitted.
    let always: Set = [
      "contender", "reference", "referenceKind", "secondsPerFrame", "peakMemoryBytes", "frames",
    ]
    let sometimes: Set = ["bits", "psnr", "ssim", "flicker", "modelBytes", "vmaf", "vmafNEG"]
    let objects = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [[String: Any]]
    for object in try #require(objects) {
      #expect(Set(object.keys).subtracting(sometimes) == always, "\(object.keys)")
    }
    return try JSONDecoder().decode([Entry].self, from: Data(outcome.output.utf8))
  }

  /// Returns the mean luma result of FFmpeg's filter.
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
    #expect(entries.allSatisfy { $0.reference == "a.mkv" && $0.referenceKind == "first" })
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
    // Noise of 25 levels, partly clipped.
    #expect(abs((denoise[2].psnr ?? 0) - 20.2) < 1, "\(denoise[2].psnr ?? 0)")
    #expect((denoise[0].psnr ?? 0) > (denoise[2].psnr ?? 100) + 4)
    let interp = try entries(
      Program.Run(arguments + ["--task", "interp", "--also", "repeat,blend"]).finish())
    // Motion compensation alone has no bits.
    #expect(interp.map(\.contender) == ["motion compensation", "repeat", "blend"])
    #expect(interp[0].bits == nil && interp[0].modelBytes == nil)
    let corrected = try entries(
      Program.Run(arguments + ["--task", "interp", "--model", "balanced"]).finish())
    #expect(corrected.map(\.contender) == ["interp-balanced-4bit", "interp-balanced-2bit"])
    // Only frames that are not in the input.
    for entry in interp {
      #expect(
        entry.frames.allSatisfy { Int(($0.time * 25).rounded()) % 2 == 1 }, "\(entry.frames.map(\.time))")
    }
    #expect((interp[0].psnr ?? 0) > (interp[2].psnr ?? 100))
  }

  @Test func fullPrecisionIsTheDefaultReference() throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.clip) -c:v ffv1", "a.mkv")
    let run = try Program.run(
      "compare", bench.path("a.mkv"), "--task", "sr", "--bits", "32,8,2", "--frames", "3", "--json")
    let entries = try entries(run)
    #expect(entries[0].psnr == nil && entries[0].ssim == 1)
    #expect(entries.allSatisfy { $0.referenceKind == "network" && $0.reference.hasPrefix("sr-x2-balanced") })
    #expect((entries[1].psnr ?? 0) > (entries[2].psnr ?? 100))
  }

  /// The whole clip is measured unless options select a part, and the reference is named with the figures.
  @Test func wholeClipsAndTheirReference() throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=25:duration=4.8 -pix_fmt yuv420p -c:v ffv1", "a.mkv")
    try bench.ffmpeg("-i DIR/a.mkv -c:v mpeg2video -q:v 9", "b.mkv")
    let whole = try entries(
      Program.Run(["compare", "a.mkv", "b.mkv", "--json"], directory: bench.directory).finish())
    #expect(whole.first?.frames.count == 120)
    let part = ["compare", "b.mkv", "--reference", "a.mkv", "--start", "1", "--duration", "0.4"]
    let some = try entries(Program.Run(part + ["--json"], directory: bench.directory).finish())
    #expect(some.first?.frames.count == 10 && some.first?.referenceKind == "given")
    // The same frames as ffmpeg's, cut at the same place.
    try bench.ffmpeg("-ss 1 -t 0.4 -i DIR/a.mkv -c:v ffv1", "cut-a.mkv")
    try bench.ffmpeg("-ss 1 -t 0.4 -i DIR/b.mkv -c:v ffv1", "cut-b.mkv")
    let error = try judged(bench, "cut-b.mkv", "cut-a.mkv", filter: "psnr", key: "mse_y")
    #expect(abs(-10 * log10(error / 65025) - (some.first?.psnr ?? 0)) < 0.01)
    let table = try Program.Run(part + ["--report", "page"], directory: bench.directory).finish()
    #expect(table.output.hasPrefix("reference: a.mkv\n"), "\(table.output)")
    let page = try String(contentsOfFile: bench.path("page/index.html"), encoding: .utf8)
    #expect(page.contains("<p class=\"reference\">reference: a.mkv</p>"))
  }

  @Test func chainsOfTasks() throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.clip) -c:v ffv1", "a.mkv")
    let arguments = [
      "compare", bench.path("a.mkv"), "--task", "denoise,sr", "--degrade", "--bits", "4", "--frames", "4",
      "--also", "hqdn3d+bicubic,bicubic",
    ]
    let entries = try entries(Program.Run(arguments + ["--json"]).finish())
    #expect(entries.count == 3 && entries[0].contender.hasPrefix("denoise-balanced-4bit+sr-x2-balanced"))
    #expect(entries.map(\.contender).dropFirst() == ["hqdn3d+bicubic", "bicubic"])
    // The noise of 25 levels is gone, which enlarging alone does not do.
    #expect((entries[0].psnr ?? 0) > (entries[2].psnr ?? 100) + 1, "\(entries.map(\.psnr))")
    let table = try Program.Run(arguments).finish()
    #expect(
      table.output.hasPrefix(
        "reference: a.mkv, the original; enhanced is a copy of it, scaled to 1/2 (bicubic), with Gaussian noise of 25 levels\n"
      ), "\(table.output)")
  }

  /// An interlaced input is deinterlaced; a progressive reference is not changed.
  @Test func fieldsBecomeFrames() throws {
    let bench = try Workbench()
    let source = "-f lavfi -i testsrc2=size=192x128:rate=50:duration=0.4 -pix_fmt yuv420p"
    try bench.ffmpeg("\(source) -vf interlace -flags +ildct+ilme -c:v mpeg2video -q:v 2", "tape.mkv")
    try bench.ffmpeg("\(source) -vf fps=25 -c:v ffv1", "film.mkv")
    let arguments = ["compare", "tape.mkv", "--reference", "film.mkv", "--json"]
    let woven = try entries(Program.Run(arguments, directory: bench.directory).finish())
    let made = try entries(Program.Run(arguments + ["--deinterlace"], directory: bench.directory).finish())
    #expect((made.first?.psnr ?? 0) > (woven.first?.psnr ?? 100) + 1, "\(made) \(woven)")
    for more in [["--bits", "4"], ["--bits", "4", "--degrade"]] {
      let refused = try Program.Run(
        ["compare", "tape.mkv", "--task", "denoise"] + more, directory: bench.directory
      ).finish()
      #expect(refused.code == 1 && refused.errors.contains("--deinterlace"), "\(refused.errors)")
      #expect(refused.errors.contains("tape.mkv is interlaced") && refused.errorLines.count == 1)
    }
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=192x128:rate=50:duration=2 -vf interlace,setfield=prog -c:v ffv1",
      "combed.mkv")
    let compared = try Program.Run(
      ["compare", "combed.mkv", "combed.mkv", "--frames", "2"], directory: bench.directory
    ).finish()
    #expect(
      compared.code == 0 && compared.errorLines.count == 1 && compared.errors.contains("looks interlaced"),
      "\(compared.errors)")
  }

  /// A file that players rotate, compared with one whose pictures have been rotated.
  @Test func turnedPicturesAreComparedUpright() throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.clip) -c:v libx264 -crf 10", "flat.mp4")
    try bench.ffmpeg("-i DIR/flat.mp4 -c copy -metadata:s:v:0 rotate=90", "turned.mp4")
    // ffmpeg applies the rotation by itself.
    try bench.ffmpeg("-i DIR/turned.mp4 -c:v ffv1", "upright.mkv")
    try #require(
      try bench.entries("upright.mkv", "width,height") == "width=96\nheight=128\n",
      "this ffmpeg writes no rotation")
    let run = try Program.Run(
      ["compare", "upright.mkv", "turned.mp4", "--json", "--report", "page"], directory: bench.directory
    ).finish()
    let entries = try entries(run)
    #expect(entries.first?.psnr == nil && entries.first?.ssim == 1, "\(entries)")
    let page = try String(contentsOfFile: bench.path("page/index.html"), encoding: .utf8)
    let start = try #require(page.range(of: "data:image/png;base64,"))
    let end = try #require(page[start.upperBound...].firstIndex(of: "\""))
    let png = try #require(Data(base64Encoded: String(page[start.upperBound..<end])))
    try png.write(to: URL(fileURLWithPath: bench.path("crop.png")))
    #expect(try bench.entries("crop.png", "width,height") == "width=96\nheight=128\n")
  }

  // MARK: - VMAF

  /// Creates a program that answers like an ffmpeg with libvmaf.
  private func makeStandIn(_ bench: Workbench) throws {
    let script = """
      #!/bin/sh
      case "$*" in
        *-filters*) echo " ... libvmaf           VV->V      Calculate the VMAF.";;
        *) ls "$5" "$7" >/dev/null || exit 1
          echo '{"pooled_metrics": {"vmaf": {"mean": 71.25}, "vmaf_neg": {"mean": 66.5}}}' > vmaf.json;;
      esac

      """
    try Data(script.utf8).write(to: URL(fileURLWithPath: bench.path("vmaf-ffmpeg")))
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o755], ofItemAtPath: bench.path("vmaf-ffmpeg"))
  }

  @Test func vmafOfAnotherFFmpegIsShown() throws {
    let bench = try Workbench()
    try makeStandIn(bench)
    try bench.ffmpeg("\(Self.clip) -c:v ffv1", "a.mkv")
    let arguments = ["compare", "a.mkv", "a.mkv"]
    let run = try Program.Run(
      arguments + ["--json"], directory: bench.directory,
      environment: ["VIDENHANCE_VMAF_FFMPEG": bench.path("vmaf-ffmpeg")]
    ).finish()
    let entries = try entries(run)
    #expect(entries.map(\.vmaf) == [71.25] && entries.map(\.vmafNEG) == [66.5])
    let table = try Program.Run(
      arguments + ["--vmaf-ffmpeg", "./vmaf-ffmpeg"], directory: bench.directory
    ).finish()
    #expect(table.output.contains("VMAF NEG") && table.output.contains("71.2"), "\(table.output)")
    let none = try Program.Run(
      arguments + ["--vmaf-ffmpeg", "none"], directory: bench.directory,
      environment: ["VIDENHANCE_VMAF_FFMPEG": bench.path("vmaf-ffmpeg")]
    ).finish()
    #expect(none.code == 0 && !none.output.contains("VMAF"), "\(none.output)")
    let lacking = try Program.Run(
      arguments + ["--vmaf-ffmpeg", "/bin/true"], directory: bench.directory
    ).finish()
    #expect(lacking.code == 1 && lacking.errors.contains("lacks the filter libvmaf"), "\(lacking.errors)")
    #expect(bench.contents == ["a.mkv", "vmaf-ffmpeg"])
  }

  /// An ffmpeg with libvmaf; nil where there is none.
  private static let vmafFFmpeg: String? = {
    let named = ProcessInfo.processInfo.environment["VIDENHANCE_VMAF_FFMPEG"]
    let path = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map {
      "\($0)/ffmpeg"
    }
    return ([named].compactMap { $0 } + path).first {
      (try? runProgram($0, ["-hide_banner", "-filters"]))?.contains(" libvmaf ") == true
    }
  }()

  @Test(.enabled(if: vmafFFmpeg != nil, "no ffmpeg with libvmaf is found"))
  func vmafIsThatOfLibvmaf() throws {
    let bench = try Workbench()
    let program = try #require(Self.vmafFFmpeg)
    try bench.ffmpeg("\(Self.clip) -c:v ffv1", "a.mkv")
    try bench.ffmpeg("-i DIR/a.mkv -c:v libx264 -crf 40 -preset ultrafast", "b.mkv")
    let entries = try entries(
      Program.run("compare", bench.path("a.mkv"), bench.path("b.mkv"), "--json", "--vmaf-ffmpeg", program))
    func direct(_ version: String) throws -> Double {
      let log = bench.path("direct.json")
      try runProgram(
        program,
        [
          "-v", "error", "-nostdin", "-i", bench.path("b.mkv"), "-i", bench.path("a.mkv"), "-lavfi",
          "libvmaf=model=version=\(version):log_fmt=json:log_path=\(log)", "-f", "null", "-",
        ])
      let text = try String(contentsOfFile: log, encoding: .utf8)
      let pooled = try #require(text.range(of: "\"pooled_metrics\""))
      let match = try #require(
        text[pooled.upperBound...].firstMatch(of: #/"vmaf": \{[^}]*"mean": ([0-9.]+)/#))
      return try #require(Double(match.1))
    }
    #expect(abs((entries.first?.vmaf ?? 0) - (try direct("vmaf_v0.6.1"))) < 0.01, "\(entries)")
    #expect(abs((entries.first?.vmafNEG ?? 0) - (try direct("vmaf_v0.6.1neg"))) < 0.01, "\(entries)")
  }

  @Test func refusals() throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.clip) -c:v ffv1", "a.mkv")
    try bench.ffmpeg("-i DIR/a.mkv -vf scale=64:48 -c:v ffv1", "small.mkv")
    for (arguments, code, words) in [
      (["a.mkv", "small.mkv"], 1, "those of 128x96 (hint: name a reference of the same size"),
      (["a.mkv", "--task", "sr", "--progress", "none"], 64, "there is no option '--progress' (hint: "),
      (["a.mkv", "--task", "sr", "--refrence", "a.mkv"], 64, "(hint: did you mean --reference?)"),
      (["a.mkv", "none.mkv"], 1, "none.mkv"), (["a.mkv"], 64, "name two files"),
      (["a.mkv", "--task", "interp"], 64, "needs --reference or --degrade"),
      (["a.mkv", "--task", "denoise", "--model", "fast"], 64, "is for --task sr, restore or interp"),
      (["a.mkv", "--task", "sr", "--model", "fast", "--scale", "4"], 64, "has no network for --scale 4"),
      (
        ["a.mkv", "--task", "sr", "--degrade", "--also", "magic"], 1,
        "unknown method magic (hint: one of bilinear"
      ),
      (["a.mkv", "--task", "sr", "--bits", "4,4"], 64, "--bits"),
      (["a.mkv", "--task", "interp,sr"], 64, "needs --reference or --degrade"),
      (["a.mkv", "--task", "denoise,sr", "--model-file", "x"], 64, "is for a single task"),
      (["a.mkv", "--task", "restore", "--degrade"], 64, "pass --reference"),
      (["a.mkv", "small.mkv", "--stream", "1"], 64, "--stream needs --task"),
      (["a.mkv", "small.mkv", "--report", "."], 1, "exists (hint: choose another name)"),
    ] as [([String], Int32, String)] {
      let run = try Program.Run(["compare"] + arguments, directory: bench.directory).finish()
      #expect(run.code == code && run.errors.contains(words) && run.output == "", "\(run.errors)")
      if code == 1 { #expect(run.errorLines.count == 1, "\(run.errors)") }
    }
    #expect(bench.contents == ["a.mkv", "small.mkv"])
  }
}
