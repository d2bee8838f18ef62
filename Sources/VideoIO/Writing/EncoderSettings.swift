// SPDX-License-Identifier: Apache-2.0

/// Selects and configures the video encoder.
package struct EncoderSettings: Sendable, Hashable, Codable {
  /// FFmpeg's name of the encoder, such as `libx264`; a codec's name, such as `hevc` or `av1`, selects the
  /// best encoder for it that this FFmpeg has. `auto` is `libx264` if the container supports H.264, otherwise the
  /// container's default, such as VP9 for WebM or PNG for .png.
  package var codec: String
  /// Constant quality, lower is better; nil uses this package's default for the encoder (16 for libx264).
  package var crf: Double?
  /// The encoder's preset; nil uses `medium` if the encoder has it.
  package var preset: String?
  /// Further encoder options by their FFmpeg names. A name or value that the encoder does not accept is an
  /// error.
  package var options: [String: String]
  /// Options of the container, such as `movflags`.
  package var containerOptions: [String: String]
  /// FFmpeg's name of the container, such as `yuv4mpegpipe`; nil derives it from the file's name.
  package var container: String?
  /// FFmpeg's name of the layout to encode, such as `yuv420p`; nil keeps that of the frames. Losses cause a warning.
  package var pixelFormat: String?
  /// Threads of the encoder; 0 lets it choose.
  package var threads: Int
  /// Whether audio that the container cannot hold is converted; if not, it is left out.
  package var convertsAudio = true
  /// The same for subtitles that are text.
  package var convertsSubtitles = true

  /// Creates settings; all have defaults.
  package init(
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

  /// This package's default quality for encoders with a `crf` option: near transparency.
  static func defaultCRF(encoder: String) -> Double? {
    switch encoder {
    case "libx264", "libx264rgb": 16
    case "libx265": 18
    case "libvpx", "libvpx-vp9": 20
    case "libaom-av1", "libsvtav1": 20
    default: nil
    }
  }

  /// This package's default preset; nil keeps the encoder's own.
  static func defaultPreset(encoder: String) -> String? {
    ["libx264", "libx264rgb", "libx265"].contains(encoder) ? "medium" : nil
  }
}
