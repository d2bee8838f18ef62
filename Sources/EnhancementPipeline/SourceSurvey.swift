// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// What the first frames of a source show of its quality. Networks are chosen by it.
///
/// It always looks at the beginning of the file, so that every part of a film is enhanced by the same network.
package struct SourceSurvey: Sendable, Hashable {
  /// FFmpeg's name of the video codec.
  package var codecName: String
  /// Whether the codec is one for masters (`MediaInfo.isMaster`).
  package var isMaster: Bool
  /// Mean quantizer of all blocks on the scale of H.264, 0 to 63; nil where the decoder does not export quantizers.
  package var quantizer: Double?

  /// Frames that are looked at.
  static let frameCount = 12
  /// Up to this quantizer, networks for pristine sources win over those for real footage (docs/lab/real-footage.md).
  static let mostPristineQuantizer = 26.0

  /// Whether a source is as good as pristine.
  package var isPristine: Bool { isMaster || (quantizer.map { $0 <= Self.mostPristineQuantizer } ?? false) }

  /// A survey with known results.
  package init(codecName: String, isMaster: Bool, quantizer: Double?) {
    self.codecName = codecName
    self.isMaster = isMaster
    self.quantizer = quantizer
  }

  /// Decodes the first frames of a file.
  /// - Throws: `VideoIOError` if no frame can be decoded. What is wrong further on is left to the reader that does the work.
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
  /// Such as `h264, mean quantizer 27.3`.
  package var description: String {
    quantizer.map { "\(codecName), mean quantizer \((($0 * 10).rounded()) / 10)" } ?? codecName
  }
}
