// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import VideoIO

@Suite struct ColorTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  struct Tags: Sendable {
    let matrix: String
    let primaries: String
    let transfer: String
    let range: String
    let pixels: String
  }

  static let tags = [
    Tags(matrix: "bt709", primaries: "bt709", transfer: "bt709", range: "tv", pixels: "yuv420p"),
    Tags(matrix: "smpte170m", primaries: "smpte170m", transfer: "smpte170m", range: "tv", pixels: "yuv420p"),
    Tags(matrix: "bt470bg", primaries: "bt470bg", transfer: "smpte170m", range: "tv", pixels: "yuv422p"),
    Tags(matrix: "bt2020nc", primaries: "bt2020", transfer: "smpte2084", range: "tv", pixels: "yuv420p10le"),
    Tags(
      matrix: "bt2020nc", primaries: "bt2020", transfer: "arib-std-b67", range: "tv", pixels: "yuv420p10le"),
    Tags(matrix: "bt709", primaries: "bt709", transfer: "bt709", range: "pc", pixels: "yuv420p"),
  ]

  static let entries =
    "pix_fmt,color_range,color_space,color_transfer,color_primaries,chroma_location,width,height"

  @Test(arguments: tags.indices, ["mp4", "mov", "mkv"])
  func tagsSurvive(_ index: Int, _ ending: String) throws {
    let tags = Self.tags[index]
    let input = try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=160x90:r=25:d=0.2 -pix_fmt \(tags.pixels) -c:v libx264 -colorspace \(tags.matrix)"
        + " -color_primaries \(tags.primaries) -color_trc \(tags.transfer) -color_range \(tags.range)",
      "in.\(ending)")
    let report = try copy(input, to: bench.path("out.\(ending)"), settings: EncoderSettings())
    #expect(report.info.color.matrixName == tags.matrix)
    #expect(report.info.color.primariesName == tags.primaries)
    #expect(report.info.color.transferName == tags.transfer)
    #expect(report.info.color.isFullRange == (tags.range == "pc"))
    #expect(report.info.format.name == tags.pixels)
    #expect(
      try bench.streamEntries("out.\(ending)", stream: "v:0", Self.entries)
        == bench.streamEntries("in.\(ending)", stream: "v:0", Self.entries))
  }

  @Test func chromaLocationSurvives() throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=160x90:r=25:d=0.2 -pix_fmt yuv420p -c:v libx264 -chroma_sample_location topleft",
      "in.mp4")
    let report = try copy(bench.path("in.mp4"), to: bench.path("out.mp4"), settings: EncoderSettings())
    #expect(report.info.color.chromaLocationName == "topleft")
    #expect(try bench.streamEntries("out.mp4", stream: "v:0", "chroma_location").contains("topleft"))
  }

  /// Upscaling must not make players use another matrix.
  @Test func untaggedSmallVideoIsTaggedWhenItGrows() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=64x36:r=25:d=0.2 -pix_fmt yuv420p -c:v ffv1", "in.mkv")
    var reader = try VideoReader(path: bench.path("in.mkv"))
    for (width, height, expected) in [(128, 72, "unknown"), (1920, 1080, "smpte170m")] {
      let name = "out\(height).mkv"
      var writer = try VideoWriter(
        path: bench.path(name), like: reader.info, width: width, height: height, format: .yuv420p)
      if case .frame(let frame)? = try reader.next() {
        try writer.write(frame.converted(width: width, height: height))
      }
      try writer.finish()
      let shown = try bench.streamEntries(name, stream: "v:0", "color_space")
      #expect(shown.contains("color_space=\(expected)"))
    }
  }

  static let foreignFormats = [
    ("nv12", "yuv420p"), ("nv21", "yuv420p"), ("yuyv422", "yuv422p"), ("yuv411p", "yuv422p"),
    ("yuva420p", "yuv420p"), ("gray10be", "gray10le"), ("yuv420p10be", "yuv420p10le"), ("uyvy422", "yuv422p"),
  ]

  /// Converts between formats without changing samples.
  @Test(arguments: foreignFormats)
  func layoutsAreConvertedExactly(_ pair: (String, String)) throws {
    let (given, expected) = pair
    try bench.ffmpeg("-f lavfi -i testsrc2=s=66x50:r=25:d=0.2 -pix_fmt \(given) -c:v rawvideo", "in.nut")
    let all = try readAll(bench.path("in.nut"))
    #expect(all.info.format.name == expected)
    #expect(all.info.sourceFormatName == given)
    #expect(all.info.isConverted)
    let luma = try bench.planeBytes("in.nut", plane: 0, of: expected)
    let first = try #require(all.frames.first)
    let own = first.withPlane(0) { bytes, bytesPerRow in
      (0..<first.height).flatMap { row in
        Array(bytes[(row * bytesPerRow)..<(row * bytesPerRow + first.width * first.format.bytesPerSample)])
      }
    }
    #expect(own == luma)
  }

  static let rgb = [
    ("rgb24", "yuv444p"), ("bgra", "yuv444p"), ("gbrp", "yuv444p"), ("gbrp10le", "yuv444p10le"),
    ("gbrp12le", "yuv444p12le"), ("rgb48le", "yuv444p16le"), ("pal8", "yuv444p"), ("rgb565le", "yuv444p"),
  ]

  @Test(arguments: rgb, [(320, 240, 6, 0.299, 0.114), (1280, 720, 1, 0.2126, 0.0722)])
  func rgbIsConvertedWithTheRightMatrix(
    _ pair: (String, String), _ size: (Int, Int, Int, Double, Double)
  ) throws {
    let (given, expected) = pair
    let (width, height, matrix, kr, kb) = size
    let exact = try rawPicture(given, width: width, height: height)
    if let exact {
      try exact.write(to: URL(fileURLWithPath: bench.path("in.raw")))
      try bench.ffmpeg(
        "-f rawvideo -pixel_format \(given) -video_size \(width)x\(height) -i DIR/in.raw -c:v copy", "in.nut")
    } else {
      try bench.ffmpeg(
        "-f lavfi -i color=0xC83C14:s=\(width)x\(height):r=25:d=0.04 -pix_fmt \(given) -c:v rawvideo",
        "in.nut")
    }
    let all = try readAll(bench.path("in.nut"))
    #expect(all.info.format.name == expected)
    #expect(all.info.color.matrix == Int32(matrix))
    #expect(!all.info.color.isFullRange)
    let frame = try #require(all.frames.first)
    let (r, g, b) = (200.0 / 255, 60.0 / 255, 20.0 / 255)
    let y = kr * r + (1 - kr - kb) * g + kb * b
    let scale = Double(1 << (frame.format.bitDepth - 8))
    let wanted = [
      (16 + 219 * y) * scale, (128 + 224 * (b - y) / (2 * (1 - kb))) * scale,
      (128 + 224 * (r - y) / (2 * (1 - kr))) * scale,
    ]
    for plane in 0..<3 {
      let value = frame.sample(plane, x: width / 2, y: height / 2)
      let tolerance = exact == nil ? 22.0 : 1.01
      #expect(abs(Double(value) - wanted[plane]) <= tolerance, "plane \(plane): \(value) \(wanted[plane])")
    }
  }

  /// Returns a picture of the colour (200, 60, 20) of 255, as exact as the format allows; nil for coarse
  /// formats.
  func rawPicture(_ format: String, width: Int, height: Int) throws -> Data? {
    let rgb = [200.0, 60, 20].map { $0 / 255 }
    func bytes(_ share: Double, _ depth: Int) -> [UInt8] {
      let value = Int((share * Double((1 << depth) - 1)).rounded())
      return depth == 8 ? [UInt8(value)] : [UInt8(value & 255), UInt8(value >> 8)]
    }
    let depth = format.contains("48") ? 16 : format.contains("10") ? 10 : format.contains("12") ? 12 : 8
    let (r, g, b) = (bytes(rgb[0], depth), bytes(rgb[1], depth), bytes(rgb[2], depth))
    let count = width * height
    func plane(_ sample: [UInt8]) -> [UInt8] { (0..<count).flatMap { _ in sample } }
    switch format {
    case "rgb24", "rgb48le": return Data(plane(r + g + b))
    case "bgra": return Data(plane(b + g + r + [255]))
    case "gbrp", "gbrp10le", "gbrp12le": return Data(plane(g) + plane(b) + plane(r))
    default: return nil
    }
  }

  @Test func workingFormats() {
    for name in [
      "yuv420p", "yuv422p", "yuv444p", "yuv440p", "gray", "yuv420p10le", "yuv444p16le", "gray16le",
      "yuvj420p",
    ] {
      #expect(PixelFormat(name: name) != nil, "\(name)")
    }
    for name in [
      "nv12", "rgb24", "gbrp", "yuva420p", "p010le", "pal8", "yuv420p10be", "yuv411p", "monob", "vaapi", "",
      "no",
    ] {
      #expect(PixelFormat(name: name) == nil, "\(name)")
    }
    #expect(PixelFormat(name: "yuvj420p") == .yuv420p)
    #expect(PixelFormat.yuv420p10.bitDepth == 10)
    #expect(PixelFormat.yuv420p.planeWidth(1, width: 853) == 427)
    #expect(PixelFormat.yuv422p.planeHeight(1, height: 479) == 479)
    #expect(PixelFormat.gray8.planeCount == 1)
  }
}

extension Workbench {
  /// Returns the bytes of a plane of the first frame, as converted by the ffmpeg program.
  func planeBytes(_ name: String, plane: Int, of format: String) throws -> [UInt8] {
    let file = path("plane.raw")
    try ffmpeg(
      "-i DIR/\(name) -frames:v 1 -vf format=\(format),extractplanes=\(["y", "u", "v"][plane]) -f rawvideo",
      "plane.raw")
    return try readBytes(file)
  }
}

extension VideoFrame {
  /// Returns a single sample.
  func sample(_ plane: Int, x: Int, y: Int) -> Int {
    withPlane(plane) { bytes, bytesPerRow in
      format.bytesPerSample == 1
        ? Int(bytes[y * bytesPerRow + x])
        : Int(bytes.loadUnaligned(fromByteOffset: y * bytesPerRow + 2 * x, as: UInt16.self))
    }
  }
}
