// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
package import VideoIO

/// Everything that determines the output of a job. Unfinished work is resumed only by a job of equal
/// identity.
///
/// The number of threads and the permission to replace an output are excluded. `ResumeIdentityTests` checks
/// that no property of `EnhancementJob.Options`, `EnhancementStep` and `EncoderSettings` is missing.
package struct ResumeIdentity: Codable, Hashable, Sendable {
  /// Content of the source.
  package struct Source: Codable, Hashable, Sendable {
    package var bytes: Int
    package var digest: String
  }

  /// Identity of a step.
  package struct Step: Codable, Hashable, Sendable {
    package var network: String
    package var bits: Int?
    package var noise: Float?
    /// nil for 1.
    package var strength: Float?
    package var sharpness: Float?
    /// false if it is turned off, else nil.
    package var smoothing: Bool?
    package var rate: InterpolationRate
    package var size: String?
  }

  /// Versions of the program and of FFmpeg.
  package var program, ffmpeg: String
  package var source: Source
  package var steps: [Step]
  package var findsSceneCuts, allowsPlaylists, ignoresDolbyVision: Bool
  package var start, length: String?
  package var stream: Int?
  package var deinterlacing: Deinterlacing?
  package var encoder: EncoderSettings

  init(_ job: EnhancementJob, source: SourceFingerprint, program: String) {
    self.program = program
    ffmpeg = LibavBuild.version
    self.source = Source(bytes: source.size, digest: source.digest)
    steps = job.steps.map {
      Step(
        network: $0.identity, bits: $0.bits, noise: $0.conditions.noiseLevel,
        strength: $0.conditions.strength == 1 ? nil : $0.conditions.strength,
        sharpness: $0.conditions.sharpness, smoothing: $0.smooths ? nil : false, rate: $0.rate,
        size: $0.goal.map { "\($0)" })
    }
    let options = job.options
    findsSceneCuts = options.findsSceneCuts
    allowsPlaylists = options.allowsPlaylists
    ignoresDolbyVision = options.ignoresDolbyVision
    start = options.start.map { "\($0)" }
    length = options.length.map { "\($0)" }
    stream = options.stream
    deinterlacing = options.deinterlacing
    encoder = job.encoder
    // The folder keeps the number of threads: work is resumed with the original one.
    encoder.threads = 0
  }
}
