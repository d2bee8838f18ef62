// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Resamples single planes from one size to another, reusing the same tables.
///
/// The centres of both pictures coincide; the border is replicated. Results are identical on every
/// machine. One owner, used by one task.
package struct PlaneScaler: ~Copyable {
  /// Columns that `scale` takes.
  package let sourceWidth: Int
  /// Rows that `scale` takes.
  package let sourceHeight: Int
  /// Columns that `scale` returns.
  package let width: Int
  /// Rows that `scale` returns.
  package let height: Int
  /// Bits per sample: 8 in one byte; 9, 10, 12, 14 or 16 in two, in the machine's byte order.
  package let bitDepth: Int

  private let converter: PictureConverter
  // Planes with the padding that swscale's vector code reads and writes.
  private let source: FrameOwner
  private let target: FrameOwner
  private let format: PixelFormat

  /// Creates a scaler between two sizes; results are clipped to the bit depth.
  /// - Throws: `VideoIOError.invalidPicture` for sizes or depths that FFmpeg does not support.
  package init(
    sourceWidth: Int, sourceHeight: Int, width: Int, height: Int, bitDepth: Int = 8,
    kernel: ScalingKernel = .bicubic
  ) throws(VideoIOError) {
    let name = bitDepth == 8 ? "gray" : "gray\(bitDepth)le"
    guard let format = PixelFormat(name: name) else {
      throw .invalidPicture(width: width, height: height, format: name)
    }
    let color = ColorDescription(range: 2)
    let source = try FrameOwner(width: sourceWidth, height: sourceHeight, code: format.code)
    let target = try FrameOwner(width: width, height: height, code: format.code)
    let converter = try PictureConverter(
      from: .init(width: sourceWidth, height: sourceHeight, code: format.code, color: color),
      to: .init(width: width, height: height, code: format.code, color: color), kernel: kernel)
    self.sourceWidth = sourceWidth
    self.sourceHeight = sourceHeight
    self.width = width
    self.height = height
    self.bitDepth = bitDepth
    self.format = format
    self.source = source
    self.target = target
    self.converter = converter
  }

  /// Resamples a plane.
  ///
  /// - Parameters:
  ///   - input: top row first, at least up to the last sample of the last row.
  ///   - bytesPerRow: its row stride.
  ///   - output: likewise.
  ///   - outputBytesPerRow: its row stride.
  /// - Precondition: the buffers hold the rows.
  /// - Throws: `VideoIOError.cannotConvert`.
  package mutating func scale(
    _ input: UnsafeRawBufferPointer, bytesPerRow: Int, into output: UnsafeMutableRawBufferPointer,
    bytesPerRow outputBytesPerRow: Int
  ) throws(VideoIOError) {
    let from = plane(of: source.raw, 0, format)
    copyRows(
      input, bytesPerRow, to: from.bytes, from.bytesPerRow, rows: sourceHeight,
      rowBytes: sourceWidth * format.bytesPerSample)
    try converter.run(from: source.raw, to: target.raw)
    let result = plane(of: target.raw, 0, format)
    copyRows(
      UnsafeRawBufferPointer(result.bytes), result.bytesPerRow, to: output, outputBytesPerRow, rows: height,
      rowBytes: width * format.bytesPerSample)
  }

  /// Resamples a plane of 8 bits without padding between rows.
  /// - Precondition: `bitDepth` is 8 and `samples` holds `sourceWidth` times `sourceHeight`.
  /// - Throws: `VideoIOError.cannotConvert`.
  package mutating func scale(_ samples: [UInt8]) throws(VideoIOError) -> [UInt8] {
    precondition(bitDepth == 8, "a scaler of \(bitDepth) bits was given samples of 8")
    return try scaleSamples(samples)
  }

  /// Resamples a plane of more than 8 bits without padding between rows.
  /// - Precondition: `bitDepth` is above 8 and `samples` holds `sourceWidth` times `sourceHeight`.
  /// - Throws: `VideoIOError.cannotConvert`.
  package mutating func scale(_ samples: [UInt16]) throws(VideoIOError) -> [UInt16] {
    precondition(bitDepth > 8, "a scaler of 8 bits was given samples of 16")
    return try scaleSamples(samples)
  }

  private mutating func scaleSamples<Sample: FixedWidthInteger>(
    _ samples: [Sample]
  ) throws(VideoIOError) -> [Sample] {
    precondition(samples.count == sourceWidth * sourceHeight, "a plane of another size was given")
    let size = MemoryLayout<Sample>.size
    var result = [Sample](repeating: 0, count: width * height)
    var failure: VideoIOError?
    samples.withUnsafeBytes { input in
      result.withUnsafeMutableBytes { output in
        do throws(VideoIOError) {
          try scale(input, bytesPerRow: sourceWidth * size, into: output, bytesPerRow: width * size)
        } catch {
          failure = error
        }
      }
    }
    if let failure { throw failure }
    return result
  }
}

/// Copies rows between planes of different strides.
/// - Precondition: both buffers hold the rows.
private func copyRows(
  _ source: UnsafeRawBufferPointer, _ sourceBytesPerRow: Int, to target: UnsafeMutableRawBufferPointer,
  _ targetBytesPerRow: Int, rows: Int, rowBytes: Int
) {
  precondition(source.count >= sourceBytesPerRow * (rows - 1) + rowBytes, "source plane is too small")
  precondition(target.count >= targetBytesPerRow * (rows - 1) + rowBytes, "target plane is too small")
  guard let from = source.baseAddress, let to = target.baseAddress else { return }
  for row in 0..<rows {
    memcpy(to + row * targetBytesPerRow, from + row * sourceBytesPerRow, rowBytes)
  }
}
