// SPDX-License-Identifier: Apache-2.0
import Testing
import VideoIO

/// A source to create, and its copy's name.
struct Case: Sendable, CustomTestStringConvertible {
  let name: String
  let input: String
  let output: String
  let make: String

  init(_ name: String, _ input: String, _ output: String, _ make: String) {
    self.name = name
    self.input = input
    self.output = output
    self.make = make
  }

  var testDescription: String { name }
}

private let source = "-f lavfi -i testsrc2=s=320x180:r=25:d=1"
private let sound = "-f lavfi -i sine=d=1"

@Suite struct RoundTripTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  static let lossless: [Case] = [
    Case("mp4 with B-frames and AAC", "in.mp4", "out.mkv", "\(source) \(sound) -c:v libx264 -bf 3 -c:a aac"),
    Case("23.976 fps", "in.mp4", "out.mkv", "-f lavfi -i testsrc2=s=320x180:r=24000/1001:d=1 -c:v libx264"),
    Case("4:2:2", "in.mp4", "out.mkv", "\(source) -c:v libx264 -pix_fmt yuv422p"),
    Case("4:4:4", "in.mp4", "out.mkv", "\(source) -c:v libx264 -pix_fmt yuv444p"),
    Case("4:4:0", "in.mkv", "out.mkv", "\(source) -c:v ffv1 -pix_fmt yuv440p"),
    Case("gray", "in.mkv", "out.mkv", "\(source) -c:v ffv1 -pix_fmt gray"),
    Case("gray of 16 bits", "in.mkv", "out.mkv", "\(source) -c:v ffv1 -pix_fmt gray16le"),
    Case(
      "10 bits", "in.mp4", "out.mkv",
      "\(source) -c:v libx265 -x265-params log-level=error -pix_fmt yuv420p10le"),
    Case("10 bits of 4:2:2", "in.mov", "out.mkv", "\(source) -c:v prores_ks"),
    Case("12 bits", "in.mkv", "out.mkv", "\(source) -c:v ffv1 -pix_fmt yuv444p12le"),
    Case("16 bits", "in.mkv", "out.mkv", "\(source) -c:v ffv1 -pix_fmt yuv420p16le"),
    Case("full range", "in.mkv", "out.mkv", "\(source) -c:v mjpeg -pix_fmt yuvj420p"),
    Case(
      "odd size", "in.webm", "out.mkv",
      "-f lavfi -i testsrc2=s=854x480:r=25:d=0.4 -vf format=yuv420p,crop=853:479:exact=1 -c:v libvpx-vp9 -deadline realtime -cpu-used 8"
    ),
    Case("tiny", "in.mkv", "out.mkv", "-f lavfi -i testsrc2=s=2x2:r=25:d=1 -c:v ffv1 -pix_fmt yuv420p"),
    Case("one pixel", "in.mkv", "out.mkv", "\(source) -vf format=yuv444p,crop=1:1:exact=1 -c:v ffv1"),
    Case(
      "webm", "in.webm", "out.webm.mkv",
      "\(source) \(sound) -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus"),
    Case("transport stream", "in.ts", "out.mkv", "\(source) \(sound) -c:v libx264 -bf 2 -c:a mp2"),
    Case("avi", "in.avi", "out.mkv", "\(source) \(sound) -c:v mpeg4 -bf 2 -c:a mp3"),
    Case("flv", "in.flv", "out.mkv", "\(source) \(sound) -c:v flv1 -ar 44100 -c:a mp3"),
    Case("program stream", "in.mpg", "out.mkv", "\(source) \(sound) -c:v mpeg2video -bf 2 -c:a mp2"),
    Case("raw video in avi", "in.avi", "out.mkv", "\(source) -c:v rawvideo -pix_fmt yuv420p"),
    Case("y4m", "in.y4m", "out.mkv", "\(source) -pix_fmt yuv420p"),
  ]

  @Test(arguments: lossless)
  func framesAndSoundSurvive(_ item: Case) throws {
    let input = try bench.ffmpeg(item.make, item.input)
    let report = try copy(input, to: bench.path(item.output))
    #expect(report.leftOut == [])
    #expect(report.readWarnings == [])
    #expect(report.writeWarnings == [])
    let frames = try bench.frameHashes(item.input)
    #expect(!frames.isEmpty)
    #expect(try bench.frameHashes(item.output) == frames)
    if item.make.contains("sine") {
      #expect(try bench.packetHashes(item.output, stream: "a") == bench.packetHashes(item.input, stream: "a"))
    }
    #expect(bench.contents == [item.input, item.output].sorted())
  }

  static let encoders: [Case] = [
    Case("libx264 in mp4", "libx264", "out.mp4", ""),
    Case("libx264 in mkv", "libx264", "out.mkv", ""),
    Case("libx264 in mov", "libx264", "out.mov", ""),
    Case("libx264 in ts", "libx264", "out.ts", ""),
    Case("libx264 in avi", "libx264", "out.avi", ""),
    Case("libx265 in mp4", "libx265", "out.mp4", ""),
    Case("mpeg4 in mp4", "mpeg4", "out.mp4", ""),
    Case("mpeg2video in ts", "mpeg2video", "out.ts", ""),
    Case("mpeg2video in mpg", "mpeg2video", "out.mpg", ""),
    Case("vp9 in webm", "vp9", "out.webm", ""),
    Case("mjpeg in mov", "mjpeg", "out.mov", ""),
    Case("prores in mov", "prores_ks", "out.mov", ""),
    Case("ffv1 in avi", "ffv1", "out.avi", ""),
    Case("y4m", "wrapped_avframe", "out.y4m", ""),
  ]

  @Test(arguments: encoders)
  func encodersReturnAllFrames(_ item: Case) throws {
    let pixels = item.input == "prores_ks" ? "yuv422p10le" : "yuv420p"
    let input = try bench.ffmpeg("\(source) -c:v ffv1 -pix_fmt \(pixels)", "in.mkv")
    let settings = EncoderSettings(
      codec: item.input, options: item.input == "vp9" ? ["deadline": "realtime", "cpu-used": "8"] : [:])
    try copy(input, to: bench.path(item.output), settings: settings)
    let result = try readAll(bench.path(item.output))
    let original = try readAll(input)
    #expect(result.frames.count == 25)
    // JPEG extends the range; compare real values.
    let frames = try result.frames.map { frame in
      frame.color.isFullRange ? try frame.converted(color: original.info.color) : frame
    }
    let error = zip(frames, original.frames).map { meanError($0, $1) }.max() ?? 999
    #expect(error < 8)
    #expect(bench.contents == ["in.mkv", item.output].sorted())
  }
}

