// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

// Sources that lack something, or change on the way: what is lost is named, exit code 2.
extension FileCaseTests {
  private static let codecs = [
    "wmv": "-c:v wmv2 -c:a wmav2", "avi": "-c:v mpeg4 -c:a mp3",
    "mxf": "-c:v mpeg2video -c:a pcm_s16le -ar 48000",
    "y4m": "-an -pix_fmt yuv420p",
  ]

  /// Makes 24 frames, with sound where the container takes it.
  private func makeClip(_ name: String, size: String = "96x64", _ codecs: String? = nil) throws {
    let ending = String(name.split(separator: ".").last ?? "")
    let usual = Self.codecs[ending] ?? "-c:v libx264 -pix_fmt yuv420p -g 8 -c:a aac"
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=\(size):r=25:d=0.96 -f lavfi -i sine=d=0.96 \(codecs ?? usual)", name)
  }

  @Test(arguments: ["mp4", "mkv", "ts", "nut", "flv", "wmv", "avi", "mxf"])
  func damageIsNamed(ending: String) throws {
    try makeClip("whole.\(ending)")
    let whole = try runSameSize("whole.\(ending)", "whole.out.mkv")
    #expect(whole.code == 0 && whole.errors == "", "\(whole.errors)")
    var data = try bytes("whole.\(ending)")
    let start = data.count * 2 / 5
    data.replaceSubrange(start..<start + data.count / 8, with: Data(count: data.count / 8))
    try write(data, "in.\(ending)")
    let done = try runSameSize("in.\(ending)", "out.mkv")
    #expect(done.code == 2 && done.errors.contains("left out"), "\(done.errors)")
    if ending == "mkv" {
      let parts = try runSameSize("in.mkv", "parts.mkv", ["--segment-frames", "5"])
      #expect(parts.code == 2, "\(parts.errors)")
      #expect(parts.errors.replacingOccurrences(of: "parts.mkv", with: "out.mkv") == done.errors)
    }
  }

