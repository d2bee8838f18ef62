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
    // Exactly the documented keys; keys without a value are omitted.
    let always: Set = ["contender", "secondsPerFrame", "peakMemoryBytes", "frames"]
    let sometimes: Set = ["bits", "psnr", "ssim", "flicker", "modelBytes"]
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
}
