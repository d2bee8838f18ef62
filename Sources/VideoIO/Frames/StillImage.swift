// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Writes a frame as a PNG file of 8 bits per sample: RGB, or gray for gray frames.
///
/// Uses the frame's matrix, or the one that players assume for its size. The file appears only when complete.
/// - Parameter overwrite: whether to replace an existing file.
/// - Throws: `VideoIOError.outputExists`, `cannotCreate`, `cannotWrite`, `cannotConvert`.
package func writePNG(_ frame: VideoFrame, _ path: String, overwrite: Bool = true) throws(VideoIOError) {
  let file = try OutputFile(path: path, input: nil, overwrite: overwrite)
  let layout = frame.format.isGray ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24
  var encoder = try VideoEncoder(
    .init(
      settings: EncoderSettings(codec: "png", threads: 1), width: frame.width, height: frame.height,
      format: frame.format, color: frame.color, timeBase: Rational(1, 25), frameRate: Rational(25, 1),
      layoutCode: layout.rawValue))
  let packet = try PacketOwner()
  do throws(LibavError) {
    try encoder.send(frame, at: 0)
    try encoder.finish()
    guard case .packet = try encoder.receive(into: packet) else { throw .invalidData }
  } catch {
    throw .cannotEncode(path: path, reason: error)
  }
  let picture = UnsafeBufferPointer(start: packet.raw.pointee.data, count: Int(packet.raw.pointee.size))
  do throws(LibavError) {
    try DiskFile(writing: file.writingPath).write(Array(picture))
  } catch {
    throw .cannotWrite(path: path, reason: error)
  }
  try file.commit()
}