  /// Cut within the last second, so that the announced length says little.
  @Test(arguments: ["wmv", "flv", "avi", "mxf", "y4m"]) func lastSecondIsCutOff(ending: String) throws {
    try makeClip("whole.\(ending)")
    let data = try bytes("whole.\(ending)")
    try write(data.prefix(data.count * 3 / 4), "in.\(ending)")
    let done = try runSameSize("in.\(ending)", "out.mkv")
    #expect(
      done.code == 2 && done.errors.contains("left out what is missing in the source"), "\(done.errors)")
    #expect(try (8..<24).contains(times("out.mkv").count))
  }

  /// FFmpeg decodes the second file with the parameters of the first.
  @Test func otherParametersBehindAJoint() throws {
    try makeClip("one.mkv")
    try makeClip("two.mkv", size: "112x80")
    let first = try bytes("one.mkv")
    try write(first + bytes("two.mkv"), "in.mkv")
    let done = try runSameSize("in.mkv", "out.mkv")
    #expect(done.code == 2 && done.errors.contains("tail -c +\(first.count + 1)"), "\(done.errors)")
    #expect(try times("out.mkv").count == 24)
  }

  @Test func codecsThatChange() throws {
    try makeClip("one.ts")
    try makeClip("two.ts", "-c:v mpeg2video -c:a aac")
    try write(bytes("one.ts") + bytes("two.ts"), "in.ts")
    let done = try runSameSize("in.ts", "out.mkv")
    #expect(
      done.code == 2
        && done.errors.contains("left out what follows 1.00 s,")
        && done.errors.contains("where the codec of the video changes from h264 to mpeg2video"),
      "\(done.errors)")
    #expect(done.errors.split(separator: "\n").count == 1, "\(done.errors)")
    #expect(try times("out.mkv").count == 24)
    // The other way; the hint separates the second file, from its first table that FFmpeg needs.
    try write(bytes("two.ts") + bytes("one.ts"), "back.ts")
    let back = try runSameSize("back.ts", "back.mkv")
    #expect(
      back.code == 2
        && back.errors.contains("the codec of the video changes from mpeg2video to h264: tail -c +"),
      "\(back.errors)")
    let place = try #require(back.errors.firstMatch(of: #/tail -c \+(\d+)/#).flatMap { Int($0.1) }) - 1
    let joint = try bytes("two.ts").count
    #expect((joint...joint + 3 * 188).contains(place) && (place - joint) % 188 == 0)
    try write(Data(bytes("back.ts").dropFirst(place)), "rest.ts")
    let rest = try runSameSize("rest.ts", "rest.mkv")
    #expect(try rest.code == 0 && times("rest.mkv").count == 24, "\(rest.errors)")
    #expect(!back.errors.contains("damaged"), "\(back.errors)")
    #expect(try times("back.mkv").count == 24)
    // The same codec twice is read on.
    try write(bytes("one.ts") + bytes("one.ts"), "same.ts")
    let same = try runSameSize("same.ts", "same.mkv")
    #expect(!same.errors.contains("the codec"), "\(same.errors)")
    #expect(try times("same.mkv").count == 48)
    // Sound whose parameters are in the packets.
    try makeClip("three.ts", "-c:v libx264 -pix_fmt yuv420p -g 8 -c:a aac -ar 48000 -ac 2")
    try write(bytes("one.ts") + bytes("three.ts"), "sound.ts")
    let sound = try runSameSize("sound.ts", "sound.mkv")
    #expect(
      sound.code == 2
        && sound.errors.contains("its sound changes from 44100 Hz, 1 channel to 48000 Hz, 2 channels"),
      "\(sound.errors)")
  }

  /// The last packet has a duration, without which players of MP4 ignore it.
  @Test func lastPacketOfSound() throws {
    try makeClip("in.mkv", size: "96x64", "-c:v libx264 -pix_fmt yuv420p -c:a alac")
    let done = try runSameSize("in.mkv", "out.mp4")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try soundTimes("out.mp4").count == soundTimes("in.mkv").count)
    let lengths = try bench.ffprobe(
      "out.mp4", "-select_streams a:0 -show_entries packet=duration -of csv=p=0")
    #expect(lengths.split(separator: "\n").allSatisfy { (Int($0) ?? 0) > 1000 }, "\(lengths)")
  }

  /// An edit list that begins behind the media.
  @Test func editListOfNothing() throws {
    try makeClip("a.mp4")
    var data = try bytes("a.mp4")
    let place = try #require(data.firstRange(of: Data("elst".utf8))).upperBound + 12
    data.replaceSubrange(place..<place + 4, with: Data([0x7F, 0, 0, 0]))
    try write(data, "in.mp4")
    let done = try runSameSize("in.mp4", "out.mkv")
    #expect(done.code == 0 && done.errors.contains("the edit list"), "\(done.errors)")
    #expect(try times("out.mkv").count == 24)
  }

  /// A last frame without a duration, at which media and edit list end; FFmpeg discards it. An edit list that cuts
  /// one frame is obeyed.
  @Test func lastFrameOfNoDuration() throws {
    let arguments = "-f lavfi -i testsrc2=s=96x64:r=25:d=2 -frames:v 10 -pix_fmt yuv420p -c:v libx264 -bf 2"
    _ = try bench.ffmpeg("\(arguments) -video_track_timescale 1", "in.mp4")
    let done = try runSameSize("in.mp4", "out.mkv")
    #expect(done.code == 0, "\(done.errors)")
    #expect(try times("out.mkv").count == 10)

    _ = try bench.ffmpeg(arguments, "whole.mp4")
    var data = try bytes("whole.mp4")
    let place = try #require(data.firstRange(of: Data("elst".utf8))).upperBound + 8
    #expect(Array(data[place..<place + 4]) == [0, 0, 1, 0x90])
    data.replaceSubrange(place..<place + 4, with: Data([0, 0, 1, 0x68]))
    try write(data, "cut.mp4")
    let cut = try runSameSize("cut.mp4", "cut.mkv")
    #expect(cut.code == 0, "\(cut.errors)")
    #expect(try times("cut.mkv").count == 9)
  }

  /// FFmpeg takes a time scale of 0 for 1, by which the edit list selects a single frame. No frame is lost, but the
  /// times are far from those that the file announces.
  @Test func timeScaleOfZero() throws {
    try makeClip("a.mp4")
    var data = try bytes("a.mp4")
    let place = try #require(data.firstRange(of: Data("mdhd".utf8))).upperBound + 12
    data.replaceSubrange(place..<place + 4, with: Data(count: 4))
    try write(data, "in.mp4")
    let done = try runSameSize("in.mp4", "out.mkv")
    #expect(done.code == 2 && done.errors.contains("the time scale of a stream is 0"), "\(done.errors)")
    #expect(try times("out.mkv").count == 24)
  }

  @Test func nothingToRead() throws {
    try write(Data(), "in.mp4")
    let empty = try runSameSize("in.mp4", "out.mp4")
    #expect(empty.code == 1 && empty.errors.contains("in.mp4: it is empty"), "\(empty.errors)")
    try makeClip("a.mkv")
    let late = try runSameSize("a.mkv", "out.mp4", ["--start", "5"])
    #expect(late.code == 1 && late.errors.contains("a.mkv ends at"), "\(late.errors)")
    let foreign = try runSameSize("a.mkv", "out.wmv")
    #expect(foreign.code == 1 && foreign.errors.contains("--codec wmv2"), "\(foreign.errors)")
  }
}
