// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The quantizers with which the blocks of a frame were coded.
///
/// Values are twice the quantizer on H.264's scale of 8-bit video (a step of 0.625 x 2^(qp / 6) levels of an orthonormal
/// transform), 0 ... 126. Other codecs' steps are converted to it.
package struct BlockQuantizers: Sendable, Hashable {
  /// Columns and rows of luma per value.
  package static let side = 16
  /// Extents in blocks, rounded up.
  package let columns, rows: Int
  /// `rows * columns` values, row by row.
  package let values: [UInt8]

  /// Blocks.
  /// - Precondition: `values` holds `columns * rows` of them.
  package init(columns: Int, rows: Int, values: [UInt8]) {
    precondition(values.count == columns * rows, "a value for each block")
    self.columns = columns
    self.rows = rows
    self.values = values
  }

  /// Extents in blocks of a frame.
  package static func extents(width: Int, height: Int) -> (columns: Int, rows: Int) {
    ((width + side - 1) / side, (height + side - 1) / side)
  }

  /// The value for a step of an orthonormal transform, in levels of 8-bit video.
  static func value(step: Double) -> UInt8 {
    UInt8(max(0, min(126, (12 * log2(max(step, 1e-3) / 0.625)).rounded())))
  }
}

extension VideoFrame {
  /// The quantizers of the frame's blocks; nil where the decoder does not export them (it does for H.264, VP9, MPEG-1,
  /// -2 and -4, if `VideoReader.Options.exportsQuantizers` is set).
  package var quantizers: BlockQuantizers? {
    guard let data = av_frame_get_side_data(raw, AV_FRAME_DATA_VIDEO_ENC_PARAMS),
      data.pointee.size >= MemoryLayout<AVVideoEncParams>.size
    else { return nil }
    let parameters = UnsafeMutableRawPointer(data.pointee.data).assumingMemoryBound(to: AVVideoEncParams.self)
    let convert: (Int32) -> Double
    switch parameters.pointee.type {
    case AV_VIDEO_ENC_PARAMS_H264:
      let offset = 6 * (format.bitDepth - 8)
      convert = { 0.625 * exp2(Double(Int($0) - offset) / 6) }
    case AV_VIDEO_ENC_PARAMS_MPEG2: convert = { Double($0) }
    case AV_VIDEO_ENC_PARAMS_VP9: convert = Self.stepOfVP9
    default: return nil
    }
    let (columns, rows) = BlockQuantizers.extents(width: width, height: height)
    let side = BlockQuantizers.side
    let base = parameters.pointee.qp
    let whole = BlockQuantizers.value(step: convert(base))
    var values = [UInt8](repeating: whole, count: columns * rows)
    for index in 0..<parameters.pointee.nb_blocks {
      guard let block = av_video_enc_params_block(parameters, index) else { continue }
      let value = BlockQuantizers.value(step: convert(base &+ block.pointee.delta_qp))
      // Of blocks smaller than 16 samples, the last one determines the value.
      let (x, y) = (Int(block.pointee.src_x), Int(block.pointee.src_y))
      let (right, bottom) = (x + Int(block.pointee.w), y + Int(block.pointee.h))
      guard x >= 0, y >= 0, right > x, bottom > y else { continue }
      for row in y / side..<max(y / side, min(rows, (bottom + side - 1) / side)) {
        for column in x / side..<max(x / side, min(columns, (right + side - 1) / side)) {
          values[row * columns + column] = value
        }
      }
    }
    return BlockQuantizers(columns: columns, rows: rows, values: values)
  }

  /// VP9's step for a quantizer index, by a fit to the specification's table that is accurate to a few percent: linear up
  /// to 95, exponential above; coefficients are eight times those of an orthonormal transform.
  private static func stepOfVP9(_ index: Int32) -> Double {
    let index = Double(max(0, min(255, index)))
    return (index <= 95 ? 7 + index : 102 * exp((index - 95) * 0.018_04)) / 8
  }
}
