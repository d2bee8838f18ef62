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
    let ratio = info.sampleAspectRatio.isPositive ? info.sampleAspectRatio.doubleValue : 1
    let across = Int(min((Double(info.width) * ratio).rounded(), 1e6))
    let isTurned = Int((info.rotation / 90).rounded()) % 2 != 0
    (shownWidth, shownHeight) = isTurned ? (info.height, across) : (across, info.height)
    let duration = info.duration ?? 0
    var levels: [Float] = []
    var combs = CombDetector()
    isFlaggedInterlaced = false
    for place in duration > 6 ? [0.1, 0.45, 0.8] : [0] {
      if place > 0 {
        let lead = Duration.microseconds(Int64(place * duration * 1e6))
        reading.start = (options.start ?? .zero) + lead
        reading.length = options.length.map { max(.milliseconds(1), $0 - lead) }
      }
      guard var reader = try? VideoReader(path: path, threads: threads, options: reading) else { continue }
      var window: [PlanarFrame] = []
      var before: VideoFrame?
      while window.count < Self.run, let item = try? reader.next() {
        guard case .frame(let frame) = item else { continue }
        if frame.isInterlaced { isFlaggedInterlaced = true }
        if let before { combs.compare(before, frame) }
        before = frame
        window.append(PlanarFrame(frame))
      }
      if !window.isEmpty { levels.append(NoiseLevel.estimate(window: window)) }
    }
    noise = levels.isEmpty ? 0 : levels.sorted()[levels.count / 2]
    isCombed = combs.isCombed
  }
}
