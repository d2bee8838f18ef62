// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// What sample values mean: matrix, primaries, transfer, range and chroma siting, with the code points of
/// ITU-T H.273 as FFmpeg numbers them. The value 2 (matrix, primaries, transfer) or 0 (range, chroma) is
/// "unspecified".
package struct ColorDescription: Sendable, Hashable, CustomStringConvertible {
  /// YUV to RGB matrix (`AVColorSpace`): 1 is BT.709, 5 and 6 are BT.601, 9 is BT.2020.
  package var matrix: Int32
  /// Chromaticities of R, G and B (`AVColorPrimaries`).
  package var primaries: Int32
  /// Transfer characteristic (`AVColorTransferCharacteristic`): 16 is PQ, 18 is HLG.
  package var transfer: Int32
  /// `AVColorRange`: 0 unspecified, 1 limited (16...235), 2 full (0...255).
  package var range: Int32
  /// Position of chroma samples (`AVChromaLocation`): 0 unspecified, 1 left, 2 centre, 3 top left.
  package var chromaLocation: Int32

  /// Creates a description from FFmpeg's codes; unspecified by default.
  package init(
    matrix: Int32 = 2, primaries: Int32 = 2, transfer: Int32 = 2, range: Int32 = 0, chromaLocation: Int32 = 0
  ) {
    self.matrix = matrix
    self.primaries = primaries
    self.transfer = transfer
    self.range = range
    self.chromaLocation = chromaLocation
  }

  /// Whether values span the full range; an unspecified range counts as limited.
  package var isFullRange: Bool { range == 2 }

  /// FFmpeg's name of the matrix, such as `bt709`; `unknown` if unspecified.
  package var matrixName: String { Self.name(av_color_space_name(AVColorSpace(UInt32(bitPattern: matrix)))) }
  /// FFmpeg's name of the primaries.
  package var primariesName: String {
    Self.name(av_color_primaries_name(AVColorPrimaries(UInt32(bitPattern: primaries))))
  }
  /// FFmpeg's name of the transfer characteristic.
  package var transferName: String {
    Self.name(av_color_transfer_name(AVColorTransferCharacteristic(UInt32(bitPattern: transfer))))
  }
  /// FFmpeg's name of the range: `tv`, `pc` or `unknown`.
  package var rangeName: String { Self.name(av_color_range_name(AVColorRange(UInt32(bitPattern: range)))) }
  /// FFmpeg's name of the chroma location.
  package var chromaLocationName: String {
    Self.name(av_chroma_location_name(AVChromaLocation(UInt32(bitPattern: chromaLocation))))
  }

  private static func name(_ pointer: UnsafePointer<CChar>?) -> String {
    pointer.map { String(cString: $0) } ?? "unknown"
  }

  /// Names in the order matrix/primaries/transfer, then range.
  package var description: String {
    "\(matrixName)/\(primariesName)/\(transferName), \(rangeName)"
  }

  /// The description with an unspecified matrix replaced by the one that players assume: BT.601 for
  /// standard definition, BT.709 above 1279 columns or 576 rows.
  package func assumingDefaults(width: Int, height: Int) -> ColorDescription {
    guard matrix == 2 || matrix == 0 else { return self }
    var copy = self
    copy.matrix = Self.assumedMatrix(width: width, height: height)
    return copy
  }

  /// 1 (BT.709), 5 (BT.601 of 625 lines) or 6 (BT.601 of 525 lines) by size.
  static func assumedMatrix(width: Int, height: Int) -> Int32 {
    if width >= 1280 || height > 576 { return 1 }
    return height == 576 ? 5 : 6
  }
}
