// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import TestSupport
import Testing

// Files whose headers are changed, and streams that the ffmpeg program does not write.
extension FileCaseTests {
  /// Changes the time, in milliseconds, of a packet of an FLV file's video; the first one is its header.
  func setTime(ofVideo number: Int, in data: inout Data, _ change: (Int) -> Int) throws {
    var position = 13
    var videos = 0
    while position + 11 < data.count {
      let length = Int(data[position + 1]) << 16 | Int(data[position + 2]) << 8 | Int(data[position + 3])
      if data[position] == 9 {
        videos += 1
        if videos == number {
          let time = change(
            Int(data[position + 4]) << 16 | Int(data[position + 5]) << 8 | Int(data[position + 6]))
          for (index, shift) in [16, 8, 0].enumerated() {
            data[position + 4 + index] = UInt8(time >> shift & 0xff)
          }
          return
        }
      }
      position += length + 15
    }
    Issue.record("no video packet \(number)")
  }

  /// Multiplies a big-endian or little-endian number of a header by three.
  private func triple(_ data: inout Data, at place: Int, isLittle: Bool = false) {
    var value = data[place..<place + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    if isLittle { value = value.byteSwapped }
    value *= 3
    withUnsafeBytes(of: isLittle ? value.littleEndian : value.bigEndian) {
      data.replaceSubrange(place..<place + 4, with: $0)
    }
  }

  @Test(arguments: ["mkv", "avi", "mp4"]) func threeTimesTheLength(ending: String) throws {
    try bench.ffmpeg(Self.base, "a.\(ending)")
    var data = try bytes("a.\(ending)")
    func place(_ text: String) throws -> Int {
      try #require(data.firstRange(of: Data(text.utf8))).upperBound
    }
    switch ending {
    case "mkv":
      // The element Duration, a number of 8 bytes.
      let start = try #require(data.firstRange(of: Data([0x44, 0x89, 0x88]))).upperBound
      let bits = data[start..<start + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      withUnsafeBytes(of: (Double(bitPattern: bits) * 3).bitPattern.bigEndian) {
        data.replaceSubrange(start..<start + 8, with: $0)
      }
    case "avi":
      // The count of frames, in the main header and in that of the first stream.
      triple(&data, at: try place("avih") + 20, isLittle: true)
      triple(&data, at: try place("strh") + 36, isLittle: true)
    default:
      triple(&data, at: try place("mvhd") + 16)
      triple(&data, at: try place("tkhd") + 20)
      triple(&data, at: try place("mdhd") + 16)
    }
    try write(data, "in.\(ending)")
    let done = try run("in.\(ending)", "out.mkv")
    // FFmpeg takes the length of an MP4 file from its index.
    #expect(done.code == (ending == "mp4" ? 0 : 2) && done.errorLines.count <= 1, "\(done.errors)")
    #expect(try times("out.mkv").count == 50)
  }

  /// Audio of an unknown codec is left out of containers in which players could not identify it.
  @Test func soundOfUnknownCodec() throws {
    try bench.ffmpeg(Self.base, "a.mkv")
    var data = try bytes("a.mkv")
    let place = try #require(data.firstRange(of: Data("A_AAC".utf8)))
    data.replaceSubrange(place, with: Data("A_XYZ".utf8))
    try write(data, "in.mkv")
    for ending in ["ts", "mp4"] {
      let done = try run("in.mkv", "out.\(ending)")
      #expect(done.code == 2 && done.errors.contains("left out stream 1 (audio"), "\(done.errors)")
      #expect(try times("out.\(ending)").count == 50)
      #expect(try bench.entries("out.\(ending)", "codec_type", stream: "a") == "")
    }
  }

  /// Makes a movie file, and inserts a box at a place within nested boxes, all of which grow.
  private func makeMovie(with box: Data, in parents: [String], at place: (Data) -> Int?) throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -vf setsar=4/3 -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
      "a.mp4")
    var data = try bytes("a.mp4")
    data.insert(contentsOf: box, at: try #require(place(data)))
    for name in parents {
      let start = try #require(data.firstRange(of: Data(name.utf8))).lowerBound - 4
      let size = data[start..<start + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } + UInt32(box.count)
      withUnsafeBytes(of: size.bigEndian) { data.replaceSubrange(start..<start + 4, with: $0) }
    }
    try write(data, "in.mp4")
  }

  private func box(_ name: String, _ content: Data) -> Data {
    var size = UInt32(content.count + 8).bigEndian
    return withUnsafeBytes(of: &size) { Data($0) } + Data(name.utf8) + content
  }

  /// 360-degree and stereoscopic video.
  @Test(arguments: ["mp4", "mov", "mkv", "ts"]) func sphericalAndStereoscopicVideo(to: String) throws {
    let sphere = [
      "Spherical>true", "Stitched>true", "StitchingSoftware>none", "ProjectionType>equirectangular",
    ]
    .map { "<GSpherical:\($0)</GSpherical:\($0.prefix { $0 != ">" })>" }.joined()
    let identity: [UInt8] = [
      0xFF, 0xCC, 0x82, 0x63, 0xF8, 0x55, 0x4A, 0x93, 0x88, 0x14, 0x58, 0x7A, 0x02, 0x52, 0x1F, 0xDD,
    ]
    for isSphere in [true, false] {
      let (side, name) =
        isSphere
        ? ("Spherical Mapping", "360-degree data") : ("Stereo 3D", "stereoscopic arrangement")
      if isSphere {
        try makeMovie(with: box("uuid", Data(identity) + Data(sphere.utf8)), in: ["moov", "trak"]) {
          $0.firstRange(of: Data("trak".utf8))?.upperBound
        }
      } else {
        let parents = ["moov", "trak", "mdia", "minf", "stbl", "stsd", "avc1"]
        try makeMovie(with: box("st3d", Data([0, 0, 0, 0, 1])), in: parents) {
          $0.firstRange(of: Data("pasp".utf8)).map { $0.lowerBound - 4 }
        }
      }
      func types(_ name: String) throws -> String {
        try bench.ffprobe(name, "-select_streams v -show_entries stream_side_data=side_data_type")
      }
      #expect(try types("in.mp4").contains(side))
      let done = try run("in.mp4", "out.\(to)", ["--overwrite"])
      let isKept = try types("out.\(to)").contains(side)
      #expect(
        isKept
          ? done.code == 0 : done.code == 2 && done.errors.contains("left out \(name), which does not fit"),
        "\(done.errors)")
    }
  }

