// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Foundation
import QualityReport
import TestSupport
import Testing

@testable import VidenhanceTool

@Suite struct PreviewTests {
  /// Creates a flat clip with noise in the second third.
  private static let clip =
    "-f lavfi -i color=gray:size=64x48:rate=25:duration=3 -vf noise=alls=40:allf=t:enable='between(t,1.4,1.7)' -pix_fmt yuv420p -c:v libx264 -g 10 -preset ultrafast"

  @Test func takesTheBusiestSpotOfEachPart() throws {
    let bench = try Workbench()
    try bench.ffmpeg(Self.clip, "in.mp4")
    var options = EnhancementJob.Options(threads: 1)
    let spots = try BusySpots(in: bench.path("in.mp4"), count: 3, options: options).times
    #expect(spots.count == 3)
    #expect(spots[0] < 1 && (1.4...1.7).contains(spots[1]) && spots[2] > 2)
    // Of a part: times are those of the file.
    (options.start, options.length) = (.seconds(2), .seconds(1))
    let late = try BusySpots(in: bench.path("in.mp4"), count: 2, options: options).times
    #expect(late.count == 2 && late.allSatisfy { (2...3).contains($0) }, "\(late)")
  }

  private static let tape =
    "-f lavfi -i testsrc2=size=320x240:rate=50:duration=2 -vf interlace -c:v mpeg2video -q:v 3"

  /// The source options are those of `enhance`.
  @Test func partsFieldsAndChains() throws {
    let bench = try Workbench()
    try bench.ffmpeg(Self.tape + " -flags +ildct+ilme", "in.mkv")
    // Refused as by enhance, and nothing is left.
    let refused = try Program.Run(
      ["preview", "in.mkv", "--output", "look"], directory: bench.directory
    ).finish()
    #expect(refused.code == 1 && refused.errors.contains("is interlaced"), "\(refused.errors)")
    #expect(refused.errors.contains("--deinterlace") && refused.errorLines.count == 1)
    #expect(bench.contents == ["in.mkv"])
    let run = try Program.Run(
      [
        "preview", "in.mkv", "--output", "look", "--deinterlace", "--start", "1", "--duration", "0.5",
        "--task", "denoise,sr", "--frames", "1", "--threads", "1",
      ], directory: bench.directory
    ).finish()
    #expect(run.code == 0 && run.errorLines.count == 1, "\(run.errors)")
    let seconds = run.errors.firstMatch(of: #/\(([0-9.]+) s\)/#).flatMap { Double($0.1) } ?? 0
    #expect((1...1.5).contains(seconds), "\(run.errors)")
    for name in ["look/01-before.png", "look/01-after.png"] {
      #expect(try bench.entries(name, "width,height") == "width=640\nheight=480\n")
    }
    let early = try Program.Run(
      ["preview", "in.mkv", "--output", "late", "--start", "9", "--deinterlace"], directory: bench.directory
    ).finish()
    #expect(early.code == 1 && early.errorLines.count == 1, "\(early.errors)")
    #expect(bench.contents == ["in.mkv", "look"])
  }

  @Test func combedFramesAreNoticed() throws {
    let bench = try Workbench()
    try bench.ffmpeg(Self.tape, "in.mkv")
    let arguments = [
      "preview", "in.mkv", "--task", "denoise", "--frames", "3", "--threads", "1", "--overwrite",
    ]
    let run = try Program.Run(arguments, directory: bench.directory).finish()
    #expect(run.code == 0 && run.errorLines.count == 4, "\(run.errors)")
    #expect(run.errorLines.first?.contains("looks interlaced although") == true, "\(run.errors)")
    let deinterlaced = try Program.Run(arguments + ["--deinterlace"], directory: bench.directory).finish()
    #expect(deinterlaced.code == 0 && deinterlaced.errorLines.count == 3, "\(deinterlaced.errors)")
  }

  /// A clip that players rotate by 90 degrees: the left side of the picture becomes the top.
  @Test func picturesAreUpright() throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i color=black:size=96x64:rate=25:duration=1 -vf drawbox=w=48:color=white:t=fill -pix_fmt yuv420p -c:v libx264",
      "flat.mp4")
    try bench.ffmpeg("-i DIR/flat.mp4 -c copy -metadata:s:v:0 rotate=270", "in.mp4")
    let run = try Program.Run(
      ["preview", "in.mp4", "--output", "look", "--frames", "1", "--threads", "1"], directory: bench.directory
    ).finish()
    #expect(run.code == 0, "\(run.errors)")
    // Compare with the ffmpeg program, which applies the rotation by itself.
    try bench.ffmpeg("-i DIR/in.mp4 -frames:v 1", "shown.png")
    let shown = try bench.entries("shown.png", "width,height")
    try #require(shown == "width=64\nheight=96\n", "this ffmpeg writes no rotation")
    for name in ["look/01-before.png", "look/01-after.png"] {
      #expect(try bench.entries(name, "width,height") == "width=128\nheight=192\n")
      let levels = try levels(bench, name)
      #expect(levels == (try self.levels(bench, "shown.png")), "\(name)")
    }
  }

  /// Whether the upper and the lower half of a picture are bright.
  private func levels(_ bench: Workbench, _ name: String) throws -> [Bool] {
    try ["0", "ih/2"].map { y in
      try bench.ffmpeg(
        "-i DIR/\(name) -vf crop=iw:ih/2:0:\(y),scale=1:1:flags=area,format=gray -f rawvideo", "dot")
      return try Data(contentsOf: URL(fileURLWithPath: bench.path("dot"))).first ?? 0 > 127
    }
  }

  @Test(arguments: [["--task", "sr"], ["--task", "denoise", "--bits", "8"], ["--task", "interp,sr"]])
  func writesPicturesBeforeAndAfter(options: [String]) throws {
    let bench = try Workbench()
    try bench.ffmpeg(Self.clip, "in.mp4")
    let run = try Program.Run(
      ["preview", bench.path("in.mp4"), "--frames", "2", "--output", bench.path("look")] + options
    ).finish()
    #expect(run.code == 0 && run.errorLines.count == 2, "\(run.errors)")
    let names = [
      "01-after.png", "01-before.png", "01-crop.png", "02-after.png", "02-before.png", "02-crop.png",
    ]
    #expect(try FileManager.default.contentsOfDirectory(atPath: bench.path("look")).sorted() == names)
    let scale = options.contains { $0.hasSuffix("sr") } ? 2 : 1
    for name in ["look/01-before.png", "look/02-after.png"] {
      #expect(try bench.entries(name, "width,height") == "width=\(64 * scale)\nheight=\(48 * scale)\n")
    }
    #expect(
      try bench.entries("look/01-crop.png", "width,height")
        == "width=\(128 * scale + 8)\nheight=\(48 * scale)\n")
    // Existing files are not overwritten without the option.
    let again = try Program.run("preview", bench.path("in.mp4"), "--output", bench.path("look"))
    #expect(again.code == 1 && again.errors.contains("exists (hint: "), "\(again.errors)")
  }

  @Test func refusals() throws {
    let bench = try Workbench()
    let none = try Program.run("preview", bench.path("none.mp4"))
    #expect(none.code == 1 && none.errors.contains("none.mp4") && none.errorLines.count == 1)
    #expect(bench.contents == [])
    #expect(try Program.run("preview", "in.mp4", "--frames", "0").code == 64)
  }
}

