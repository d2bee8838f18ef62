// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import VideoIO

private let source = "-f lavfi -i testsrc2=s=160x90:r=25:d=4"

@Suite struct ReadingErrorTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  /// Returns the error of reading a whole file.
  func error(of name: String) -> VideoIOError? {
    #expect(throws: VideoIOError.self) { _ = try readAll(bench.path(name)) }
  }

  @Test func missingFile() throws {
    #expect(
      error(of: "none.mp4")?.description
        == "cannot open \(bench.path("none.mp4")): No such file or directory")
  }

  @Test func textFile() throws {
    try bench.write("This is not a video.\n", "text.mp4")
    let error = error(of: "text.mp4")
    #expect(error?.description.hasPrefix("cannot open \(bench.path("text.mp4")): ") == true)
    #expect(error?.hint != nil)
  }

  @Test func emptyFile() throws {
    try bench.write("", "empty.mp4")
    #expect(error(of: "empty.mp4")?.description.hasPrefix("cannot open") == true)
  }

  @Test func directory() throws {
    let error = #expect(throws: VideoIOError.self) { _ = try readAll(bench.directory.path) }
    #expect(error?.description == "cannot open \(bench.directory.path): Is a directory")
  }

  @Test func soundOnly() throws {
    try bench.ffmpeg("-f lavfi -i sine=d=1 -c:a aac", "sound.m4a")
    #expect(error(of: "sound.m4a") == .noVideoStream(path: bench.path("sound.m4a")))
  }

  @Test func coverArtIsNotVideo() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=64x64 -frames:v 1", "cover.png")
    try bench.ffmpeg(
      "-f lavfi -i sine=d=1 -i DIR/cover.png -map 0 -map 1 -c:v copy -c:a mp3 -disposition:v attached_pic",
      "song.mp3")
    #expect(error(of: "song.mp3") == .noVideoStream(path: bench.path("song.mp3")))
  }

  @Test func mp4WithoutIndex() throws {
    try bench.ffmpeg("\(source) -c:v libx264", "in.mp4")
    try bench.truncate("in.mp4", to: bench.size("in.mp4") * 3 / 4, as: "cut.mp4")
    let error = error(of: "cut.mp4")
    #expect(error?.description.contains("moov atom not found") == true)
    #expect(error?.hint?.contains("cut off") == true)
  }

  @Test(arguments: ["mp4", "mov", "mkv", "webm", "avi", "flv"])
  func fileThatEndsEarly(_ ending: String) throws {
    let codec =
      [
        "mp4": "libx264 -movflags faststart", "mov": "prores_ks -movflags faststart", "mkv": "libx264",
        "webm": "libvpx-vp9 -deadline realtime -cpu-used 8", "avi": "mpeg4", "flv": "flv1",
      ][ending] ?? ""
    try bench.ffmpeg("\(source) -f lavfi -i sine=d=4:r=44100 -c:v \(codec)", "in.\(ending)")
    for share in [0.3, 0.5] {
      try bench.truncate(
        "in.\(ending)", to: Int(Double(bench.size("in.\(ending)")) * share), as: "cut.\(ending)")
      let error = error(of: "cut.\(ending)")
      #expect(error?.description.contains("cut.\(ending)") == true, "\(share)")
      #expect(error?.hint?.contains("incomplete") == true, "\(share) \(String(describing: error))")
      var options = VideoReader.Options()
      options.toleratesEarlyEnd = true
      let all = try readAll(bench.path("cut.\(ending)"), options: options)
      #expect(all.frames.count > 5 && all.frames.count < 100)
      #expect(
        all.leftOut.first?.hasPrefix("what is missing in the source: ") == true,
        "\(all.leftOut)")
    }
  }

  /// A file truncated anywhere gives frames or an error, never a trap.
  @Test(arguments: ["mp4", "mkv", "avi", "ts"])
  func truncationEverywhere(_ ending: String) throws {
    let codec = ["mp4": "libx264", "mkv": "libx264", "avi": "mpeg4", "ts": "mpeg2video"][ending] ?? ""
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=64x48:r=25:d=0.5 -f lavfi -i sine=d=0.5 -c:v \(codec)"
        + (ending == "mp4" ? " -movflags faststart" : ""), "in.\(ending)")
    let whole = bench.size("in.\(ending)")
    for step in 0..<60 {
      try bench.truncate("in.\(ending)", to: whole * step / 60, as: "cut.\(ending)")
      _ = try? readAll(bench.path("cut.\(ending)"))
    }
  }

  /// The same for a file damaged anywhere.
  @Test(arguments: ["mp4", "mkv", "avi", "ts"])
  func damageEverywhere(_ ending: String) throws {
    let codec =
      ["mp4": "libx264", "mkv": "libx265 -x265-params log-level=error", "avi": "mpeg4", "ts": "mpeg2video"][
        ending] ?? ""
    try bench.ffmpeg("-f lavfi -i testsrc2=s=64x48:r=25:d=0.5 -c:v \(codec)", "in.\(ending)")
    let data = try Data(contentsOf: URL(fileURLWithPath: bench.path("in.\(ending)")))
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<60 {
      var copy = data
      for _ in 0..<8 {
        copy[Int.random(in: 0..<copy.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      try copy.write(to: URL(fileURLWithPath: bench.path("bad.\(ending)")))
      _ = try? readAll(bench.path("bad.\(ending)"))
    }
  }

  @Test func damageWithinIsAWarning() throws {
    try bench.ffmpeg("\(source) -c:v mpeg4 -g 5", "in.avi")
    var data = try Data(contentsOf: URL(fileURLWithPath: bench.path("in.avi")))
    let middle = data.count / 2
    for index in middle..<(middle + 3000) { data[index] = 0x55 }
    try data.write(to: URL(fileURLWithPath: bench.path("bad.avi")))
    let all = try readAll(bench.path("bad.avi"))
    #expect(all.frames.count > 80)
  }

  @Test func sizeChange() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=160x90:r=25:d=0.4 -c:v mpeg2video", "a.ts")
    try bench.ffmpeg("-f lavfi -i testsrc2=s=320x180:r=25:d=0.4 -c:v mpeg2video", "b.ts")
    let both =
      try Data(contentsOf: URL(fileURLWithPath: bench.path("a.ts")))
      + Data(contentsOf: URL(fileURLWithPath: bench.path("b.ts")))
    try both.write(to: URL(fileURLWithPath: bench.path("c.ts")))
    let error = error(of: "c.ts")
    #expect(error?.description.contains("from 160x90 yuv420p to 320x180 yuv420p") == true)
  }

  @Test func messagesAreSingleLines() {
    for error: VideoIOError in [
      .noVideoStream(path: "a"), .endsEarly(path: "a", seconds: 1.5, expectedSeconds: 12),
      .endsEarly(path: "a", seconds: -0.25, expectedSeconds: nil), .outOfMemory,
      .cannotRead(path: "a", seconds: .nan, reason: LibavError(errno: 5)),
    ] {
      #expect(!error.description.contains("\n"))
      #expect(!error.description.hasSuffix("."))
    }
    #expect(
      VideoIOError.endsEarly(path: "a.mkv", seconds: 1.5, expectedSeconds: 12).description
        == "a.mkv ends early, at 1.50 s of 12.00 s")
    #expect(
      VideoIOError.endsEarly(path: "a.mkv", seconds: -0.25, expectedSeconds: nil).description
        == "a.mkv ends early, at -0.25 s")
  }
}

