// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import VideoIO

/// How the output is encoded.
struct EncoderOptions: ParsableArguments {
  @Option(
    help:
      "The codec, such as h264, hevc, av1 or vp9, or FFmpeg's name of an encoder (default: libx264, VP9 for .webm, GIF for .gif; none for .y4m, and for nut on -).",
    completion: .list(["h264", "hevc", "av1", "vp9"] + Diagnosis.encoders.map(\.0)),
    transform: Self.codecName)
  var codec: String?

  @Option(
    help:
      "Constant quality, lower is better (default: 16 for libx264, 18 for libx265, 20 for libvpx-vp9 and libsvtav1)."
  )
  var crf: Double?

  @Option(
    help:
      "A named set of options: phone, web, dvd, vhs, film, anime, or auto, which examines the source ('videnhance presets' lists them). Other names are passed to the encoder.",
    completion: .list(Preset.names + Self.presets), transform: Self.presetName)
  var preset: String?

  @Option(
    help: "The encoder's preset (default: medium).", completion: .list(Self.presets),
    transform: Self.presetName)
  var encoderPreset: String?

  @Option(
    help: ArgumentHelp(
      "Encode frames of this layout, such as yuv420p (default: the source's). Prints a warning if the conversion loses anything.",
      valueName: "name"),
    completion: .list([
      "yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray", "gray10le",
    ]))
  var pixFmt: String?

  @Option(
    help: ArgumentHelp(
      "An encoder option by its FFmpeg name; may be repeated.", valueName: "name=value"))
  var encoderOption: [EncoderOption] = []

  @Option(
    help: ArgumentHelp(
      "Sound that the container cannot hold: auto converts it, copy drops it.", valueName: "mode"))
  var audio = StreamHandling.auto

  @Option(
    help: ArgumentHelp(
      "Text subtitles that the container cannot hold: auto converts them, copy drops them.",
      valueName: "mode"))
  var subtitles = StreamHandling.auto

  @Option(
    help:
      "FFmpeg's name of the container (default: from the output's extension; y4m for -, where nut works as well and also carries sound and all timestamps).",
    completion: .list(["mp4", "mov", "matroska", "webm", "mpegts", "nut", "gif", "yuv4mpegpipe"]))
  var container: String?

  /// The presets of x264 and x265.
  static let presets = [
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
  ]

  /// Codecs whose encoders have these presets.
  private static let codecsWithPresets: Set = [
    "h264", "avc", "x264", "libx264", "libx264rgb", "hevc", "h265", "x265", "libx265",
  ]

  /// A codec's name in lower case, as all of FFmpeg's are, without the dot of "H.264".
  private static func codecName(_ word: String) -> String {
    word.lowercased().replacing("h.26", with: "h26")
  }

  /// A preset's name in lower case if it is a known one.
  private static func presetName(_ word: String) -> String {
    let name = word.lowercased()
    return Preset.names.contains(name) || presets.contains(name) ? name : word
  }

  func validate() throws {
    if let preset, !Preset.names.contains(preset), encoderPreset != nil {
      throw ValidationError("--preset \(preset) and --encoder-preset contradict each other")
    }
    // Numbers, and the names of other encoders' presets, are checked by the encoder.
    guard let name = presetOfEncoder, Double(name) == nil, !Self.presets.contains(name),
      codec.map(Self.codecsWithPresets.contains) ?? true
    else { return }
    let option = encoderPreset == nil ? "--preset" : "--encoder-preset"
    let ours = encoderPreset == nil ? Preset.names : []
    let near =
      ours.first { UsageHint.distance(name.lowercased(), $0) == 1 }
      ?? UsageHint.nearest(to: name, among: ours + Self.presets)
    let hint =
      near.map { "did you mean \(option) \($0)?" }
      ?? "there are \((ours + Self.presets).joined(separator: ", "))"
    throw ValidationError("there is no preset '\(name)' (hint: \(hint))")
  }

  /// The encoder's preset: that of `--encoder-preset`, or else of `--preset` if it is not a preset of this program.
  private var presetOfEncoder: String? {
    encoderPreset ?? preset.flatMap { Preset.names.contains($0) ? nil : $0 }
  }

  /// The encoder settings for `threads` threads and an output of this name.
  func settings(output: String, threads: Int) -> EncoderSettings {
    let container = container ?? (output == "-" ? Self.uncompressed : nil)
    let isUncompressed =
      container.map { $0 == Self.uncompressed } ?? output.lowercased().hasSuffix(".y4m")
    // NUT in a pipe feeds a program that processes the video further, so nothing is compressed.
    let usual =
      isUncompressed ? "wrapped_avframe" : output == "-" && container == "nut" ? "rawvideo" : "auto"
    let pairs = encoderOption.map { ($0.name, $0.value) }
    var settings = EncoderSettings(
      codec: codec ?? usual, crf: crf, preset: presetOfEncoder,
      options: Dictionary(pairs) { _, last in last }, container: container, pixelFormat: pixFmt,
      threads: threads)
    settings.convertsAudio = audio == .auto
    settings.convertsSubtitles = subtitles == .auto
    return settings
  }

  /// FFmpeg's name of the y4m container, which takes frames as they are.
  private static let uncompressed = "yuv4mpegpipe"
}

/// Handling of streams that the container does not support.
enum StreamHandling: String, CaseIterable, ExpressibleByArgument {
  case auto, copy
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
