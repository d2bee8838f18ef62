// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing
import VideoIO

/// Tests the x264 settings that limit buffered pictures; x264 writes its settings into the stream.
@Suite struct EncoderMemoryTests {
  private func settings(
    width: Int = 1280, height: Int = 800, preset: String? = "veryfast", options: [String: String] = [:],
    threads: Int = 4
  ) throws -> [String: String] {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=\(width)x\(height):r=25:d=0.12 -pix_fmt yuv420p -c:v ffv1", "in.mkv")
    try copy(
      bench.path("in.mkv"), to: bench.path("out.mkv"),
      settings: EncoderSettings(preset: preset, options: options, threads: threads))
    let text = String(decoding: try readBytes(bench.path("out.mkv")), as: UTF8.self)
    let settings = try #require(text.firstRange(of: "options: cabac").map { text[$0.lowerBound...] })
    var result: [String: String] = [:]
    for part in settings.prefix(2000).split(separator: " ") {
      let pair = part.split(separator: "=")
      if pair.count == 2 { result[String(pair[0])] = String(pair[1]) }
    }
    return result
  }

  @Test func largePicturesAtFastPresetsBufferFewerFrames() throws {
    let settings = try settings()
    #expect(settings["threads"] == "2" && settings["b_pyramid"] == "1" && settings["rc_lookahead"] == "9")
    #expect(settings["ref"] == "1", "else the kind of pyramid would matter")
  }

  @Test func smallPicturesAndOtherPresetsAreUnchanged() throws {
    let small = try settings(width: 320, height: 240)
    #expect(small["threads"] == "4" && small["b_pyramid"] == "1" && small["rc_lookahead"] == "10")
    let slow = try settings(preset: nil)
    #expect(slow["threads"] == "4" && slow["b_pyramid"] == "2")
    #expect(try settings(threads: 1)["threads"] == "1")
  }

  @Test(arguments: [
    ["x264-params": "threads=3:b_pyramid=normal:rc-lookahead=7"],
    ["threads": "3", "b-pyramid": "normal", "rc-lookahead": "7"],
    ["x264opts": "threads=3:b-pyramid=normal:rc_lookahead=7"],
  ]) func userOptionsTakePrecedence(_ options: [String: String]) throws {
    let settings = try settings(options: options)
    #expect(settings["threads"] == "3" && settings["b_pyramid"] == "2" && settings["rc_lookahead"] == "7")
  }

  @Test(arguments: [["refs": "3"], ["x264-params": "ref=3"]])
  func severalReferencesKeepThePyramid(_ options: [String: String]) throws {
    #expect(try settings(options: options)["b_pyramid"] == "2")
  }
}