  /// A NAL unit with HDR10+ metadata (SMPTE ST 2094-40) for one window.
  private static let dynamicMetadata: [UInt8] = {
    var bits: [UInt8] = []
    func add(_ value: Int, _ count: Int) {
      for bit in (0..<count).reversed() { bits.append(UInt8(value >> bit & 1)) }
    }
    // Version, windows; luminance of the target, whose peaks are not listed.
    add(1, 8)
    add(1, 2)
    add(400, 27)
    add(0, 1)
    // Maxima of the components, mean, no percentiles, bright pixels; none of the optional parts.
    for value in [50_000, 50_001, 50_002, 20_000] { add(value, 17) }
    add(0, 4)
    add(100, 10)
    add(0, 3)
    while bits.count % 8 != 0 { bits.append(0) }
    let content = stride(from: 0, to: bits.count, by: 8).map { bits[$0..<$0 + 8].reduce(0) { $0 << 1 | $1 } }
    // Country, provider, code, application.
    let payload: [UInt8] = [0xB5, 0, 0x3C, 0, 1, 4] + content
    // No start code within it.
    var escaped: [UInt8] = []
    for byte in [4, UInt8(payload.count)] + payload + [0x80] {
      if escaped.suffix(2) == [0, 0], byte <= 3 { escaped.append(3) }
      escaped.append(byte)
    }
    return [0, 0, 0, 1, 0x4E, 1] + escaped
  }()