@Suite struct WritingErrorTests {
  let bench: Workbench
  let input: String

  init() throws {
    bench = try Workbench()
    input = try bench.ffmpeg("-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -c:v ffv1 -pix_fmt yuv420p", "in.mkv")
  }

  func error(output: String, _ settings: EncoderSettings = .init(), overwrite: Bool = false) -> VideoIOError?
  {
    #expect(throws: VideoIOError.self) {
      try copy(input, to: output, settings: settings, overwrite: overwrite)
    }
  }

  @Test func existingOutput() throws {
    try bench.write("precious", "out.mp4")
    #expect(error(output: bench.path("out.mp4")) == .outputExists(path: bench.path("out.mp4")))
    try copy(input, to: bench.path("out.mp4"), settings: .init(), overwrite: true)
    #expect(bench.size("out.mp4") > 100)
    #expect(bench.contents == ["in.mkv", "out.mp4"])
  }

  @Test func outputIsInput() throws {
    try FileManager.default.createSymbolicLink(atPath: bench.path("link.mkv"), withDestinationPath: input)
    try FileManager.default.linkItem(atPath: input, toPath: bench.path("hard.mkv"))
    for name in ["in.mkv", "link.mkv", "hard.mkv", "./in.mkv"] {
      #expect(error(output: bench.path(name), overwrite: true) == .outputIsInput(path: bench.path(name)))
    }
    #expect(bench.contents == ["hard.mkv", "in.mkv", "link.mkv"])
  }

  @Test func missingDirectory() throws {
    #expect(
      error(output: bench.path("none/out.mp4"))?.description
        == "cannot create \(bench.path("none/out.mp4")): No such file or directory")
  }

  @Test func directoryThatIsAFile() throws {
    #expect(
      error(output: bench.path("in.mkv/out.mp4"))?.description
        == "cannot create \(bench.path("in.mkv/out.mp4")): Not a directory")
  }

  @Test func outputIsADirectory() throws {
    try FileManager.default.createDirectory(atPath: bench.path("out.mp4"), withIntermediateDirectories: true)
    #expect(
      error(output: bench.path("out.mp4"), overwrite: true)?.description.contains("Is a directory") == true)
  }

  @Test func unknownContainer() throws {
    #expect(error(output: bench.path("out.xyz")) == .unknownContainer(path: bench.path("out.xyz")))
    #expect(error(output: bench.path("out")) == .unknownContainer(path: bench.path("out")))
  }

  @Test func unknownEncoder() throws {
    #expect(error(output: bench.path("out.mp4"), .init(codec: "libx999")) == .unknownEncoder(name: "libx999"))
    #expect(error(output: bench.path("out.mp4"), .init(codec: "aac")) == .unknownEncoder(name: "aac"))
  }

  static let wrongOptions: [(EncoderSettings, String)] = [
    (.init(options: ["colour": "red"]), "encoder libx264 rejects option colour=red"),
    (.init(options: ["refs": "many"]), "encoder libx264 rejects option refs=many"),
    (.init(options: ["x264-params": "nonsense=1"]), "encoder libx264 rejects option x264-params=nonsense=1"),
    (.init(crf: 52), "encoder libx264 rejects option crf=52.0: Invalid argument (the highest is 51)"),
    (.init(codec: "libx265", crf: 99), "rejects option crf=99.0: Invalid argument (the highest is 51)"),
    (.init(preset: "warp"), "encoder libx264 rejects option preset=warp: "),
    (.init(codec: "libx265", options: ["nonsense": "1"]), "encoder libx265 rejects option nonsense=1"),
    (
      .init(codec: "libx265", options: ["x265-params": "nonsense=1"]),
      "encoder libx265 rejects option x265-params=nonsense=1"
    ),
    (.init(codec: "libsvtav1", options: ["nonsense": "1"]), "encoder libsvtav1 rejects option nonsense=1"),
    (
      .init(codec: "libvpx-vp9", options: ["cpu-used": "fast"]),
      "encoder libvpx-vp9 rejects option cpu-used=fast"
    ),
    (
      .init(codec: "prores_ks", options: ["profile": "best"]), "encoder prores_ks rejects option profile=best"
    ),
    (.init(pixelFormat: "yuv555"), "encoder libx264 does not support yuv555"),
    (.init(pixelFormat: "yuv440p"), "encoder libx264 does not support yuv440p"),
    (.init(codec: "ffv1", crf: 3), "encoder ffv1 rejects option crf=3"),
    (.init(containerOptions: ["fasterstart": "1"]), "rejects option fasterstart=1"),
  ]

  @Test(arguments: wrongOptions.indices)
  func wrongOption(_ index: Int) throws {
    let (settings, text) = Self.wrongOptions[index]
    let error = error(output: bench.path("out.mp4"), settings)
    #expect(error?.description.contains(text) == true, "\(String(describing: error))")
    #expect(bench.contents == ["in.mkv"])
  }

  /// SVT-AV1 hangs if it is closed without a frame.
  @Test(arguments: [
    ("out.mp4", "nonsense=1", "encoder libsvtav1 rejects option svtav1-params=nonsense=1"),
    ("out.mxf", "", "/out.mxf cannot hold av1 video"),
  ])
  func encoderWithoutFrames(output: String, parameters: String, text: String) throws {
    let input = try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.2 -c:v ffv1", "large.mkv")
    let error = #expect(throws: VideoIOError.self) {
      try copy(
        input, to: bench.path(output),
        settings: .init(codec: "libsvtav1", options: parameters.isEmpty ? [:] : ["svtav1-params": parameters])
      )
    }
    #expect(error?.description.contains(text) == true, "\(String(describing: error))")
  }

  @Test func formatUnsupportedByTheEncoder() throws {
    let deep = try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -c:v ffv1 -pix_fmt yuv422p10le", "deep.mkv")
    let report = try copy(deep, to: bench.path("out.mp4"), settings: .init(codec: "mpeg4"))
    #expect(
      report.writeWarnings == [
        "frames of yuv422p10le are encoded as yuv420p, the nearest that mpeg4 supports; lost: depth, resolution of colour"
      ])
    #expect(try bench.streamEntries("out.mp4", stream: "v:0", "pix_fmt") == "pix_fmt=yuv420p\n")
    // An encoder requested by name is not replaced by another one.
    let error = error(output: bench.path("other.mp4"), .init(codec: "mpeg4", pixelFormat: "yuv422p"))
    #expect(error?.description == "encoder mpeg4 does not support yuv422p")
    #expect(error?.hint == "it supports yuv420p")
  }

  @Test func oddSizeInAnEvenCodec() throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -vf format=yuv420p,crop=63:47:exact=1 -c:v ffv1", "odd.mkv")
    let report = try copy(bench.path("odd.mkv"), to: bench.path("out.mp4"), settings: .init())
    #expect(report.writeWarnings.count == 1)
    #expect(
      report.writeWarnings.first?.hasPrefix("the last column and row of 63x47 is left out: libx264") == true)
    #expect(try bench.streamEntries("out.mp4", stream: "v:0", "width,height") == "width=62\nheight=46\n")
    #expect(try bench.times("out.mp4").count == 5)
    #expect(bench.contents == ["in.mkv", "odd.mkv", "out.mp4"])
  }

  @Test func fullDisk() throws {
    try FileManager.default.createSymbolicLink(
      atPath: bench.path("full.mkv"), withDestinationPath: "/dev/full")
    let error = error(output: bench.path("full.mkv"), .init(codec: "rawvideo"), overwrite: true)
    #expect(error?.description == "cannot write \(bench.path("full.mkv")): No space left on device")
  }

  @Test func interlacedFramesAreMarked() throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=160x96:r=50:d=0.4 -vf interlace -c:v mpeg2video -flags +ilme+ildct", "i.ts")
    #expect(try readAll(bench.path("i.ts")).frames.allSatisfy(\.isInterlaced))
    #expect(try !readAll(input).frames.contains(where: \.isInterlaced))
  }

  @Test func videoUnsupportedByTheContainer() throws {
    let error = error(output: bench.path("out.webm"), .init())
    #expect(error?.description.contains("webm") == true)
    #expect(error?.hint?.contains(".mkv") == true)
    #expect(bench.contents == ["in.mkv"])
  }

  @Test func dropWithoutFinishLeavesNothing() throws {
    do {
      var reader = try VideoReader(path: input)
      var writer = try VideoWriter(
        path: bench.path("out.mp4"), like: reader.info, width: 64, height: 48, format: .yuv420p)
      #expect(bench.contents == ["in.mkv", "out.mp4.part"])
      if let item = try reader.next() { try writer.write(item) }
    }
    #expect(bench.contents == ["in.mkv"])
  }

  @Test func frameOfAnotherSize() throws {
    let reader = try VideoReader(path: input)
    var writer = try VideoWriter(
      path: bench.path("out.mp4"), like: reader.info, width: 64, height: 48, format: .yuv420p)
    let frame = try FrameBuffer(width: 32, height: 48, format: .yuv420p)
      .freeze(presentationTimestamp: 0, duration: 1)
    do {
      try writer.write(frame)
      Issue.record("a frame of another size was taken")
    } catch {
      #expect(
        error
          == .frameMismatch(
            path: bench.path("out.mp4"), expected: "64x48 yuv420p", found: "32x48 yuv420p"))
    }
  }
}
