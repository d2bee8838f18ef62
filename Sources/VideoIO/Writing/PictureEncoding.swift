// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Encodes single pictures in memory.
package enum PictureEncoding {
  /// Encodes a frame as a PNG file, in RGB.
  /// - Throws: `VideoIOError.cannotEncode`, or the errors of opening the encoder.
  package static func png(_ frame: VideoFrame) throws(VideoIOError) -> [UInt8] {
    var encoder = try VideoEncoder(
      .init(
        settings: EncoderSettings(codec: "png", threads: 1), width: frame.width, height: frame.height,
        format: frame.format, color: frame.color.assumingDefaults(width: frame.width, height: frame.height),
        timeBase: Rational(1, 25), frameRate: Rational(25, 1)))
    let packet = try PacketOwner()
    do throws(LibavError) {
      try encoder.send(frame, at: 0)
      try encoder.finish()
      guard case .packet = try encoder.receive(into: packet) else { throw LibavError.invalidData }
    } catch {
      throw .cannotEncode(path: "png", reason: error)
    }
    return byteArray(packet.raw.pointee.data, Int(packet.raw.pointee.size))
  }
}
