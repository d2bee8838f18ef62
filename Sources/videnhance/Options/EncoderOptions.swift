// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import VideoIO

/// How the output is encoded.
struct EncoderOptions: ParsableArguments {
  @Option(
    help:
      "FFmpeg's name of the encoder (default: libx264, VP9 for .webm; none for .y4m, and for nut on -)."
  )
  var codec: String?

  @Option(
    help:
      "Constant quality, lower is better (default: 16 for libx264, 18 for libx265, 20 for libvpx-vp9 and libsvtav1)."
  )
  var crf: Double?

  @Option(help: "The encoder's preset (default: medium).")
  var preset: String?

  @Option(
    help: ArgumentHelp(
      "Encode frames of this layout, such as yuv420p (default: the source's); what is lost by it is told.",
      valueName: "name"))
  var pixFmt: String?

  @Option(
    help: ArgumentHelp(
      "An option of the encoder as FFmpeg names it; may be repeated.", valueName: "name=value"))
  var encoderOption: [EncoderOption] = []

  @Option(
    help:
      "FFmpeg's name of the container (default: by the output's name; y4m for -, which nut suits, too: it carries sound and all times)."
  )
  var container: String?

  /// The choices for `threads` threads and an output of this name.
  func settings(output: String, threads: Int) -> EncoderSettings {
    let container = container ?? (output == "-" ? Self.uncompressed : nil)
    let isUncompressed =
      container.map { $0 == Self.uncompressed } ?? output.lowercased().hasSuffix(".y4m")
    // NUT in a pipe is for a program that goes on working: it gets all that there is.
    let usual =
      isUncompressed ? "wrapped_avframe" : output == "-" && container == "nut" ? "rawvideo" : "auto"
    let pairs = encoderOption.map { ($0.name, $0.value) }
    return EncoderSettings(
      codec: codec ?? usual, crf: crf, preset: preset,
      options: Dictionary(pairs) { _, last in last }, container: container, pixelFormat: pixFmt,
      threads: threads)
  }

  /// FFmpeg's name of the y4m container, which takes frames as they are.
  private static let uncompressed = "yuv4mpegpipe"
}

/// `name=value`.
struct EncoderOption: ExpressibleByArgument {
  let name, value: String

  init?(argument: String) {
    let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty else { return nil }
    name = String(parts[0])
    value = String(parts[1])
  }
}
