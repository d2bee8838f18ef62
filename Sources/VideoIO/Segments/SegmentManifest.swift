// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The list of a job's finished segments, and what the job depends on. Kept as JSON.
///
/// It names no files: segments are called by their numbers, so that a manifest cannot lead anywhere else.
struct SegmentManifest: Codable, Sendable, Equatable {
  /// A run of output frames that is encoded and on the disk.
  struct Segment: Codable, Sendable, Equatable {
    /// Frames in it; only the last one of a video has fewer than the others.
    var frames: Int
    /// Length of its file.
    var bytes: Int
    /// SHA-256 of its file.
    var sha256: String
    /// What `VideoWriter.write` was told with its last frame.
    var origins: [Int]
  }

  static let currentVersion = 1
  /// Far above what any video needs.
  static let mostSegments = 10_000_000
  static let mostFrames = 1_000_000

  /// Of this format.
  var version = currentVersion
  /// Frames in each segment.
  var segmentFrames: Int
  /// Threads of the encoder, on which its result may depend.
  var encoderThreads: Int
  /// What the result depends on, in words by name.
  var settings: [String: String]
  /// In the order of the video.
  var segments: [Segment] = []

  init(segmentFrames: Int, encoderThreads: Int, settings: [String: String]) {
    self.segmentFrames = segmentFrames
    self.encoderThreads = encoderThreads
    self.settings = settings
  }

  /// Frames in all segments together.
  var frameCount: Int { segments.reduce(0) { $0 + $1.frames } }

  var json: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return [UInt8]((try? encoder.encode(self)) ?? Data())
  }

  /// Reads a manifest, every number checked; nil if it is none of this version.
  init?(json: [UInt8]) {
    guard let manifest = try? JSONDecoder().decode(Self.self, from: Data(json)), manifest.isSound else {
      return nil
    }
    self = manifest
  }

  private var isSound: Bool {
    guard version == Self.currentVersion, (1...Self.mostFrames).contains(segmentFrames),
      (0...1024).contains(encoderThreads), segments.count <= Self.mostSegments
    else { return false }
    let places = segments.first?.origins.count ?? 0
    var last = [Int](repeating: 0, count: places)
    for (index, segment) in segments.enumerated() {
      let isLast = index == segments.count - 1
      guard segment.frames > 0, isLast ? segment.frames <= segmentFrames : segment.frames == segmentFrames,
        segment.bytes > 0, segment.sha256.count == 64, segment.origins.count == places,
        zip(segment.origins, last).allSatisfy({ $0 >= $1 && $0 < 1 << 48 })
      else { return false }
      last = segment.origins
    }
    return true
  }
}
