// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import EnhancementPipeline
@testable import VideoIO

@Suite struct OutputCheckTests {
  /// Returns a gray frame with samples `level(x, y)`.
  private static func frame(_ width: Int, _ height: Int, _ level: (Int, Int) -> Int) throws -> VideoFrame {
    try VideoFrame.make(width: width, height: height, format: .gray8) { _, bytes, bytesPerRow in
      for y in 0..<height {
        for x in 0..<width { bytes[y * bytesPerRow + x] = UInt8(max(0, min(255, level(x, y)))) }
      }
    }
  }

  private static func ramp(_ x: Int, _ y: Int) -> Int { 40 + x + y / 2 }

  @Test(arguments: [1, 2, 4]) func goodFramesPass(scale: Int) throws {
    var check = OutputCheck(path: "in", scale: scale)
    let source = try Self.frame(96, 64, Self.ramp)
    let output = try Self.frame(96 * scale, 64 * scale) { x, y in Self.ramp(x / scale, y / scale) + (x & 1) }
    try check.check(output, sources: [source], frame: 0)
    #expect(check.repeatedCount == 0)
  }

  @Test(arguments: [0, 16, 128]) func flatFramesFail(level: Int) throws {
    var check = OutputCheck(path: "in", scale: 1)
    let source = try Self.frame(96, 64, Self.ramp)
    let flat = try Self.frame(96, 64) { _, _ in level }
    #expect(throws: PipelineError.self) { try check.check(flat, sources: [source], frame: 3) }
  }

  @Test func shiftedFramesFail() throws {
    var check = OutputCheck(path: "in", scale: 1)
    let source = try Self.frame(96, 64, Self.ramp)
    let bright = try Self.frame(96, 64) { x, y in Self.ramp(x, y) + 60 }
    #expect(throws: PipelineError.self) { try check.check(bright, sources: [source], frame: 0) }
  }

  /// Denoising a flat scene, such as a black leader, is accepted.
  @Test(arguments: [20, 128]) func removedNoisePasses(level: Int) throws {
    var check = OutputCheck(path: "in", scale: 1)
    var state: UInt64 = 1
    let source = try Self.frame(320, 240) { _, _ in
      var sum = 0
      for _ in 0..<4 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        sum += Int(state >> 58)
      }
      // Roughly Gaussian with a deviation of 37 levels.
      return level + sum - 126
    }
    // The mean after clipping to 0...255.
    let mean = try source.withPlane(0) { bytes, _ throws -> Int in
      bytes.reduce(0) { $0 + Int($1) } / bytes.count
    }
    let flat = try Self.frame(320, 240) { _, _ in mean }
    try check.check(flat, sources: [source], frame: 0)
  }

  /// In a flash, the frame between a dark and a bright one may have any level between theirs.
  @Test(arguments: [0, 60, 120, 160]) func framesBetweenTwoLevelsPass(level: Int) throws {
    var check = OutputCheck(path: "in", scale: 1)
    let dark = try Self.frame(96, 64) { x, _ in 10 + x / 4 }
    let bright = try Self.frame(96, 64) { x, _ in 180 + x / 4 }
    let made = try Self.frame(96, 64) { x, _ in 10 + level + x / 4 }
    try check.check(made, sources: [dark, bright], frame: 0)
  }

  @Test func framesOutsideTwoLevelsFail() throws {
    var check = OutputCheck(path: "in", scale: 1)
    let dark = try Self.frame(96, 64) { x, _ in 10 + x / 4 }
    let bright = try Self.frame(96, 64) { x, _ in 120 + x / 4 }
    let made = try Self.frame(96, 64) { x, _ in 200 + x / 4 }
    #expect(throws: PipelineError.self) { try check.check(made, sources: [dark, bright], frame: 0) }
  }

  @Test func repeatedFramesAreCounted() throws {
    var check = OutputCheck(path: "in", scale: 1)
    let first = try Self.frame(96, 64, Self.ramp)
    let second = try Self.frame(96, 64) { x, y in Self.ramp(x + 7, y) }
    try check.check(first, sources: [first], frame: 0)
    try check.check(first, sources: [second], frame: 1)
    #expect(check.repeatedCount == 1)
    // A repetition that is in the source does not count.
    try check.check(first, sources: [second], frame: 2)
    #expect(check.repeatedCount == 1)
  }
}
