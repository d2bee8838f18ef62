// SPDX-License-Identifier: Apache-2.0

/// Which encoder makes the video, and how.
public struct EncoderSettings: Sendable, Hashable, Codable {
  /// FFmpeg's name of the encoder, such as `libx264`; a codec's name, such as `hevc`, takes FFmpeg's first
  /// encoder for it. `auto` is `libx264` where the container holds H.264, else the container's usual one: VP9
  /// for WebM, PNG for .png.
  public var codec: String
  /// Constant quality, lower is better; nil takes this package's choice for the encoder (16 for libx264).
  public var crf: Double?
  /// The encoder's preset; nil takes `medium` where the encoder has that.
  public var preset: String?
  /// Further options of the encoder as FFmpeg names them. A name or value that the encoder does not know is
  /// an error.
  public var options: [String: String]
  /// Options of the container, such as `movflags`.
  public var containerOptions: [String: String]
  /// FFmpeg's name of the container, such as `yuv4mpegpipe`; nil takes it from the file's name.
  public var container: String?
  /// FFmpeg's name of the layout to encode, such as `yuv420p`; nil keeps that of the frames. What is lost by it is a warning.
  public var pixelFormat: String?
  /// Threads of the encoder; 0 lets it choose.
  public var threads: Int

  /// Settings; all have a default.
  public init(
    codec: String = "libx264", crf: Double? = nil, preset: String? = nil, options: [String: String] = [:],
    containerOptions: [String: String] = [:], container: String? = nil, pixelFormat: String? = nil,
    threads: Int = 0
  ) {
    self.codec = codec
    self.crf = crf
    self.preset = preset
    self.options = options
    self.containerOptions = containerOptions
    self.container = container
    self.pixelFormat = pixelFormat
    self.threads = threads
  }

  /// The quality that this package asks of an encoder which has a `crf` option: near transparency.
  static func defaultCRF(encoder: String) -> Double? {
    switch encoder {
    case "libx264", "libx264rgb": 16
    case "libx265": 18
    case "libvpx", "libvpx-vp9": 20
    case "libaom-av1", "libsvtav1": 20
    default: nil
    }
  }

  /// The preset that this package asks for; nil leaves the encoder's own.
  static func defaultPreset(encoder: String) -> String? {
    ["libx264", "libx264rgb", "libx265"].contains(encoder) ? "medium" : nil
  }
}
