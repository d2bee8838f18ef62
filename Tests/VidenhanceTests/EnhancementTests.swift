// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing
import Videnhance

/// The library as used by another package: only public names.
@Suite struct EnhancementTests {
  private static let models = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Sources/EnhancementModel/Resources")

  private func luma(_ picture: VideoPicture) throws -> [UInt8] {
    var result: [UInt8] = []
    try picture.forEachRow(ofPlane: 0, samples: UInt8.self) { _, samples in
      for x in samples.indices { result.append(samples[x]) }
    }
    return result
  }

  private func slope(width: Int = 16, height: Int = 16, at tick: Int64) throws -> VideoPicture {
    try VideoPicture(
      width: width, height: height, layout: .yuv420p, time: MediaTime(value: tick, timescale: 25),
      samples: UInt8.self
    ) { plane, row, samples in
      for x in samples.indices { samples[x] = plane == 0 ? UInt8(16 + 5 * x + 3 * row + Int(tick)) : 128 }
    }
  }

  private func stream(_ pictures: [VideoPicture]) -> AsyncStream<VideoPicture> {
    AsyncStream { continuation in
      for picture in pictures { continuation.yield(picture) }
      continuation.finish()
    }
  }

  private func collect(_ pictures: Enhancement.Pictures) async throws -> [VideoPicture] {
    var result: [VideoPicture] = []
    for try await picture in pictures { result.append(picture) }
    return result
  }

  /// Returns the package's error thrown by `body`; nil if it throws none.
  private func failure(_ body: () async throws -> Void) async -> (any VidenhanceError)? {
    do {
      try await body()
      return nil
    } catch {
      return error as? any VidenhanceError
    }
  }

  // MARK: - Times

