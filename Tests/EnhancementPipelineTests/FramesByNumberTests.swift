// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import TestSupport
import Testing
import VideoIO

@testable import EnhancementPipeline

/// Frames made in any order equal those of a job.
@Suite struct FramesByNumberTests {
  /// Scenes with random patterns and lengths, a little noise, flashes and fades.
  private static func pictures(
    _ count: Int, scenes lengths: ClosedRange<Int>, using random: inout SplitMix64
  ) -> [PlanarFrame] {
    var left = 0
    var pattern: [UInt8] = []
    return (0..<count).map { _ in
      if left == 0 {
        left = Int.random(in: lengths, using: &random)
        pattern = (0..<64).map { _ in UInt8.random(in: 20...220, using: &random) }
      }
      left -= 1
      let light = Int.random(in: 0..<12, using: &random) == 0 ? Int.random(in: -40...40, using: &random) : 0
      let frame = PlanarFrame(width: 32, height: 32)
      for y in 0..<32 {
        for x in 0..<32 {
          let level = Int(pattern[y / 4 * 8 + x / 4]) + light + Int.random(in: -3...3, using: &random)
          frame.luma[y * 32 + x] = UInt8(clamping: level)
        }
      }
      for plane in frame.chroma { plane.update(repeating: 128, count: 256) }
      return frame
    }
  }

  private static func detected(_ frames: [PlanarFrame]) -> [Bool] {
    var detector = SceneCutDetector()
    return frames.compactMap { detector.push($0) } + detector.finish()
  }

  @Test(arguments: [1...3, 2...6, 1...12, 5...30]) func cutsAreThoseOfTheDetector(lengths: ClosedRange<Int>) {
    var random = SplitMix64(seed: UInt64(lengths.upperBound))
    var cutCount = 0
    for count in [1, 2, 5, 6, 60, 200] {
      let frames = Self.pictures(count, scenes: lengths, using: &random)
      let expected = Self.detected(frames)
      cutCount += expected.count { $0 }
      for _ in 0..<3 {
        var table = SceneCutTable(frameCount: count)
        for place in (0..<count).shuffled(using: &random) {
          var found: Bool?
          while found == nil {
            var missing: Set<Int> = []
            found = table.startsScene(place, missing: &missing)
            #expect(found != nil || !missing.isEmpty)
            for number in missing { table.add(frames[number], number: number) }
          }
          #expect(found == expected[place], "frame \(place) of \(count)")
        }
      }
    }
    #expect(cutCount > 4, "\(cutCount) cuts")
  }

  /// Without candidates for a cut, only adjacent frames are required.
  @Test func asksForFewFrames() {
    var random = SplitMix64(seed: 1)
    let frames = Self.pictures(100, scenes: 100...100, using: &random)
    var table = SceneCutTable(frameCount: 100)
    var missing: Set<Int> = []
    #expect(table.startsScene(50, missing: &missing) == nil)
    #expect(missing == Set(49...54))
    for number in missing { table.add(frames[number], number: number) }
    missing = []
    #expect(table.startsScene(50, missing: &missing) != nil && missing.isEmpty)
  }

  @Test(arguments: [1, 3, 5, 7], [false, true])
  func framesAreThoseOfAJob(window: Int, isSmoothed: Bool) async throws {
    let bench = try Workbench()
    let path = try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=25 -f lavfi -i mandelbrot=size=64x48:rate=25 -filter_complex "
        + "[0]trim=end_frame=7,setsar=1,format=yuv420p[a];[1]trim=end_frame=5,setsar=1,format=yuv420p[b];"
        + "[a][b]concat=n=2 -c:v ffv1", "in.mkv")
    let step = EnhancementStep { width, height, _ in
      MixingNetwork(width: width, height: height, window: window, isConditioned: isSmoothed)
    }
    var expected: [VideoFrame] = []
    for try await frame in EnhancedFrames(of: path, steps: [step]) { expected.append(frame) }
    var plain = step
    plain.smooths = false
    var changes = 0
    for try await frame in EnhancedFrames(of: path, steps: [plain]) {
      let smoothed = try #require(expected.first { $0.presentationTimestamp == frame.presentationTimestamp })
      if samples(frame, 0) != samples(smoothed, 0) { changes += 1 }
    }
    #expect(isSmoothed ? 2 * changes > expected.count : changes == 0)
    let sources = try readFrames(path)
    let frames = FramesByNumber(
      MixingNetwork(width: 64, height: 48, window: window, isConditioned: isSmoothed),
      sourceCount: sources.count, threads: 2)
    #expect(frames.count == expected.count)
    var random = SplitMix64(seed: 9)
    for number in (0..<frames.count).shuffled(using: &random) {
      var there = Set(frames.sources(of: number))
      var made: VideoFrame?
      while made == nil {
        let outcome = try frames.make(number, given: { _ in WindowConditions() }, known: { _ in nil }) {
          there.contains($0) ? sources[$0] : nil
        }
        switch outcome {
        case .lacks(let places):
          #expect(there.isDisjoint(with: places) && window > 1)
          there.formUnion(places)
        case .made(let frame, let starts, let ends):
          made = frame
          #expect(starts == (window > 1 ? number == 7 : nil) && ends == (window > 1 ? number == 6 : nil))
        }
      }
      for plane in 0..<3 { #expect(try samples(#require(made), plane) == samples(expected[number], plane)) }
    }
  }
}

/// A network whose result depends, for each sample, on that position in all frames of the window, and on
/// their order.
private final class MixingNetwork: WindowNetwork {
  let architecture: Architecture

  init(width: Int, height: Int, window: Int, isConditioned: Bool) {
    var architecture = BicubicNetwork(width: width, height: height, window: window).architecture
    architecture.isConditioned = isConditioned
    self.architecture = architecture
  }

  func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) -> Prediction {
    let (width, height) = (window[0].gridWidth, window[0].gridHeight)
    let residual = Residual(gridWidth: width, gridHeight: height, channels: architecture.outputChannels)
    for point in 0..<width * height {
      let sum = window.enumerated().reduce(0) { $0 + ($1.offset + 1) * Int($1.element.luma[point]) }
      for channel in 0..<residual.channels {
        residual.values[point * residual.channels + channel] = Int16((sum + channel) % 256 - 128)
      }
    }
    return Prediction(residual: residual)
  }
}
