// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The list of a job's finished segments and the settings it depends on, stored as JSON.
///
/// It contains no file names: segment files are named by number, so a manifest cannot refer to other files.
struct SegmentManifest: Codable, Sendable, Equatable {
  /// A range of output frames that is encoded and on disk.
  struct Segment: Codable, Sendable, Equatable {
    /// Number of frames; only the last segment of a video has fewer than the others.
    var frames: Int
    /// Length of its file in bytes.
    var bytes: Int
    /// SHA-256 of its file.
    var sha256: String
    /// The `origins` passed to `VideoWriter.write` with its last frame.
    var origins: [Int]
  }

  static let currentVersion = 2
  /// Limit far above what any video needs.
  static let mostSegments = 10_000_000
  static let mostFrames = 1_000_000

  /// Version of the format.
  var version = currentVersion
  /// Frames in each segment.
  var segmentFrames: Int
  /// Number of encoder threads, which may affect the result.
  var encoderThreads: Int
  /// What the result depends on.
  var identity: WorkIdentity
  /// In presentation order.
  var segments: [Segment] = []

  init(segmentFrames: Int, encoderThreads: Int, identity: WorkIdentity) {
    self.segmentFrames = segmentFrames
    self.encoderThreads = encoderThreads
    self.identity = identity
  }

  /// Total number of frames.
  var frameCount: Int { segments.reduce(0) { $0 + $1.frames } }

  var json: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return [UInt8]((try? encoder.encode(self)) ?? Data())
  }

  /// Parses and validates a manifest; nil if it is invalid or of another version.
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
