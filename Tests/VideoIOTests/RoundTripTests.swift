// SPDX-License-Identifier: Apache-2.0
import Testing
import VideoIO

@Suite struct RoundTripTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  @Test func mp4WithSoundKeepsPictureTimesAndSound() throws {
    let input = try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=320x180:r=24000/1001 -f lavfi -i sine -t 2 -c:v libx264 -bf 3 -c:a aac", "in.mp4")
    let report = try copy(input, to: bench.path("out.mkv"))
    #expect(report.leftOut == [])
    #expect(report.readWarnings == [])
    #expect(try bench.frameHashes("out.mkv") == bench.frameHashes("in.mp4"))
    #expect(try bench.packetHashes("out.mkv", stream: "a") == bench.packetHashes("in.mp4", stream: "a"))
    #expect(bench.contents == ["in.mp4", "out.mkv"])
  }

  @Test func libx264KeepsTimesExactly() throws {
    let input = try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=320x180:r=24000/1001 -f lavfi -i sine -t 2 -c:v libx264 -bf 3 -c:a aac", "in.mp4")
    try copy(input, to: bench.path("out.mp4"), settings: EncoderSettings())
    #expect(try bench.times("out.mp4") == bench.times("in.mp4"))
    #expect(try bench.packetHashes("out.mp4", stream: "a") == bench.packetHashes("in.mp4", stream: "a"))
    #expect(try bench.packetTimes("out.mp4", stream: "a") == bench.packetTimes("in.mp4", stream: "a"))
    #expect(bench.contents == ["in.mp4", "out.mp4"])
  }
}