  @Test func picturesCarryTheirTime() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg("-f lavfi -i testsrc2=size=32x32:rate=25:duration=0.2 -c:v ffv1", "in.mkv")
    let pictures = try await collect(try Enhancement([.interpolation()]).pictures(of: input))
    let milliseconds = pictures.map { Int(($0.time.seconds * 1000).rounded()) }
    #expect(milliseconds == Array(stride(from: 0, to: 200, by: 20)))
  }

  /// A network changes the frames between those of the source.
  @Test func interpolationByMotionOrNetwork() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=25:duration=0.16 -vf noise=alls=20:allf=t -c:v ffv1", "in.mkv")
    func frames(_ step: Enhancement.Step) async throws -> [[UInt8]] {
      try await collect(try Enhancement([step]).pictures(of: input)).map { try luma($0) }
    }
    let motion = try await frames(.interpolation())
    let network = try await frames(.interpolation(method: .network))
    #expect(motion.count == 8 && network.count == 8)
    let equal = motion.indices.filter { motion[$0] == network[$0] }
    #expect(equal == [0, 2, 4, 6, 7])
  }

  /// A still picture with noise: smoothing brings its frames closer together.
  @Test func smoothingCanBeTurnedOff() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg(
      "-f lavfi -i color=gray:size=64x48:rate=25:duration=0.2 -vf noise=alls=30:allf=t -c:v ffv1", "in.mkv")
    func flicker(_ step: Enhancement.Step) async throws -> Int {
      let frames = try await collect(try Enhancement([step]).pictures(of: input)).map { try luma($0) }
      #expect(frames.count == 5)
      return zip(frames, frames.dropFirst()).reduce(0) { sum, pair in
        zip(pair.0, pair.1).reduce(sum) { $0 + abs(Int($1.0) - Int($1.1)) }
      }
    }
    let (smooth, usual, plain) = (
      try await flicker(.denoising(level: 15).smoothing(true)), try await flicker(.denoising(level: 15)),
      try await flicker(.denoising(level: 15).smoothing(false))
    )
    #expect(smooth == usual && 4 * usual < 3 * plain)
  }

  @Test func timesCompareExactly() throws {
    let third = try MediaTime(value: 1, timescale: 3)
    #expect(try third == MediaTime(value: 333, timescale: 999))
    #expect(try third > MediaTime(value: 333_333_333, timescale: 1_000_000_000))
    #expect(try MediaTime(value: .max, timescale: 2) > MediaTime(value: .max - 1, timescale: 2))
    #expect(try MediaTime(value: .min, timescale: .max) < third)
    #expect(throws: UsageError.timescale(0)) { try MediaTime(value: 1, timescale: 0) }
  }

  // MARK: - Pictures supplied by the caller

  /// Two successive enhancements, with pictures passed on by the caller, equal one with both steps.
  @Test func ownPicturesAreEnhancedLikeThoseOfAFile() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg("-f lavfi -i testsrc2=size=48x32:rate=25:duration=0.2 -c:v ffv1", "in.mkv")
    let (denoising, upscaling) = (
      try Enhancement.Step.denoising(level: 5), Enhancement.Step.superResolution(.x2Fast, source: .clean)
    )
    let both = try await collect(Enhancement([denoising, upscaling]).pictures(of: input))
    let denoised = try Enhancement([denoising]).pictures(of: input)
    let upscaled = try await collect(Enhancement([upscaling]).pictures(from: denoised))
    #expect(both.count == 5 && upscaled.count == 5)
    for (expected, picture) in zip(both, upscaled) {
      #expect(try luma(expected) == luma(picture))
      #expect(expected.time == picture.time)
      #expect(picture.width == 96 && picture.height == 64)
    }
  }

  @Test func unequalOrUnorderedPicturesAreRefused() async throws {
    let enhancement = try Enhancement([.superResolution(.x2Fast)])
    let unequal = try stream([slope(at: 0), slope(width: 32, at: 1)])
    await #expect(throws: UsageError.pictureChanges(from: "16x16 yuv420p", to: "32x16 yuv420p")) {
      try await collect(enhancement.pictures(from: unequal))
    }
    let unordered = try stream([slope(at: 1), slope(at: 1)])
    await #expect(throws: UsageError.timesNotIncreasing(time: "1/25 s")) {
      try await collect(enhancement.pictures(from: unordered))
    }
    let error = await failure { _ = try await collect(enhancement.pictures(from: stream([]))) }
    #expect(error?.description == "no frames in the supplied sequence")
  }

  // MARK: - Files

  @Test func filesAreNamedByPathOrURL() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=32x32:rate=25:duration=0.08 -c:v ffv1", "a b%20#ä.mkv")
    let enhancement = try Enhancement([.superResolution(.x2Fast)])
    var encoding = Enhancement.Encoding()
    encoding.codec = "ffv1"
    let output = bench.directory.appendingPathComponent("out %41.mkv")
    let summary = try await enhancement.run(URL(fileURLWithPath: input), to: output, encoding: encoding)
    #expect(summary.frames == 2 && summary.width == 64 && summary.encoder == "ffv1")
    let pictures = try await collect(enhancement.pictures(of: URL(fileURLWithPath: input)))
    let written = try await collect(enhancement.pictures(of: input))
    #expect(try pictures.map(luma) == written.map(luma))
    #expect(bench.contents.contains("out %41.mkv"))
  }

  @Test func warningsAndLossesAreValues() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=33x32:rate=25:duration=0.08:alpha=128,format=rgba -f lavfi -i sine=duration=0.08 "
        + "-c:v ffv1 -c:a libopus", "in.mkv")
    var encoding = Enhancement.Encoding()
    encoding.codec = "mpeg4"
    let summary = try await Enhancement([.superResolution(.x2Fast)]).run(
      input, to: bench.path("out.mov"), encoding: encoding)
    #expect(summary.warnings.contains { $0.kind == .transparency }, "\(summary.warnings)")
    #expect(summary.warnings.contains { $0.kind == .layout }, "\(summary.warnings)")
    #expect(summary.warnings.contains { $0.kind == .stream(1) }, "\(summary.warnings)")
    for remark in summary.warnings + summary.leftOut {
      #expect(!remark.description.isEmpty && !remark.description.contains("--"), "\(remark)")
    }
  }

  @Test func interruptedWorkIsResumedWithoutAVersion() async throws {
    let bench = try Workbench()
    let input = try bench.ffmpeg("-f lavfi -i testsrc2=size=32x32:rate=25:duration=0.4 -c:v ffv1", "in.mkv")
    var encoding = Enhancement.Encoding()
    encoding.codec = "ffv1"
    encoding.resumes = true
    let summary = try await Enhancement([.superResolution(.x2Fast)]).run(
      input, to: bench.path("out.mkv"), encoding: encoding)
    #expect(summary.frames == 10)
    #expect(bench.contents == ["in.mkv", "out.mkv"])
  }

  // MARK: - Networks

  @Test func everyUpscalingNetworkExistsAtAllBits() async throws {
    let picture = try slope(at: 0)
    for network in UpscalingNetwork.allCases {
      for bits in NetworkBits.allCases {
        let enhancement = try Enhancement([.superResolution(network, bits: bits)])
        let pictures = try await collect(enhancement.pictures(from: stream([picture])))
        #expect(pictures.map(\.width) == [network == .x4 ? 64 : 32], "\(network) \(bits)")
      }
    }
  }

  @Test func modelFileContainsItsTask() async throws {
    let pictures = try [slope(at: 0), slope(at: 2)]
    for (name, count, width) in [
      ("denoise-balanced-4bit", 2, 16), ("interp-balanced-4bit", 4, 16), ("sr-x4-balanced-4bit", 2, 64),
      ("sr-x2-fast", 2, 32),
    ] {
      let file = Self.models.appendingPathComponent(name + ".safetensors")
      for step in [try Enhancement.Step.model(file), try .model(file.path)] {
        let made = try await collect(Enhancement([step]).pictures(from: stream(pictures)))
        #expect(made.count == count && made.allSatisfy { $0.width == width }, "\(name)")
      }
    }
    let error = await failure { _ = try Enhancement.Step.model("/no/model") }
    #expect(error?.description.contains("/no/model") == true)
  }

  @Test func modelsAreTakenFromTheCallersFolder() async throws {
    let bench = try Workbench()
    var options = Enhancement.Options()
    options.models = .folder(bench.directory)
    let enhancement = try Enhancement([.superResolution(.x2)], options: options)
    let picture = try slope(at: 0)
    let error = await failure { _ = try await collect(enhancement.pictures(from: stream([picture]))) }
    let name = "sr-x2-balanced-4bit.safetensors"
    #expect(error?.description.contains(bench.path(name)) == true, "\(String(describing: error))")
    try FileManager.default.copyItem(
      atPath: Self.models.appendingPathComponent(name).path, toPath: bench.path(name))
    #expect(try await collect(enhancement.pictures(from: stream([picture]))).count == 1)
  }

  // MARK: - Invalid calls

  @Test func emptyListOfStepsIsAnError() {
    #expect(throws: UsageError.noSteps) { try Enhancement([]) }
  }

  @Test func impossibleNumbersAreErrors() {
    #expect(throws: UsageError.interpolationFactor(1)) { try FrameRateChange.factor(1) }
    #expect(throws: UsageError.frameRate(numerator: 25, denominator: 0)) {
      try FrameRateChange.framesPerSecond(25, over: 0)
    }
    #expect(throws: UsageError.noiseLevel(64)) { try Enhancement.Step.denoising(level: 64) }
    #expect(throws: UsageError.self) { try Enhancement.Step.denoising(level: .nan) }
    #expect(throws: UsageError.strength(2.5)) { try Enhancement.Step.denoising(strength: 2.5) }
    #expect(throws: UsageError.self) { try Enhancement.Step.denoising(strength: .nan) }
  }
}
