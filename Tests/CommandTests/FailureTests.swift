// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests error messages and that failed runs leave no files.
@Suite struct FailureTests {
  /// Runs with a network that adds nothing; expects failure, one line that contains `words`, and no new file.
  private func expectFailure(
    _ bench: Workbench, _ input: String, _ output: String, _ words: String..., more: [String] = [],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let model = try bench.makeModel()
    let before = bench.contents
    let run = try Program.Run([input, output, "--bits", "32", "--model-file", model, "--quiet"] + more)
      .finish()
    #expect(run.code == 1, "\(run.errors)", sourceLocation: sourceLocation)
    #expect(run.output == "", sourceLocation: sourceLocation)
    #expect(run.errorLines.count == 1, "\(run.errors)", sourceLocation: sourceLocation)
    #expect(run.errors.hasPrefix("videnhance: "), sourceLocation: sourceLocation)
    for word in words {
      #expect(run.errors.contains(word), "\(run.errors)", sourceLocation: sourceLocation)
    }
    #expect(bench.contents == before, sourceLocation: sourceLocation)
  }

  @Test func missingFile() throws {
    let bench = try Workbench()
    let missing = bench.path("missing.mp4")
    try expectFailure(
      bench, missing, bench.path("out.mkv"), "cannot open \(missing): No such file or directory")
  }

  @Test func textFile() throws {
    let bench = try Workbench()
    try Data("Once upon a time.\n".utf8).write(to: URL(fileURLWithPath: bench.path("story.mp4")))
    try expectFailure(
      bench, bench.path("story.mp4"), bench.path("out.mkv"), "cannot open \(bench.path("story.mp4"))",
      "(hint: ")
  }

  @Test func emptyFile() throws {
    let bench = try Workbench()
    try Data().write(to: URL(fileURLWithPath: bench.path("empty.mkv")))
    try expectFailure(bench, bench.path("empty.mkv"), bench.path("out.mkv"), bench.path("empty.mkv"))
  }

  @Test func soundOnly() throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i sine=duration=1 -c:a flac", "sound.mka")
    try expectFailure(
      bench, bench.path("sound.mka"), bench.path("out.mkv"), "no video stream in \(bench.path("sound.mka"))")
  }

  @Test func truncatedBeforeItsIndex() throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=size=96x64:rate=25:duration=1 -c:v libx264", "whole.mp4")
    let data = try Data(contentsOf: URL(fileURLWithPath: bench.path("whole.mp4")))
    try data.prefix(data.count / 2).write(to: URL(fileURLWithPath: bench.path("half.mp4")))
    try expectFailure(bench, bench.path("half.mp4"), bench.path("out.mkv"), bench.path("half.mp4"), "(hint: ")
  }

  @Test func outputIsInput() throws {
    let bench = try Workbench()
    let video = try bench.makeVideo()
    let before = try Data(contentsOf: URL(fileURLWithPath: video))
    try expectFailure(bench, video, video, "output \(video) is the input", more: ["--overwrite"])
    try FileManager.default.createSymbolicLink(atPath: bench.path("link.mkv"), withDestinationPath: video)
    try expectFailure(bench, video, bench.path("link.mkv"), "is the input", more: ["--overwrite"])
    #expect(try Data(contentsOf: URL(fileURLWithPath: video)) == before)
  }

  @Test func unwritableFolder() throws {
    let bench = try Workbench()
    let video = try bench.makeVideo()
    let missing = bench.path("nowhere/out.mkv")
    try expectFailure(bench, video, missing, "cannot create \(missing): No such file or directory")
    try expectFailure(
      bench, video, bench.path("in.mkv/out.mkv"), "cannot create \(bench.path("in.mkv/out.mkv"))")
    // Even root cannot write here.
    if FileManager.default.fileExists(atPath: "/proc/self") {
      try expectFailure(bench, video, "/proc/self/out.mkv", "cannot create /proc/self/out.mkv")
    }
  }

  /// In a folder, the output has the input's name; here that is the input itself.
  @Test func outputIsTheFolderOfTheInput() throws {
    let bench = try Workbench()
    let video = try bench.makeVideo()
    try expectFailure(bench, video, bench.directory.path, "output \(video) is the input")
  }

  @Test func unknownContainer() throws {
    let bench = try Workbench()
    try expectFailure(
      bench, try bench.makeVideo(), bench.path("out.xyz"), "cannot determine the container",
      "(hint: use a name")
  }

  @Test func unknownEncoder() throws {
    let bench = try Workbench()
    let video = try bench.makeVideo()
    try expectFailure(
      bench, video, bench.path("out.mkv"), "no encoder named h265x", more: ["--codec", "h265x"])
    try expectFailure(
      bench, video, bench.path("out.mkv"), "rejects option wings=2", more: ["--encoder-option", "wings=2"])
  }

  @Test func interlacedVideo() throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=96x64:rate=50:duration=0.5 -vf interlace -flags +ildct+ilme -c:v mpeg2video",
      "in.mpg")
    try expectFailure(
      bench, bench.path("in.mpg"), bench.path("out.mkv"), "is interlaced", "(hint: pass --deinterlace")
  }

  @Test func badModel() throws {
    let bench = try Workbench()
    let video = try bench.makeVideo()
    for (name, bytes) in [("short.safetensors", Data([1, 2, 3])), ("zeros.safetensors", Data(count: 100))] {
      try bytes.write(to: URL(fileURLWithPath: bench.path(name)))
      let run = try Program.run(
        video, bench.path("out.mkv"), "--bits", "32", "--model-file", bench.path(name))
      #expect(run.code == 1)
      #expect(run.errors.contains(bench.path(name)) && run.errorLines.count == 1, "\(run.errors)")
    }
    let missing = try Program.run(
      video, bench.path("out.mkv"), "--bits", "32", "--model-file", bench.path("none"))
    #expect(missing.code == 1)
    #expect(missing.errors.hasPrefix("videnhance: cannot open model \(bench.path("none")): "))
    #expect(!bench.contents.contains { $0.hasPrefix("out.mkv") })
  }
}
