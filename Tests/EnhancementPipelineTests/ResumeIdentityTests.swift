// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Foundation
import Testing
import VideoIO

@testable import EnhancementPipeline

/// Unfinished work is resumed only by a job with the same output.
@Suite struct ResumeIdentityTests {
  private typealias Options = EnhancementJob.Options
  private static let step = EnhancementStep { width, height, _ in BicubicNetwork(width: width, height: height)
  }

  private func identity(
    _ options: EnhancementJob.Options = Options(threads: 1), _ encoder: EncoderSettings = EncoderSettings(),
    _ step: EnhancementStep = step
  ) throws -> WorkIdentity {
    let job = EnhancementJob(input: "in", output: "out", encoder: encoder, options: options, steps: [step])
    return WorkIdentity(
      ResumeIdentity(job, source: try SourceFingerprint(path: #filePath), program: "1.2.3"))
  }

  /// Changes each property of `value` and expects another identity, unless the property is listed as
  /// irrelevant. A property without a change here fails the test.
  private func expectAll<Value>(
    of value: Value, changes: [String: (inout Value) -> Void], irrelevant: Set<String>,
    identity: (Value) throws -> WorkIdentity
  ) throws {
    #expect(Set(Mirror(reflecting: value).children.compactMap(\.label)) == Set(changes.keys))
    let before = try identity(value)
    #expect(try identity(value) == before)
    for (name, change) in changes {
      var changed = value
      change(&changed)
      let differences = try identity(changed).differences(from: before)
      #expect(differences.isEmpty == irrelevant.contains(name), "\(name): \(differences)")
    }
  }

  @Test func everyOptionOfAJobCounts() throws {
    try expectAll(
      of: Options(threads: 1),
      changes: [
        "threads": { $0.threads = 7 }, "overwrites": { $0.overwrites = true },
        "findsSceneCuts": { $0.findsSceneCuts = false }, "segments": { $0.segments = .init(resumes: true) },
        "start": { $0.start = .milliseconds(1) }, "length": { $0.length = .seconds(3) },
        "stream": { $0.stream = 0 }, "allowsPlaylists": { $0.allowsPlaylists = true },
        "ignoresDolbyVision": { $0.ignoresDolbyVision = true },
        "deinterlacing": { $0.deinterlacing = .fields },
        "profile": { $0.profile = WorkProfile() }, "onNotice": { $0.onNotice = { _ in } },
      ], irrelevant: ["threads", "overwrites", "segments", "profile", "onNotice"]
    ) { try identity($0) }
  }

  /// The encoder's thread count is stored beside the identity: work is resumed with the original one.
  @Test func everySettingOfTheEncoderCounts() throws {
    try expectAll(
      of: EncoderSettings(),
      changes: [
        "codec": { $0.codec = "libx265" }, "crf": { $0.crf = 16 }, "preset": { $0.preset = "medium" },
        "options": { $0.options = ["tune": "film"] },
        "containerOptions": { $0.containerOptions = ["movflags": "faststart"] },
        "container": { $0.container = "mp4" }, "pixelFormat": { $0.pixelFormat = "yuv420p" },
        "threads": { $0.threads = 3 }, "convertsAudio": { $0.convertsAudio = false },
        "convertsSubtitles": { $0.convertsSubtitles = false },
      ], irrelevant: ["threads"]
    ) { try identity(Options(threads: 1), $0) }
  }

  /// The network of a step is identified by its text.
  @Test func everyPropertyOfAStepCounts() throws {
    try expectAll(
      of: Self.step,
      changes: [
        "network": { $0.network = { BicubicNetwork(width: $0, height: $1 + $2) } },
        "rate": { $0.rate = .factor(3) }, "conditions": { $0.conditions = WindowConditions(noiseLevel: 4) },
        "identity": { $0.identity = "another" }, "bits": { $0.bits = 8 },
        "adapted": { $0.adapted = { _ in Self.step } }, "restores": { $0.restores = true },
        "scale": { $0.scale = 4 }, "goal": { $0.goal = .height(720) },
        "sizedNetwork": { $0.sizedNetwork = { _ in Self.step.network } },
        "takesQuantizer": { $0.takesQuantizer = true }, "smooths": { $0.smooths = false },
      ], irrelevant: ["network", "adapted", "restores", "scale", "sizedNetwork", "takesQuantizer"]
    ) { try identity(Options(threads: 1), EncoderSettings(), $0) }
  }

  @Test func strengthCountsUnlessItIsTheUsualOne() throws {
    var (step, other) = (Self.step, Self.step)
    step.conditions = WindowConditions(noiseLevel: 4)
    other.conditions = WindowConditions(noiseLevel: 4, strength: 0.5)
    let usual = try identity(Options(threads: 1), EncoderSettings(), step)
    let weaker = try identity(Options(threads: 1), EncoderSettings(), other)
    #expect(
      weaker.differences(from: usual).map(\.description) == ["steps 1 strength was the default, is 0.5"])
  }

  @Test func sharpnessCounts() throws {
    var other = Self.step
    other.conditions.sharpness = 0.5
    let usual = try identity(Options(threads: 1), EncoderSettings(), Self.step)
    let sharper = try identity(Options(threads: 1), EncoderSettings(), other)
    #expect(
      sharper.differences(from: usual).map(\.description) == ["steps 1 sharpness was the default, is 0.5"])
  }

  @Test func differencesAreNamedInWords() throws {
    var (options, encoder, step) = (Options(threads: 1), EncoderSettings(crf: 16), Self.step)
    step.bits = 4
    let before = try identity(options, encoder, step)
    options.findsSceneCuts = false
    encoder.crf = 30.5
    encoder.preset = "slow"
    step.bits = 8
    let differences = try identity(options, encoder, step).differences(from: before)
    #expect(
      differences.map(\.description) == [
        "encoder crf was 16, is 30.5", "encoder preset was the default, is slow",
        "finds scene cuts was true, is false", "steps 1 bits was 4, is 8",
      ])
    #expect(differences.last?.text(name: "--bits") == "--bits was 4, is 8")
    let read = try JSONDecoder().decode(WorkIdentity.self, from: JSONEncoder().encode(before))
    #expect(read == before)
  }
}
