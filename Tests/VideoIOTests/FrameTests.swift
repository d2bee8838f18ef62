// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import VideoIO

func readBytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

/// Returns a frame whose samples are a smooth function of their position.
func makeFrame(
  _ width: Int, _ height: Int, _ format: PixelFormat, number: Int = 0, color: ColorDescription? = nil
) throws -> VideoFrame {
  try VideoFrame.make(
    width: width, height: height, format: format, presentationTimestamp: Int64(number) * 7 + 3, duration: 7,
    color: color
  ) { plane, bytes, bytesPerRow in
    let size = format.bytesPerSample
    for y in 0..<format.planeHeight(plane, height: height) {
      for x in 0..<format.planeWidth(plane, width: width) {
        let wave = sin(Double(x + number) / 9 + Double(plane)) * cos(Double(y) / 7)
        let value = Int((0.5 + 0.35 * wave) * Double(format.maximumValue))
        let offset = y * bytesPerRow + x * size
        bytes[offset] = UInt8(truncatingIfNeeded: value)
        if size == 2 { bytes[offset + 1] = UInt8(truncatingIfNeeded: value >> 8) }
      }
    }
  }
}

@Suite struct FrameTests {
  @Test(arguments: ["yuv420p", "yuv422p", "yuv444p", "yuv440p", "gray", "yuv420p10le", "gray16le"])
  func planesHaveTheirSizes(_ name: String) throws {
    let format = try #require(PixelFormat(name: name))
    for (width, height) in [(1, 1), (2, 2), (853, 479), (16, 9)] {
      let frame = try makeFrame(width, height, format)
      #expect(samples(frame).count > 0)
      for plane in 0..<format.planeCount {
        let rows = frame.planeHeight(plane)
        let rowBytes = frame.planeWidth(plane) * format.bytesPerSample
        frame.withPlane(plane) { bytes, bytesPerRow in
          #expect(bytesPerRow >= rowBytes)
          #expect(bytes.count == bytesPerRow * (rows - 1) + rowBytes)
        }
      }
    }
  }

  /// Memory that records its deallocation.
  private final class Samples: Sendable {
    nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer  // Only written before it is shared.
    private let gone: @Sendable () -> Void

    init(_ bytes: [UInt8], gone: @escaping @Sendable () -> Void) {
      memory = .allocate(byteCount: bytes.count, alignment: 1)
      memory.copyBytes(from: bytes)
      self.gone = gone
    }

    deinit {
      memory.deallocate()
      gone()
    }
  }

  @Test func samplesMayBeInForeignMemory() throws {
    let color = ColorDescription(matrix: 1, primaries: 1, transfer: 1, range: 2, chromaLocation: 1)
    let lock = NSLock()
    nonisolated(unsafe) var isGone = false  // Guarded by `lock`.
    var shared: VideoFrame?
    do {
      let frame = try makeFrame(34, 22, .yuv420p, number: 4, color: color)
      let bytes = samples(frame)
      let copy = Samples(bytes) { lock.withLock { isGone = true } }
      shared = try frame.sharing(copy.memory, planes: [(0, 34), (748, 17), (935, 17)], of: copy)
      #expect(samples(shared!) == bytes)
      shared!.withPlane(0) { plane, bytesPerRow in
        #expect(plane.baseAddress == UnsafeRawPointer(copy.memory.baseAddress!) && bytesPerRow == 34)
      }
    }
    let frame = try #require(shared)
    #expect(frame.color == color && frame.presentationTimestamp == 31 && frame.duration == 7)
    var again: VideoFrame? = try frame.retimed(presentationTimestamp: 1, duration: 2)
    shared = nil
    withExtendedLifetime(frame) {}
    #expect(lock.withLock { !isGone }, "a frame holds its memory")
    #expect(again.map(samples)?.count == 34 * 22 * 3 / 2)
    again = nil
  }

