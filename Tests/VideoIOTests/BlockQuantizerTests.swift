// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import VideoIO

@Suite struct BlockQuantizerTests {
  private static func clip(width: Int = 96, height: Int = 72, count: Int = 6) throws -> [VideoFrame] {
    try (0..<count).map { index in
      try VideoFrame.make(
        width: width, height: height, format: .yuv420p, presentationTimestamp: Int64(index), duration: 1
      ) { plane, bytes, bytesPerRow in
        let (columns, rows) = plane == 0 ? (width, height) : (width / 2, height / 2)
        for y in 0..<rows {
          for x in 0..<columns {
            bytes[y * bytesPerRow + x] = UInt8((x * 7 + y * 13 + index * 5 + (x * y) % 31) % 200 + 20)
          }
        }
      }
    }
  }

  /// A fixed quantizer is exported for every block, on the scale of H.264: 12 log2(step / 0.625).
  @Test(
    arguments: [
      ("libx264", ["qp": "30", "aq-mode": "0", "bf": "0", "i_qfactor": "1"], 60...60),
      ("mpeg2video", ["qmin": "8", "qmax": "8"], 53...57),
      ("mpeg4", ["qmin": "4", "qmax": "4"], 41...45),
    ])
  func quantizersMatchTheEncoder(
    _ codec: String, _ options: [String: String], _ expected: ClosedRange<Int>
  ) throws {
    let results = try CodecRoundTrip.roundTrip(try Self.clip(), codec: codec, options: options)
    #expect(results.count == 6)
    // FFmpeg exports no quantizers for frames flushed from its MPEG-2 decoder.
    let maps = results.compactMap(\.quantizers)
    #expect(maps.count >= results.count - 1)
    for map in maps {
      #expect(map.columns == 6 && map.rows == 5 && map.values.count == 30)
      for value in map.values { #expect(expected.contains(Int(value)), "\(codec): \(value)") }
    }
  }

  @Test func coarserQuantizersHaveHigherValues() throws {
    let clip = try Self.clip()
    func mean(_ codec: String, _ options: [String: String]) throws -> Double {
      let maps = try CodecRoundTrip.roundTrip(clip, codec: codec, options: options).compactMap(\.quantizers)
      #expect(maps.count >= clip.count - 1)
      let values = maps.flatMap(\.values)
      return Double(values.reduce(0) { $0 + Int($1) }) / Double(values.count)
    }
    #expect(try mean("libx264", ["crf": "36"]) > mean("libx264", ["crf": "18"]) + 15)
    let vp9 = ["deadline": "realtime", "cpu-used": "8", "b": "0"]
    #expect(
      try mean("libvpx-vp9", vp9.merging(["crf": "55"]) { $1 })
        > mean("libvpx-vp9", vp9.merging(["crf": "10"]) { $1 }) + 10)
  }

  @Test func codecsThatExportNoneGiveNil() throws {
    for codec in ["ffv1", "libx265"] {
      let results = try CodecRoundTrip.roundTrip(try Self.clip(), codec: codec)
      for (_, quantizers) in results { #expect(quantizers == nil) }
    }
  }

  /// New frames have not been coded themselves.
  @Test func newFramesHaveNone() throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i testsrc2=size=96x64:rate=10 -frames:v 3 -c:v libx264", "clip.mp4")
    var options = VideoReader.Options()
    options.exportsQuantizers = true
    var reader = try VideoReader(path: bench.path("clip.mp4"), options: options)
    var plain = try VideoReader(path: bench.path("clip.mp4"))
    var count = 0
    while let item = try reader.next() {
      guard case .frame(let frame) = item else { continue }
      #expect(frame.quantizers != nil)
      let copy = try FrameBuffer(width: 96, height: 64, format: frame.format, like: frame)
        .freeze(presentationTimestamp: 0, duration: 1)
      #expect(copy.quantizers == nil)
      count += 1
    }
    #expect(count == 3)
    while let item = try plain.next() {
      if case .frame(let frame) = item { #expect(frame.quantizers == nil) }
    }
  }
}