  @Test func dynamicMetadataIsNamed() throws {
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=error:bframes=0",
      "a.hevc")
    let stream = [UInt8](try bytes("a.hevc"))
    var result: [UInt8] = []
    for index in stream.indices {
      // Before each slice.
      if index + 4 < stream.count, stream[index...].starts(with: [0, 0, 1]), stream[index + 3] >> 1 & 63 < 32
      {
        if result.last == 0 { result.removeLast() }
        result += Self.dynamicMetadata + [0]
      }
      result.append(stream[index])
    }
    try write(Data(result), "in.hevc")
    #expect(
      try bench.ffprobe("in.hevc", "-show_frames -read_intervals %+#1").contains("2094-40"))
    for more in [[], ["--codec", "libx265"]] {
      let done = try run("in.hevc", "out.mkv", more + ["--overwrite"])
      #expect(done.code == 2 && done.errors.contains("left out HDR10+ metadata, which"), "\(done.errors)")
      #expect(try times("out.mkv").count == 10)
    }
  }

  /// The title of a sound track is stored in a box that ffprobe 5.1 does not show.
  @Test func titlesOfSoundTracksReachMP4() throws {
    try bench.ffmpeg("\(Self.base) -metadata:s:a title=Remarks", "in.mkv")
    let done = try runSameSize("in.mkv", "out.mp4")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try bytes("out.mp4").firstRange(of: Data("nameRemarks".utf8)) != nil)
  }

  @Test(arguments: ["mov", "mkv"]) func twoTimecodeTracks(to: String) throws {
    let times = ["01:02:03:04", "05:06:07:08"]
    for (number, time) in times.enumerated() {
      try bench.ffmpeg(
        "-f lavfi -i testsrc2=s=96x64:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p -timecode \(time)",
        "\(number).mov")
    }
    try bench.ffmpeg("-i DIR/0.mov -i DIR/1.mov -map 0:v -map 1:v -c copy", "in.mov")
    let tracks = "-select_streams d -show_entries stream=codec_tag_string:stream_tags=timecode -of csv=p=0"
    #expect(try bench.ffprobe("in.mov", tracks).split(separator: "\n").count == 2)
    let done = try runSameSize("in.mov", "out.\(to)")
    if to == "mov" {
      #expect(done.code == 0, "\(done.errors)")
      let found = try bench.ffprobe("out.mov", tracks)
      #expect(found.split(separator: "\n").count == 2 && times.allSatisfy(found.contains), "\(found)")
    } else {
      // The tracks are named; their times are tags of the videos.
      #expect(
        done.code == 2 && ["stream 2 (data", "stream 3 (data"].allSatisfy(done.errors.contains),
        "\(done.errors)")
      let found = try bench.ffprobe("out.mkv", "-show_entries stream_tags=timecode")
      #expect(times.allSatisfy(found.contains), "\(found)")
    }
  }

  @Test func descriptionsOfDASHLoseNothing() throws {
    try bench.ffmpeg(Self.base + " -f dash", "in.mpd")
    let done = try run("in.mpd", "out.mp4")
    #expect(done.code == 0 && done.errors == "", "\(done.errors)")
    #expect(try times("out.mp4").count == 50)
  }

  /// A single timestamp far ahead does not lead to interpolated frames up to that time.
  @Test func interpolationOfATimeFarAhead() throws {
    try bench.ffmpeg(Self.base + " -bf 0", "a.flv")
    var data = try bytes("a.flv")
    try setTime(ofVideo: 26, in: &data) { $0 + 1_000_000 }
    try write(data, "in.flv")
    let architecture = Architecture(
      task: .interpolation, scale: 1, window: 2, alignment: .block, encoderChannels: 8, channels: 8, blocks: 0
    )
    let layers = architecture.graph.layers
    let weights = NetworkWeights(
      architecture: architecture, weights: layers.map { [Float](repeating: 0, count: $0.weightCount) },
      biases: layers.map { [Float](repeating: 0, count: $0.outputChannels) }, recipe: "zeros")
    try weights.file.write(path: bench.path("interp.safetensors"))
    let done = try Program.Run(
      [bench.path("in.flv"), bench.path("out.mkv"), "--task", "interp", "--fps", "60", "--bits", "32"]
        + ["--quiet", "--model-file", bench.path("interp.safetensors")]
    ).finish()
    #expect(done.code == 0 && done.errors.contains("times that fit nowhere"), "\(done.errors)")
    #expect(try (115...125).contains(times("out.mkv").count))
  }

  /// A run of times that are wrong by the same amount.
  @Test func severalTimesFarAhead() throws {
    try bench.ffmpeg(Self.base + " -bf 0", "a.flv")
    var data = try bytes("a.flv")
    for number in 20..<32 { try setTime(ofVideo: number, in: &data) { $0 + 500_000 } }
    try write(data, "in.flv")
    let done = try run("in.flv", "out.mp4")
    #expect(done.code == 0 && done.errors.contains("12 packets had times that fit nowhere"), "\(done.errors)")
    let all = try times("out.mp4")
    #expect(
      all.count == 50 && zip(all, all.dropFirst()).allSatisfy { (0.03...0.09).contains($1 - $0) }, "\(all)")
  }

  /// A frame that lasts longer than a gap may, before frames that are shown earlier.
  @Test func slowFramesOutOfOrder() throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=1/5:d=30 -c:v libx264 -pix_fmt yuv420p", "in.mkv")
    let done = try run("in.mkv", "out.mp4")
    #expect(done.code == 0 && done.errors == "", "\(done.errors)")
    #expect(try times("out.mp4") == [0, 5, 10, 15, 20, 25])
  }
}
