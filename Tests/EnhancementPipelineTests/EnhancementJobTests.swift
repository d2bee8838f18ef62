// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation
import Testing
import VideoIO

@Suite struct EnhancementJobTests {
  static let picture = "-f lavfi -i testsrc2=size=98x66:rate=24000/1001:duration=1.2"
  static let sound = "-f lavfi -i sine=frequency=500:duration=1.2"

  @Test(arguments: ["yuv420p", "yuv422p", "yuv444p", "yuv440p", "gray", "yuv420p10le", "yuv422p10le", "yuv444p12le", "gray16le"])
  func keepsLayoutTimesAndSound(format: String) async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "\(Self.picture) \(Self.sound) -pix_fmt \(format) -c:v ffv1 -c:a flac -colorspace bt709 -color_primaries bt709 "
        + "-color_trc bt709 -color_range tv", "in.mkv")
    let summary = try await bicubicJob(bench.path("in.mkv"), bench.path("out.mkv")).run()
    #expect(summary.frames == 29)
    #expect(summary.leftOut == [])
    #expect(summary.warnings == [])
    #expect(try bench.times("in.mkv") == bench.times("out.mkv"))
    #expect(try bench.packetHash("in.mkv", stream: "a:0") == bench.packetHash("out.mkv", stream: "a:0"))
    let tags = "pix_fmt,color_range,color_space,color_transfer,color_primaries"
    #expect(try bench.entries("in.mkv", tags) == bench.entries("out.mkv", tags))
    #expect(try bench.entries("out.mkv", "width,height") == "width=196\nheight=132\n")
    #expect(bench.contents == ["in.mkv", "out.mkv"])
  }

  @Test(arguments: [(1, 1), (2, 2), (3, 5), (17, 9), (65, 33), (33, 2)])
  func takesAnySize(width: Int, height: Int) async throws {
    let bench = try Workbench()
    let source = "-f lavfi -i testsrc2=size=\(width + 8)x\(height + 8):rate=25:duration=0.2"
    try bench.ffmpeg("\(source) -vf format=yuv444p,crop=\(width):\(height):0:0,format=yuv420p -c:v rawvideo", "in.nut")
    for window in [1, 3, 5] {
      let output = bench.path("out\(window).mkv")
      let summary = try await bicubicJob(bench.path("in.nut"), output, window: window).run()
      #expect(summary.frames == 5)
      #expect(summary.width == 2 * width && summary.height == 2 * height)
      let frames = try readFrames(output)
      #expect(frames.allSatisfy { $0.width == 2 * width && $0.height == 2 * height })
    }
  }
}
