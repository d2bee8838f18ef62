// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import VideoIO

/// Properties of a source, measured on a few frames: interlacing, noise, quality and size.
package struct SourceLook: Sendable, Equatable {
  /// Extents as stored, and as players show them.
  package var width, height, shownWidth, shownHeight: Int
  /// What networks for super-resolution are chosen by.
  package var survey: SourceSurvey
  /// Noise in 8-bit levels, the median of the places.
  package var noise: Float
  /// Whether frames are flagged as interlaced.
  package var isFlaggedInterlaced: Bool
  /// Whether frames that are not flagged so show the combs of two fields.
  package var isCombed: Bool
}

extension SourceLook {
  /// Frames in a row that are looked at in each place.
  private static let run = 6

  /// Looks at three places of a file; at its beginning alone where its length is not known.
  /// - Parameter options: the part that is worked on, and how it is read.
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