@Suite struct ProgressOptionTests {
  private struct Event: Decodable {
    var event, input, output: String
    var seconds: Double
    var frames, width: Int?
    var fraction: Double?
    var error: String?
  }

  private func events(_ outcome: Outcome) throws -> [Event] {
    try outcome.errorLines.map { try JSONDecoder().decode(Event.self, from: Data($0.utf8)) }
  }

  @Test func jsonReportsProgressAndTheEnd() throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(), try bench.makeModel())
    let arguments = ["--bits", "32", "--model-file", model, "--progress", "json"]
    let events = try events(Program.Run([video, bench.path("out.mkv")] + arguments).finish())
    #expect(events.first?.event == "progress" && events.last?.event == "done")
    #expect(events.last?.frames == 10 && events.last?.width == 192)
    #expect(events.allSatisfy { $0.input == video && $0.output == bench.path("out.mkv") })
    #expect(events.dropLast().allSatisfy { (0...1).contains($0.fraction ?? -1) })
    let failed = try Program.Run([bench.path("none.mkv"), bench.path("b.mkv")] + arguments).finish()
    let failure = try self.events(failed)
    #expect(
      failed.code == 1 && failure.map(\.event) == ["failed"] && failure[0].error?.contains("none.mkv") == true
    )
    // For folders, the end of each file is reported.
    try FileManager.default.createDirectory(atPath: bench.path("in"), withIntermediateDirectories: true)
    for name in ["a.mkv", "b.mkv"] {
      try FileManager.default.copyItem(atPath: video, toPath: bench.path("in/" + name))
    }
    try Data([1, 2, 3]).write(to: URL(fileURLWithPath: bench.path("in/c.mkv")))
    let batch = try Program.Run(["batch", bench.path("in"), bench.path("out"), "--jobs", "2"] + arguments)
      .finish()
    #expect(batch.code == 2)
    let ends = try self.events(batch).filter { $0.event != "progress" }
    #expect(ends.map(\.event).sorted() == ["done", "done", "failed"])
  }

  @Test func linesAndNone() throws {
    let bench = try Workbench()
    let (video, model) = (try bench.makeVideo(), try bench.makeModel())
    let arguments = [video, bench.path("out.mkv"), "--bits", "32", "--model-file", model, "--overwrite"]
    let bar = try Program.Run(arguments + ["--progress", "bar"]).finish()
    #expect(bar.errors.contains("\r[") && bar.errors.contains("\u{1b}[K"))
    let none = try Program.Run(arguments + ["--progress", "none"]).finish()
    #expect(none.errorLines.count == 1 && none.errors.contains("10 frames"))
    #expect(try Program.Run(arguments + ["--progress", "bar", "--quiet"]).finish().code == 64)
    #expect(try Program.Run(arguments + ["--progress", "dots"]).finish().code == 64)
  }
}
