// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
package import VideoIO

/// Measures the quality of a source from its first frames. Networks are chosen by it and receive its mean quantizer.
///
/// Always examines the beginning of the file, so that all parts of a film are enhanced by the same network.
package struct SourceSurvey: Sendable, Hashable {
  /// FFmpeg's name of the video codec.
  package var codecName: String
  /// Whether the codec is a mastering codec (`MediaInfo.isMaster`).
  package var isMaster: Bool
  /// Mean quantizer of all blocks on the scale of H.264, 0 to 63; nil if the decoder does not export
  /// quantizers.
  package var quantizer: Double?

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

  /// Creates a survey from known results.
  package init(codecName: String, isMaster: Bool, quantizer: Double?) {
    self.codecName = codecName
    self.isMaster = isMaster
    self.quantizer = quantizer
  }

  /// Surveys a file by decoding its first frames that are not nearly of one colour.
  /// - Throws: `VideoIOError` if no frame can be decoded. Later errors are left to the reader that does the
  ///   work.
  package init(path: String, options: VideoReader.Options, threads: Int) throws(VideoIOError) {
    var options = options
    options.start = nil
    options.length = nil
    options.exportsQuantizers = true
    options.toleratesEarlyEnd = true
    var reader = try VideoReader(path: path, threads: threads, options: options)
    var (pictures, flat) = (Quantizers(), Quantizers())
    while pictures.frames < Self.frameCount, pictures.frames + flat.frames < Self.mostFrames,
      let item = try? reader.next()
    {
      guard case .frame(let frame) = item else { continue }
      if PlanarFrame(frame).variance < Self.leastVariance { flat.add(frame) } else { pictures.add(frame) }
      // Nothing more to learn from a codec whose decoder does not export quantizers.
      if pictures.frames + flat.frames == Self.frameCount, pictures.blocks + flat.blocks == 0 { break }
    }
    self.init(
      codecName: reader.info.codecName, isMaster: reader.info.isMaster,
      quantizer: pictures.mean ?? flat.mean)
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
    quantizer.map { "\(codecName), mean quantizer \((($0 * 10).rounded()) / 10)" } ?? codecName
  }
}