  @Test func memoryIsFreedWithItsLastFrame() throws {
    let lock = NSLock()
    nonisolated(unsafe) var isGone = false  // Guarded by `lock`.
    func make() throws -> VideoFrame {
      let frame = try makeFrame(16, 8, .yuv420p)
      let copy = Samples(samples(frame)) { lock.withLock { isGone = true } }
      return try frame.sharing(copy.memory, planes: [(0, 16), (128, 8), (160, 8)], of: copy)
    }
    var frame: VideoFrame? = try make()
    #expect(frame != nil && lock.withLock { !isGone })
    frame = nil
    #expect(lock.withLock { isGone })
  }

  @Test func impossibleSizesAreErrors() {
    for (width, height) in [(0, 1), (1, 0), (-1, 5), (1 << 20, 1 << 20), (.max, .max)] {
      #expect(throws: VideoIOError.invalidPicture(width: width, height: height, format: "yuv420p")) {
        _ = try FrameBuffer(width: width, height: height, format: .yuv420p)
          .freeze(presentationTimestamp: 0, duration: 0)
      }
    }
  }

  @Test func freezingKeepsTimesAndColor() throws {
    let color = ColorDescription(matrix: 9, primaries: 9, transfer: 16, range: 1, chromaLocation: 3)
    let frame = try makeFrame(32, 16, .yuv420p10, number: 4, color: color)
    #expect(frame.color == color)
    #expect(frame.presentationTimestamp == 31)
    #expect(frame.duration == 7)
    #expect(!frame.isInterlaced)
    let copy = try FrameBuffer(width: 64, height: 32, format: .yuv420p10, like: frame)
      .freeze(presentationTimestamp: 5, duration: 6)
    #expect(copy.color == color)
    let moved = try frame.retimed(presentationTimestamp: -9, duration: 1)
    #expect(moved.presentationTimestamp == -9)
    #expect(samples(moved) == samples(frame))
  }

  // MARK: - Scaling

  @Test func scalingToTheSameSizeIsIdentity() throws {
    for format in [PixelFormat.yuv420p, .yuv444p10, .gray8, .yuv444p16, .gray16] {
      let frame = try makeFrame(53, 31, format)
      #expect(try samples(frame.converted()) == samples(frame), "\(format)")
    }
  }

  @Test func lumaIsKeptBetweenGrayAndColor() throws {
    for range: Int32 in [0, 1, 2] {
      let frame = try makeFrame(52, 30, .yuv420p, color: ColorDescription(range: range))
      let gray = try frame.converted(format: .gray8)
      let luma = Array(samples(frame).prefix(52 * 30))
      #expect(samples(gray) == luma, "\(range)")
    }
  }

  @Test func eightBitsSurviveConversionToSixteen() throws {
    let frame = try makeFrame(52, 30, .yuv444p)
    #expect(try samples(frame.converted(format: .yuv444p16).converted(format: .yuv444p)) == samples(frame))
  }

  @Test(arguments: ScalingKernel.allCases, [8, 10, 16])
  func planeScalerHalvesAndDoubles(_ kernel: ScalingKernel, _ depth: Int) throws {
    let (width, height) = (61, 43)
    let top = Double((1 << depth) - 1)
    func value(_ x: Double, _ y: Double) -> Double { (0.5 + 0.4 * sin(x / 11) * cos(y / 13)) * top }
    var plane: [UInt16] = []
    for y in 0..<height { for x in 0..<width { plane.append(UInt16(value(Double(x), Double(y)).rounded())) } }
    for (newWidth, newHeight) in [(122, 86), (31, 22), (61, 43), (1, 1), (200, 9)] {
      var scaler = try PlaneScaler(
        sourceWidth: width, sourceHeight: height, width: newWidth, height: newHeight, bitDepth: depth,
        kernel: kernel)
      let result: [Int] =
        depth == 8
        ? try scaler.scale(plane.map { UInt8($0) }).map { Int($0) } : try scaler.scale(plane).map { Int($0) }
      #expect(result.count == newWidth * newHeight)
      #expect(result.allSatisfy { $0 <= Int(top) })
      guard newWidth >= 31, newHeight >= 22 else { continue }
      for y in 2..<(newHeight - 2) {
        for x in 2..<(newWidth - 2) {
          let wanted = value(
            (Double(x) + 0.5) * Double(width) / Double(newWidth) - 0.5,
            (Double(y) + 0.5) * Double(height) / Double(newHeight) - 0.5)
          let error = abs(Double(result[y * newWidth + x]) - wanted) / top
          if error > 0.03 {
            Issue.record("\(kernel) \(depth) \(newWidth)x\(newHeight) at \(x),\(y): \(error)")
            return
          }
        }
      }
    }
  }

  @Test func planeScalerStaysInsideItsBuffers() throws {
    // Guard bytes around tightly sized buffers are unchanged.
    var scaler = try PlaneScaler(sourceWidth: 13, sourceHeight: 7, width: 29, height: 11)
    let input = [UInt8](repeating: 200, count: 13 * 7)
    var output = [UInt8](repeating: 7, count: 29 * 11 + 64)
    try input.withUnsafeBytes { source in
      try output.withUnsafeMutableBytes { target in
        try scaler.scale(
          source, bytesPerRow: 13, into: UnsafeMutableRawBufferPointer(rebasing: target[32..<(32 + 29 * 11)]),
          bytesPerRow: 29)
      }
    }
    #expect(output.prefix(32).allSatisfy { $0 == 7 })
    #expect(output.suffix(32).allSatisfy { $0 == 7 })
    #expect(output.dropFirst(32).dropLast(32).allSatisfy { $0 == 200 })
  }

  @Test func wrongDepthIsAnError() {
    #expect(throws: VideoIOError.self) {
      _ = try PlaneScaler(sourceWidth: 8, sourceHeight: 8, width: 8, height: 8, bitDepth: 11).width
    }
  }

  /// Left-sited chroma keeps its position when a picture is upscaled.
  @Test func chromaSitingIsRespected() throws {
    // A chroma ramp: its value at luma column x is 4 x, so chroma column c (at luma column 2 c) has 8 c.
    let frame = try VideoFrame.make(
      width: 48, height: 8, format: .yuv420p, color: ColorDescription(matrix: 1, range: 1, chromaLocation: 1)
    ) { plane, bytes, bytesPerRow in
      for y in 0..<(plane == 0 ? 8 : 4) {
        for x in 0..<(plane == 0 ? 48 : 24) {
          bytes[y * bytesPerRow + x] = plane == 0 ? 100 : UInt8(8 * x + 16)
        }
      }
    }
    let full = try frame.converted(format: .yuv444p)
    for x in 8..<40 { #expect(abs(full.sample(1, x: x, y: 4) - (4 * x + 16)) <= 1, "\(x)") }
  }

  // MARK: - Codecs

  @Test(
    arguments: [
      ("libx264", ["crf": "23"], 4.0), ("libx264", ["crf": "40", "preset": "veryfast"], 14),
      ("mpeg2video", [:], 6),
      ("mpeg2video", ["b": "300k", "bf": "2"], 14), ("mpeg4", ["bf": "2"], 6), ("libx265", ["crf": "28"], 6),
      ("ffv1", [:], 0), ("mjpeg", [:], 8), ("libvpx-vp9", ["deadline": "realtime", "cpu-used": "8"], 6),
    ] as [(String, [String: String], Double)])
  func codecRoundTrip(_ item: (String, [String: String], Double)) throws {
    let (codec, options, tolerance) = item
    let color = ColorDescription(matrix: 1, primaries: 1, transfer: 1, range: 1)
    let frames = try (0..<9).map { try makeFrame(96, 64, .yuv420p, number: $0, color: color) }
    let results = try CodecRoundTrip.recompress(frames, codec: codec, options: options)
    #expect(results.count == 9)
    for (result, frame) in zip(results, frames) {
      #expect(result.presentationTimestamp == frame.presentationTimestamp)
      #expect(result.duration == frame.duration)
      #expect(result.color == frame.color)
      #expect(result.format == frame.format)
      let error = meanError(result, frame)
      #expect(error <= tolerance)
      if tolerance > 0 { #expect(error > 0) }
    }
  }

  @Test func codecRoundTripErrors() throws {
    #expect(try CodecRoundTrip.recompress([], codec: "libx264").isEmpty)
    let frame = try makeFrame(96, 64, .yuv420p)
    #expect(throws: VideoIOError.unknownEncoder(name: "nonsense")) {
      _ = try CodecRoundTrip.recompress([frame], codec: "nonsense")
    }
    #expect(throws: VideoIOError.self) {
      _ = try CodecRoundTrip.recompress([frame], codec: "libx264", options: ["crf": "much"])
    }
    let other = try makeFrame(98, 64, .yuv420p)
    #expect(throws: VideoIOError.self) {
      _ = try CodecRoundTrip.recompress([frame, other], codec: "libx264")
    }
    #expect(try CodecRoundTrip.recompress([frame], codec: "libx264").count == 1)
  }
}

