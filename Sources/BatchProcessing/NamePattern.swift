// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import VideoIO

/// A pattern for output names.
package struct NamePattern: Sendable, Equatable {
  /// The pattern as given.
  package let text: String
  /// The default pattern.
  package static let usual = NamePattern("{name}.{ext}")!
  private static let placeholders = ["{name}", "{ext}", "{task}", "{bits}"]

  /// Checks a pattern; nil if it has a slash, which would leave the folder, or lacks `{name}`, without which
  /// all outputs would be the same file.
  package init?(_ argument: String) {
    var rest = argument
    for placeholder in Self.placeholders { rest = rest.replacingOccurrences(of: placeholder, with: "") }
    guard argument.contains("{name}"), !rest.contains(where: { "/{}\0".contains($0) }) else { return nil }
    text = argument
  }

  /// Endings of containers that are replaced unless an encoder is named: Ogg only supports Theora, of poor quality with
  /// default options; the others are outdated (`VideoIOError.outdatedContainer`).
  private static let replaced: Set = [
    "ogv", "ogg", "ogm", "ogx", "avi", "mpg", "mpeg", "vob", "dvd", "vcd", "svcd", "wmv", "asf",
  ]

  /// Whether the pattern depends on the number of bits.
  package var needsBits: Bool { text.contains("{bits}") }

  /// Returns the output's name for a file's name.
  /// - Parameters:
  ///   - keepsEnding: whether the container is chosen independently of the ending.
  ///   - encoderIsGiven: whether the encoder is chosen independently of the container.
  package func output(
    for file: String, task: String, bits: String, keepsEnding: Bool, encoderIsGiven: Bool = false
  ) -> String {
    let (name, ending) = Self.split(file)
    func filled(_ ending: String) -> String {
      // A single pass, since names may contain braces.
      var result = ""
      var rest = text[...]
      while let character = rest.first {
        let values = [name, ending, task, bits]
        if let index = Self.placeholders.firstIndex(where: { rest.hasPrefix($0) }) {
          result += values[index]
          rest = rest.dropFirst(Self.placeholders[index].count)
        } else {
          result.append(character)
          rest = rest.dropFirst()
        }
      }
      return result
    }
    func isKnown(_ output: String) -> Bool {
      let ending = Self.split(output).ending
      return LibavBuild.holdsVideo(ending: ending)
        && (encoderIsGiven || !Self.replaced.contains(ending.lowercased()))
    }
    let plain = filled(ending)
    if isKnown(plain) || keepsEnding && !ending.isEmpty { return plain }
    let fallback = text.contains("{ext}") ? filled("mkv") : plain
    return isKnown(fallback) || keepsEnding ? fallback : fallback + ".mkv"
  }

  /// Splits a file's name at its last dot.
  package static func split(_ file: String) -> (name: String, ending: String) {
    guard let dot = file.lastIndex(of: "."), dot != file.startIndex else { return (file, "") }
    return (String(file[..<dot]), String(file[file.index(after: dot)...]))
  }
}

/// Classifies files by their endings, before they are opened.
package enum FileEnding {
  /// Not videos: neither opened nor reported. Includes playlists, whose segments are in the same folder.
  package static let passedOver: Set<String> = [
    "txt", "md", "json", "jsonl", "ndjson", "yaml", "yml", "toml", "ini", "cfg", "conf", "csv", "tsv", "xml",
    "html",
    "htm", "css", "js", "py", "sh", "bat", "c", "h", "swift", "ipynb", "log", "nfo", "lock", "pdf", "doc",
    "docx",
    "xls", "xlsx", "ppt", "pptx", "rtf", "tex", "srt", "ass", "ssa", "vtt", "sub", "idx", "sup", "lrc", "zip",
    "gz",
    "bz2", "xz", "zst", "7z", "rar", "tar", "tgz", "md5", "sha1", "sha256", "sfv", "par2", "torrent", "part",
    "tmp",
    "bak", "crdownload", "m3u", "m3u8", "mpd", "pls", "cue", "ffconcat", "sdp", "xmp", "lrv", "thm", "edl",
    "fcpxml",
    "drp", "npy", "npz", "pt", "pth", "onnx", "safetensors", "bin", "exe", "dll", "so", "ttf", "otf", "db",
    "jpg", "jpeg",
    "png", "bmp", "tif", "tiff", "webp", "heic", "heif", "avif", "jxl", "svg", "psd", "xcf", "ico", "tga",
    "exr",
    "dpx", "raw", "cr2", "cr3", "nef", "arw", "dng", "ppm", "pgm", "pbm",
  ]

  /// Media: if such a file cannot be opened, it is broken.
  package static let media: Set<String> = [
    "mp4", "m4v", "mov", "qt", "mkv", "mk3d", "webm", "avi", "divx", "ts", "m2ts", "mts", "m2t", "mpg",
    "mpeg", "m2v",
    "m1v", "mpv", "vob", "flv", "f4v", "wmv", "asf", "3gp", "3g2", "ogv", "ogg", "ogm", "mxf", "y4m", "nut",
    "h264",
    "264", "avc", "hevc", "h265", "265", "ivf", "obu", "av1", "dv", "rm", "rmvb", "gif", "wtv", "dav", "insv",
    "mp3",
    "m4a", "m4b", "aac", "flac", "wav", "wave", "opus", "oga", "wma", "mka", "ac3", "eac3", "dts", "thd",
    "aif", "aiff",
    "caf", "amr", "mp2", "ape", "wv",
  ]
}
