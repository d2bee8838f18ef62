// SPDX-License-Identifier: Apache-2.0

extension EncoderSettings {
  /// Estimates the pictures that an encoder buffers once its lookahead is full.
  ///
  /// Bytes per pixel are those by which the process grew between 4 and 70 frames at 640x360 with x264 164, x265 3.5 and
  /// SVT-AV1 1.4.
  /// - Parameter name: FFmpeg's name of the encoder.
  /// - Returns: the number of pictures, and bytes of each for every pixel of 8 bits; nil for other encoders, which either
  ///   allocate all pictures at once (libvpx) or hold few.
  package func heldPictures(encoder name: String, width: Int, height: Int) -> (
    count: Int, bytesPerPixel: Double
  )? {
    let preset = preset ?? options["preset"] ?? Self.defaultPreset(encoder: name) ?? ""
    let given = options["rc-lookahead"].flatMap { Int($0) }
    switch name {
    case "libx264":
      let byPreset = ["ultrafast": 0, "superfast": 0, "veryfast": 10, "faster": 20]
      let lookahead =
        given ?? byPreset[preset]
        ?? VideoEncoder.limitedLookahead(preset: preset, width: width, height: height) ?? 40
      // Plus B-frames and the frame being encoded.
      return (lookahead + 4, 4.4)
    case "libx265":
      let byPreset = [
        "ultrafast": 5, "superfast": 10, "veryfast": 15, "faster": 15, "fast": 15, "slow": 25, "slower": 40,
        "veryslow": 40, "placebo": 60,
      ]
      return ((given ?? byPreset[preset] ?? 20) + 5, 11)
    case "libsvtav1":
      return (40, 4.4)
    default:
      return nil
    }
  }
}
