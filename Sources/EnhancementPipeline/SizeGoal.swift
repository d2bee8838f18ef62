// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// Target size of frames that a network upscaled. The display aspect ratio is kept.
package enum SizeGoal: Sendable, Hashable, CustomStringConvertible {
  /// Length of the shorter side as shown: the height, or the width of upright video.
  case shortSide(Int)
  /// Columns as shown: rows of a picture that players rotate by 90 degrees.
  case width(Int)
  /// Rows as shown.
  case height(Int)
  /// Factor for width and height.
  case factor(Double)
  /// The size of the source, as for restoration.
  case source

  /// Longest side that encoders accept.
  package static let most = 16384
  /// Largest factor.
  package static let mostFactor = 16.0

  /// Parses a size that options give, in the format of `description`; returns nil for other text.
  package init?(_ text: String) {
    let parts = text.split(separator: " ")
    guard parts.count == 2 else { return nil }
    switch (parts[0], Int(parts[1].prefix { $0 != "p" })) {
    case ("to", let lines?) where (1...Self.most).contains(lines) && parts[1].hasSuffix("p"):
      self = .shortSide(lines)
    case ("width", let value?) where (1...Self.most).contains(value): self = .width(value)
    case ("height", let value?) where (1...Self.most).contains(value): self = .height(value)
    case ("scale", _):
      guard let factor = Double(parts[1]), factor > 1, factor <= Self.mostFactor else { return nil }
      self = .factor(factor)
    default: return nil
    }
  }

  /// The option without dashes, such as `to 1080p`; there is none for `source`.
  package var description: String {
    switch self {
    case .shortSide(let lines): "to \(lines)p"
    case .width(let width): "width \(width)"
    case .height(let height): "height \(height)"
    case .factor(let factor): "scale \(factor)"
    case .source: "the size of the source"
    }
  }

  /// Returns the output size for a video.
  /// - Throws: `PipelineError.notLarger`, `tooLarge`.
  func size(of shape: VideoShape) throws(PipelineError) -> FrameSize {
    let media = shape.media
    let size = size(
      width: shape.width, height: shape.height, sampleAspectRatio: media.sampleAspectRatio,
      rotation: media.rotation, format: media.format)
    if self == .source { return size }
    guard size.height > shape.height || size.width > shape.width && isFactor else {
      let shown = media.shownSize(width: shape.width, height: shape.height)
      throw .notLarger(path: media.path, size: "\(shown.width)x\(shown.height)", goal: "--\(self)")
    }
    guard max(size.width, size.height) <= Self.most else {
      throw .tooLarge(path: media.path, size: "\(size.width)x\(size.height)")
    }
    return size
  }

  private var isFactor: Bool {
    if case .factor = self { return true }
    return false
  }

  /// Returns the output size for frames of `width` x `height`.
  ///
  /// A factor keeps the pixel aspect ratio. All other goals make pixels square, so the size is the one shown.
  /// Derived sides are even; the requested side is rounded if subsampled chroma requires it.
  /// - Parameter rotation: degrees by which players rotate the picture.
  func size(
    width: Int, height: Int, sampleAspectRatio: Rational, rotation: Double, format: PixelFormat
  ) -> FrameSize {
    let (columns, rows) = (1 << format.log2ChromaWidth, 1 << format.log2ChromaHeight)
    func rounded(_ value: Double, _ multiple: Int) -> Int {
      guard value.isFinite, value < 1e9 else { return 1 << 30 }
      return max(1, Int((value / Double(multiple)).rounded())) * multiple
    }
    func derived(_ value: Double, _ multiple: Int) -> Int { rounded(value, max(2, multiple)) }
    let ratio = sampleAspectRatio.isPositive ? sampleAspectRatio.doubleValue : 1
    // Display aspect ratio before rotation.
    let aspect = Double(width) * ratio / Double(height)
    let turned = Int((rotation / 90).rounded()) % 2 != 0
    func withHeight(_ value: Int) -> (Int, Int) {
      let height = rounded(Double(value), rows)
      return (derived(Double(value) * aspect, columns), height)
    }
    func withWidth(_ value: Int) -> (Int, Int) {
      let width = rounded(Double(value), columns)
      return (width, derived(Double(value) / aspect, rows))
    }
    let extents: (Int, Int)
    switch self {
    case .factor(let factor):
      extents = (derived(Double(width) * factor, columns), derived(Double(height) * factor, rows))
      return FrameSize(width: extents.0, height: extents.1, sampleAspectRatio: sampleAspectRatio)
    case .source: return FrameSize(width: width, height: height, sampleAspectRatio: sampleAspectRatio)
    case .shortSide(let lines): extents = aspect >= 1 ? withHeight(lines) : withWidth(lines)
    case .width(let value): extents = turned ? withHeight(value) : withWidth(value)
    case .height(let value): extents = turned ? withWidth(value) : withHeight(value)
    }
    let square = sampleAspectRatio.isPositive ? Rational(1, 1) : sampleAspectRatio
    return FrameSize(width: extents.0, height: extents.1, sampleAspectRatio: square)
  }
}

/// Frame size and pixel aspect ratio.
package struct FrameSize: Sendable, Hashable {
  package var width, height: Int
  /// Pixel aspect ratio: width over height.
  package var sampleAspectRatio: Rational

  /// Returns the scale of the network: 2 if that is enough, apart from rounding, else 4.
  package func networkScale(width: Int, height: Int) -> Int {
    let factor = max(Double(self.width) / Double(width), Double(self.height) / Double(height))
    return factor > 2.02 ? 4 : 2
  }
}

extension MediaInfo {
  /// Returns the size in which players show pictures of a size, with this video's pixel aspect ratio and rotation.
  func shownSize(width: Int, height: Int) -> (width: Int, height: Int) {
    let ratio = sampleAspectRatio.isPositive ? sampleAspectRatio.doubleValue : 1
    let across = Int(min((Double(width) * ratio).rounded(), 1e6))
    return Int((rotation / 90).rounded()) % 2 != 0 ? (height, across) : (across, height)
  }
}