@Suite struct QualityTests {
  /// The default quality is visually lossless: luma differs by less than 1.5 levels on average.
  @Test(arguments: ["libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks", "libtheora"])
  func defaultQualityIsVisuallyLossless(codec: String) throws {
    let bench = try Workbench()
    let deep = codec == "prores_ks"
    let input = try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=192x128:r=25:d=0.4 -c:v ffv1 -pix_fmt \(deep ? "yuv422p10le" : "yuv420p")",
      "in.mkv")
    try copy(input, to: bench.path("out.mkv"), settings: EncoderSettings(codec: codec))
    let (before, after) = (try readAll(input).frames, try readAll(bench.path("out.mkv")).frames)
    #expect(before.count == 10 && after.count == 10)
    let worst = zip(after, before).map { meanError($0, $1) }.max() ?? 999
    #expect(worst < (codec == "ffv1" ? 1e-9 : 1.5), "\(codec): \(worst)")
  }

  /// A pixel format can be requested; losses are reported.
  @Test func requestedPixelFormat() throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=0.2 -c:v ffv1 -pix_fmt yuv422p10le", "in.mkv")
    for (layout, codec, lost) in [
      ("yuv420p", "libx264", "; lost: depth, resolution of colour"), ("yuv444p16le", "ffv1", ""),
      ("gray10le", "ffv1", "; lost: colour"),
    ] {
      let output = bench.path("\(layout).mkv")
      let report = try copy(input, to: output, settings: .init(codec: codec, pixelFormat: layout))
      #expect(
        report.writeWarnings == ["frames of yuv422p10le are encoded as \(layout), as asked for\(lost)"])
      #expect(
        try bench.streamEntries("\(layout).mkv", stream: "v:0", "pix_fmt").contains("pix_fmt=\(layout)"))
    }
  }
}

/// Returns the mean absolute difference of luma samples, in 8-bit levels.
func meanError(_ a: VideoFrame, _ b: VideoFrame) -> Double {
  guard a.width == b.width, a.height == b.height, a.format == b.format else { return 999 }
  let left = samples(a)
  let right = samples(b)
  var sum = 0.0
  let size = a.format.bytesPerSample
  for index in 0..<(a.width * a.height) {
    func value(_ bytes: [UInt8]) -> Double {
      size == 1 ? Double(bytes[index]) : Double(Int(bytes[2 * index]) + Int(bytes[2 * index + 1]) * 256)
    }
    sum += abs(value(left) - value(right))
  }
  return sum / Double(a.width * a.height) * 255 / Double(a.format.maximumValue)
}
