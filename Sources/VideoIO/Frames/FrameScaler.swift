// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Scales and converts frames of one shape to another, reusing the same tables.
///
/// Respects chroma siting. One owner, used by one task.
package struct FrameScaler: ~Copyable {
  private let converter: PictureConverter
  private let format: PixelFormat
  private let sampleAspectRatio: Rational?

  /// Creates a scaler for frames like `frame`.
  ///
  /// - Parameters:
  ///   - width: columns of the results.
  ///   - height: rows of the results.
  ///   - format: layout of the results.
  ///   - color: colour of the results; nil keeps the frame's, with the matrix made explicit if players would
  ///     assume another one at the new size.
  ///   - sampleAspectRatio: of the results; nil keeps the frames'.
  /// - Throws: `VideoIOError.cannotConvert` or `invalidPicture`.
  package init(
    like frame: VideoFrame, width: Int, height: Int, format: PixelFormat, color: ColorDescription? = nil,
    kernel: ScalingKernel = .bicubic, sampleAspectRatio: Rational? = nil
  ) throws(VideoIOError) {
    let assumed = frame.color.assumingDefaults(width: frame.width, height: frame.height)
    var target = color ?? assumed
    if color == nil, frame.color.assumingDefaults(width: width, height: height) == assumed {
      target = frame.color
    }
    var source = assumed
    if color == nil {
      // An unspecified range means full for gray and limited for YUV: make it explicit if one becomes the other.
      if target.range == 0, frame.format.isGray != format.isGray {
        target.range = frame.format.isGray ? 2 : 1
      }
      source = target
    }
    converter = try PictureConverter(
      from: .init(width: frame.width, height: frame.height, code: frame.format.code, color: source),
      to: .init(width: width, height: height, code: format.code, color: target), kernel: kernel)
    self.format = format
    self.sampleAspectRatio = sampleAspectRatio
  }

  /// Returns the frame in the new shape, with its times, side data and metadata.
  /// - Throws: `VideoIOError.frameMismatch` for a frame of another shape than the scaler was created for.
  package mutating func scale(_ frame: VideoFrame) throws(VideoIOError) -> VideoFrame {
    let source = converter.source
    guard frame.width == source.width, frame.height == source.height, frame.format.code == source.code else {
      throw .frameMismatch(path: "scaling", expected: source.text, found: frame.shapeText)
    }
    let result = try converter.converted(frame.raw)
    if let sampleAspectRatio { result.raw.pointee.sample_aspect_ratio = sampleAspectRatio.libav }
    return VideoFrame(adopting: result, format: format)
  }
}

extension VideoFrame {
  /// Returns the frame scaled and converted, with its times, side data and metadata.
  ///
  /// For many frames of one shape, `FrameScaler` reuses the tables.
  /// - Parameters:
  ///   - width: nil keeps it.
  ///   - height: nil keeps it.
  ///   - format: nil keeps it.
  ///   - color: colour of the result; nil keeps it.
  /// - Throws: `VideoIOError.cannotConvert` or `invalidPicture`.
  package func converted(
    width: Int? = nil, height: Int? = nil, format: PixelFormat? = nil, color: ColorDescription? = nil,
    scaler kernel: ScalingKernel = .bicubic
  ) throws(VideoIOError) -> VideoFrame {
    var scaler = try FrameScaler(
      like: self, width: width ?? self.width, height: height ?? self.height, format: format ?? self.format,
      color: color, kernel: kernel)
    return try scaler.scale(self)
  }
}
