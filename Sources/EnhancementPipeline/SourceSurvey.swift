// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
package import VideoIO

/// Measures the quality of a source from its first frames. Networks are chosen by it and receive its mean quantizer.
///
/// Always examines the same frames of a file, so that all parts of a film are enhanced by the same network.
package struct SourceSurvey: Sendable, Hashable {
  /// FFmpeg's name of the video codec.
  package var codecName: String
  /// Whether the codec is a mastering codec (`MediaInfo.isMaster`).
  package var isMaster: Bool
  /// Mean quantizer of all blocks on the scale of H.264, 0 to 63; nil if the decoder does not export
  /// quantizers.
  package var quantizer: Double?
  /// How sharp it is (`Sharpness`), the median of a few places; nil if unknown.
  package var sharpness: Double?

  /// Number of frames to examine.
  static let frameCount = 12
  /// Least variance of luma of these frames in 8-bit levels. The quantizers of black or white frames, with which films
  /// begin, say nothing about the rest.
  private static let leastVariance = 25.0
  /// Number of frames among which those are searched for; if there are none, all count.
  private static let mostFrames = 250
  /// Up to this quantizer, networks for pristine sources give better results than those for real footage
  /// (docs/lab/real-footage.md).
  static let mostPristineQuantizer = 26.0

  /// Whether the source is practically pristine.
  package var isPristine: Bool { isMaster || (quantizer.map { $0 <= Self.mostPristineQuantizer } ?? false) }
  /// What was found and the networks that suit it, in words.
  package var verdict: String { "source \(self): \(isPristine ? "clean" : "real footage")" }

  /// Creates a survey from known results.
  package init(codecName: String, isMaster: Bool, quantizer: Double?, sharpness: Double? = nil) {
    self.codecName = codecName
    self.isMaster = isMaster
    self.quantizer = quantizer
    self.sharpness = sharpness
  }

  /// Where in longer sources sharpness is estimated besides the beginning, which may be a title.
  private static let places = [0.25, 0.5, 0.75]
  /// Seconds of a source that counts as longer.
  private static let leastDuration = 20.0

  /// Surveys a file by decoding its first frames that are not nearly of one colour, and a few frames of other places if
  /// it is long.
  /// - Throws: `VideoIOError` if no frame can be decoded. Later errors are left to the reader that does the
  ///   work.
  package init(path: String, options: VideoReader.Options, threads: Int) throws(VideoIOError) {
    var options = options
    options.start = nil
    options.length = nil
    options.exportsQuantizers = true
    options.toleratesEarlyEnd = true
    var reader = try VideoReader(path: path, threads: threads, options: options)
    let info = reader.info
    let (first, quantizers) = Self.examine(&reader)
    var levels = [Sharpness.estimate(first)]
    if let duration = info.duration, duration >= Self.leastDuration {
      options.exportsQuantizers = false
      for place in Self.places {
        options.start = .microseconds(Int64(place * duration * 1e6))
        guard var reader = try? VideoReader(path: path, threads: threads, options: options) else { continue }
        levels.append(Sharpness.estimate(Self.examine(&reader).pictures))
      }
    }
    let known = levels.compactMap { $0 }.sorted()
    self.init(
      codecName: info.codecName, isMaster: info.isMaster, quantizer: quantizers.mean,
      sharpness: known.isEmpty ? nil : Double(known[(known.count - 1) / 2] + known[known.count / 2]) / 2)
  }

  /// Reads frames until there are enough that are not of one colour.
  /// - Returns: those of them that show how sharp the source is, and the quantizers.
  private static func examine(_ reader: inout VideoReader) -> (
    pictures: [PlanarFrame], quantizers: Quantizers
  ) {
    var (pictures, flat) = (Quantizers(), Quantizers())
    var examined: [PlanarFrame] = []
    while pictures.frames < frameCount, pictures.frames + flat.frames < mostFrames,
      let item = try? reader.next()
    {
      guard case .frame(let frame) = item else { continue }
      let picture = PlanarFrame(frame)
      if picture.variance < leastVariance {
        flat.add(frame)
      } else {
        if Sharpness.examinedFrames.contains(pictures.frames) { examined.append(picture) }
        pictures.add(frame)
      }
    }
    return (examined, pictures.mean == nil ? flat : pictures)
  }

  /// The mean quantizer in units of `QuantizerMap`.
  package var quantizerValue: UInt8? { quantizer.map { UInt8(min(126, max(0, 2 * $0))) } }

  private struct Quantizers {
    var (sum, blocks, frames) = (0.0, 0, 0)
    var mean: Double? { blocks > 0 ? sum / Double(blocks) : nil }

    mutating func add(_ frame: VideoFrame) {
      frames += 1
      guard let values = frame.quantizers?.values else { return }
      sum += values.reduce(0) { $0 + Double($1) } / 2
      blocks += values.count
    }
  }
}

extension SourceSurvey: CustomStringConvertible {
  /// A summary such as `h264, mean quantizer 27.3`.
  package var description: String {
    let quantizer = quantizer.map { ", mean quantizer \((($0 * 10).rounded()) / 10)" } ?? ""
    let sharpness = sharpness.map { ", sharpness \((($0 * 100).rounded()) / 100)" } ?? ""
    return codecName + quantizer + sharpness
  }
}