@Suite struct StillImageTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  static let pictures = [
    ("jpg", "yuvj420p", "yuv420p"), ("jpg", "yuvj444p", "yuv444p"), ("png", "rgb24", "yuv444p"),
    ("png", "rgba", "yuv444p"), ("png", "rgb48be", "yuv444p16le"), ("png", "gray", "gray"),
    ("png", "gray16be", "gray16le"), ("webp", "yuv420p", "yuv420p"), ("bmp", "bgr24", "yuv444p"),
    ("tiff", "rgb24", "yuv444p"), ("ppm", "rgb24", "yuv444p"),
  ]

  /// Opaque pictures with alpha lose nothing.
  @Test(arguments: [
    ("rgba", "png"), ("rgba64be", "png"), ("ya8", "png"), ("ya16be", "png"), ("bgra", "mkv"),
    ("yuva420p", "mkv"),
    ("yuva444p10le", "mkv"), ("gbrap12le", "mkv"),
  ])
  func onlyTransparentPicturesAreWarnedAbout(_ pixels: String, _ ending: String) throws {
    for (alpha, expected) in [(255, []), (128, ["transparency is left out"])] {
      let path = try bench.ffmpeg(
        "-f lavfi -i color=red@\(Double(alpha) / 255):s=34x18:r=25,format=rgba -frames:v 1 -pix_fmt \(pixels) "
          + (ending == "mkv" ? "-c:v ffv1" : ""), "alpha.\(ending)")
      #expect(try readAll(path).warnings == expected, "\(alpha)")
    }
  }

  @Test(arguments: pictures)
  func photographsAreClipsOfOneFrame(_ item: (String, String, String)) throws {
    let (ending, pixels, expected) = item
    // A name that resembles a sequence pattern is an ordinary name.
    for name in ["photo.\(ending)", "100%d:a.\(ending)"] {
      try bench.ffmpeg(
        "-f lavfi -i testsrc2=s=322x182 -frames:v 1 -vf crop=321:181:exact=1 -pix_fmt \(pixels)",
        "made.\(ending)")
      if name != "made.\(ending)" {
        try FileManager.default.copyItem(atPath: bench.path("made.\(ending)"), toPath: bench.path(name))
      }
      let all = try readAll(bench.path(name))
      #expect(all.frames.count == 1)
      #expect(all.packets.isEmpty)
      #expect(all.warnings == [])
      #expect(all.info.isStillImage)
      #expect(all.info.width == 321 && all.info.height == 181)
      #expect(all.info.format.name == expected)
      #expect(all.info.estimatedFrameCount == 1)
      if expected.hasPrefix("yuv444p"), !pixels.hasPrefix("yuv") {
        #expect(all.info.color.isFullRange)
        #expect(all.info.color.matrix == 5)
      }
    }
  }

  /// Converting from RGB to YUV and back only loses rounding.
  @Test(arguments: ["rgb24", "rgb48be"])
  func pngGoesThroughYUV(_ pixels: String) throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=160x120 -frames:v 1 -pix_fmt \(pixels)", "in.png")
    let frame = try #require(try readAll(bench.path("in.png")).frames.first)
    try writePNG(frame, bench.path("out.png"))
    let before = try rgb("in.png")
    let after = try rgb("out.png")
    #expect(before.count == after.count)
    let worst = zip(before, after).map { abs(Int($0) - Int($1)) }.max() ?? 255
    #expect(worst <= (pixels == "rgb24" ? 3 : 1))
    #expect(bench.contents == ["in.png", "out.png", "picture.raw"])
  }

  func rgb(_ name: String) throws -> [UInt8] {
    try bench.ffmpeg("-i DIR/\(name) -f rawvideo -pix_fmt rgb24", "picture.raw")
    return try readBytes(bench.path("picture.raw"))
  }

  @Test(arguments: [("png", "png"), ("jpg", "mjpeg"), ("bmp", "bmp"), ("tif", "tiff")])
  func picturesAreWrittenToo(_ pair: (String, String)) throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64 -frames:v 1 -pix_fmt rgb24", "in.png")
    let name = "100%d.\(pair.0)"
    try copy(bench.path("in.png"), to: bench.path(name), settings: EncoderSettings(codec: "auto"))
    #expect(bench.contents == [name, "in.png"])
    let original = try #require(try readAll(bench.path("in.png")).frames.first)
    let all = try readAll(bench.path(name))
    #expect(all.info.codecName == pair.1)
    #expect(try meanError(#require(all.frames.first), original) < 3)
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:d=1 -c:v ffv1", "clip.mkv")
    #expect(throws: VideoIOError.holdsOneFrame(path: bench.path("two.\(pair.0)"))) {
      try copy(
        bench.path("clip.mkv"), to: bench.path("two.\(pair.0)"), settings: EncoderSettings(codec: "auto"))
    }
    #expect(!bench.exists("two.\(pair.0)") && !bench.exists("two.\(pair.0).part"))
  }

  @Test func automaticEncoders() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.2 -c:v ffv1 -pix_fmt yuv420p", "in.mkv")
    for (ending, codec) in [
      ("mp4", "h264"), ("mov", "h264"), ("mkv", "h264"), ("ts", "h264"), ("avi", "h264"), ("webm", "vp9"),
      ("y4m", "rawvideo"),
    ] {
      try copy(
        bench.path("in.mkv"), to: bench.path("out.\(ending)"), settings: EncoderSettings(codec: "auto"))
      #expect(try readAll(bench.path("out.\(ending)")).info.codecName == codec)
    }
  }

  @Test func pngUsesTheFramesMatrix() throws {
    // Pure red in BT.709 and BT.601, limited range.
    for (matrix, y, u, v) in [(Int32(1), 63, 102, 240), (Int32(6), 81, 90, 240)] {
      let frame = try VideoFrame.make(
        width: 32, height: 32, format: .yuv420p, color: ColorDescription(matrix: matrix, range: 1)
      ) { plane, bytes, _ in
        bytes.initializeMemory(as: UInt8.self, repeating: UInt8([y, u, v][plane]))
      }
      try writePNG(frame, bench.path("red.png"))
      let pixel = try Array(rgb("red.png").prefix(3))
      #expect(pixel[0] >= 253 && pixel[1] <= 3 && pixel[2] <= 3, "\(matrix): \(pixel)")
    }
  }

  @Test func grayAndDeepFramesBecomePNG() throws {
    for format in [PixelFormat.gray8, .gray16, .yuv420p10, .yuv444p16] {
      try writePNG(makeFrame(33, 17, format), bench.path("\(format).png"))
      let info = try readAll(bench.path("\(format).png")).info
      #expect(info.width == 33 && info.height == 17)
      #expect(info.sourceFormatName == (format.isGray ? "gray" : "rgb24"))
    }
    #expect(throws: VideoIOError.outputExists(path: bench.path("gray.png"))) {
      try writePNG(makeFrame(8, 8, .gray8), bench.path("gray.png"), overwrite: false)
    }
  }
}
