// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Distinguishes transparent pictures from those that have alpha but only opaque pixels, such as most GIFs.
enum Transparency {
  /// Returns whether a pixel of `frame` is not opaque. Alpha that is not an integer of 8 to 16 bits counts as
  /// transparent. Less than a level of 8 bits does not count: swscale does not make the highest value of 16 bits.
  static func isPresent(in frame: UnsafePointer<AVFrame>) -> Bool {
    let code = AVPixelFormat(frame.pointee.format)
    guard PixelFormat.hasAlpha(code.rawValue), let descriptor = av_pix_fmt_desc_get(code)?.pointee else {
      return false
    }
    let alpha = descriptor.nb_components == 2 ? descriptor.comp.1 : descriptor.comp.3
    let (data, strides) = (frame.pointee.data, frame.pointee.linesize)
    let planes = [(data.0, strides.0), (data.1, strides.1), (data.2, strides.2), (data.3, strides.3)]
    guard (8...16).contains(alpha.depth), alpha.shift == 0, planes.indices.contains(Int(alpha.plane)),
      let base = planes[Int(alpha.plane)].0
    else { return true }
    let opaque = 0xFF << (alpha.depth - 8)
    let isBigEndian = descriptor.flags & UInt64(AV_PIX_FMT_FLAG_BE) != 0
    for row in 0..<Int(frame.pointee.height) {
      let samples = UnsafeRawPointer(base) + row * Int(planes[Int(alpha.plane)].1) + Int(alpha.offset)
      for column in 0..<Int(frame.pointee.width) {
        let sample = samples + column * Int(alpha.step)
        let value: Int
        if alpha.depth == 8 {
          value = Int(sample.load(as: UInt8.self))
        } else {
          let word = sample.loadUnaligned(as: UInt16.self)
          value = Int(isBigEndian ? UInt16(bigEndian: word) : UInt16(littleEndian: word))
        }
        if value < opaque { return true }
      }
    }
    return false
  }
}
