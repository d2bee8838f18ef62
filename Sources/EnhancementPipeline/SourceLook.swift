// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
package import VideoIO

/// Properties of a source, estimated from a few frames: interlacing, noise, quality and size.
package struct SourceLook: Sendable, Equatable {
  /// Size as stored, and as shown by players.
  package var width, height, shownWidth, shownHeight: Int
  /// Survey that selects the networks for super-resolution.
  package var survey: SourceSurvey
  /// Noise in 8-bit levels, the median of the places sampled.
  package var noise: Float
  /// Whether frames are flagged as interlaced.
  package var isFlaggedInterlaced: Bool
  /// Whether frames flagged as progressive have the combs of two fields.
  package var isCombed: Bool
}

extension SourceLook {
  /// Number of successive frames sampled at each place.
  private static let run = 6

  /// Samples three places of a file, or only its beginning if its length is unknown.
  /// - Parameter options: the part to sample, and how it is read.
  /// - Throws: `VideoIOError` if no frame can be decoded.
  package init(path: String, options: EnhancementJob.Options, threads: Int) throws(VideoIOError) {
    var reading = options.reading(rescues: true)
    survey = try SourceSurvey(path: path, options: reading, threads: threads)
    let info = try VideoReader(path: path, threads: threads, options: reading).info
    (width, height) = (info.width, info.height)
    (shownWidth, shownHeight) = info.shownSize(width: info.width, height: info.height)
    let duration = info.duration ?? 0
    var levels: [Float] = []
    var (pairs, combed) = (0, 0)
    isFlaggedInterlaced = false
    for place in duration > 6 ? [0.1, 0.45, 0.8] : [0] {
      if place > 0 {
        let lead = Duration.microseconds(Int64(place * duration * 1e6))
        reading.start = (options.start ?? .zero) + lead
        reading.length = options.length.map { max(.milliseconds(1), $0 - lead) }
      }
      guard var reader = try? VideoReader(path: path, threads: threads, options: reading) else { continue }
      var window: [PlanarFrame] = []
      while window.count < Self.run, let item = try? reader.next() {
        guard case .frame(let frame) = item else { continue }
        if frame.isInterlaced { isFlaggedInterlaced = true }
        let picture = PlanarFrame(frame)
        if let before = window.last {
          pairs += 1
          if CombedBlocks.isCombed(picture, after: before) { combed += 1 }
        }
        window.append(picture)
      }
      if !window.isEmpty { levels.append(NoiseLevel.estimate(window: window)) }
    }
    noise = levels.isEmpty ? 0 : levels.sorted()[levels.count / 2]
    isCombed = pairs > 0 && combed * 4 >= pairs
  }
}

/// Detects the combs that motion leaves in interlaced frames: adjacent rows differ more than rows of the same
/// field, which are further apart. In progressive pictures it is the reverse, and in noise neither. Stricter
/// than `CombDetector`, whose result is only a warning: it misses telecined film and fields that were
/// low-pass filtered, but raises no alarm on fast repeating patterns.
enum CombedBlocks {
  private static let side = 16
  /// Margin by which differences of adjacent rows exceed those within a field: a factor in tenths, and levels
  /// per sample.
  private static let (tenths, excess) = (14, 2)
  /// Least difference of a block from the previous frame in levels per sample: static fine lines are not
  /// combs.
  private static let motion = 4

  /// Returns whether two blocks, and one in a hundred, have combs; false if the frames differ in size.
  static func isCombed(_ frame: PlanarFrame, after before: PlanarFrame) -> Bool {
    let (width, height) = (frame.width, frame.height)
    guard before.width == width, before.height == height else { return false }
    var (blocks, combed) = (0, 0)
    for top in stride(from: 0, through: height - side - 2, by: side) {
      for left in stride(from: 0, through: width - side, by: side) {
        blocks += 1
        if isCombed(frame.luma + top * width + left, before.luma + top * width + left, width) { combed += 1 }
      }
    }
    return combed >= 2 && combed * 100 >= blocks
  }

  private static func isCombed(_ luma: UnsafePointer<UInt8>, _ before: UnsafePointer<UInt8>, _ width: Int)
    -> Bool
  {
    var (near, far, moved) = (0, 0, 0)
    for y in 0..<side {
      for at in y * width..<y * width + side {
        let sample = Int(luma[at])
        near += abs(sample - Int(luma[at + width]))
        far += abs(sample - Int(luma[at + 2 * width]))
        moved += abs(sample - Int(before[at]))
      }
    }
    let samples = side * side
    return 10 * (near - excess * samples) > tenths * far && moved > motion * samples
  }
}
