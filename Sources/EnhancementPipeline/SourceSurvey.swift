// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// Measures the quality of a source from its first frames. Networks are chosen by it.
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

  /// Surveys a file by decoding its first frames.
  /// - Throws: `VideoIOError` if no frame can be decoded. Later errors are left to the reader that does the
  ///   work.
  package init(path: String, options: VideoReader.Options, threads: Int) throws(VideoIOError) {
    var options = options
    options.start = nil
    options.length = nil
    options.exportsQuantizers = true
    options.toleratesEarlyEnd = true
    var reader = try VideoReader(path: path, threads: threads, options: options)
    var (sum, blocks, frames) = (0.0, 0, 0)
    while frames < Self.frameCount, let item = try? reader.next() {
      guard case .frame(let frame) = item else { continue }
      frames += 1
      guard let values = frame.quantizers?.values else { continue }
      sum += values.reduce(0) { $0 + Double($1) } / 2
      blocks += values.count
    }
    self.init(
      codecName: reader.info.codecName, isMaster: reader.info.isMaster,
      quantizer: blocks > 0 ? sum / Double(blocks) : nil)
  }
}

extension SourceSurvey: CustomStringConvertible {
  /// A summary such as `h264, mean quantizer 27.3`.
  package var description: String {
    quantizer.map { "\(codecName), mean quantizer \((($0 * 10).rounded()) / 10)" } ?? codecName
  }
}
