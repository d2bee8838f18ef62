// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The FFmpeg demuxers and protocols that are allowed for input. Media files are untrusted, and some of FFmpeg's hundreds of
/// formats open other files, devices or the network.
enum InputFormats {
  /// Common video formats, and the audio and picture files that accompany them.
  private static let media = [
    // Containers.
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "live_flv",
    "kux", "asf",
    "mxf", "gxf", "lxf", "nut", "ogg", "rm", "wtv", "dhav", "ivf", "ivr", "nsv", "nuv", "pmp", "pva", "swf",
    "viv", "vividas",
    "amv", "smjpeg", "vmd", "film_cpk", "flic", "smk", "bink", "roq", "dxa", "r3d", "cine", "ser", "mgsts",
    "xmv", "ifv", "mpjpeg",
    // Elementary video streams.
    "h264", "hevc", "vvc", "evc", "m4v", "mpegvideo", "h263", "h261", "vc1", "vc1test", "dirac", "dnxhd",
    "cavsvideo", "avs2",
    "avs3", "av1", "obu", "dv", "mjpeg", "mjpeg_2000", "yuv4mpegpipe", "gif", "apng", "jpegxl_anim", "webp",
    // Sound.
    "mp3", "aac", "flac", "wav", "w64", "aiff", "caf", "au", "amr", "amrnb", "amrwb", "ac3", "eac3", "ac4",
    "dts", "dtshd",
    "truehd", "mlp", "ape", "wv", "tta", "tak", "mpc", "mpc8", "dsf", "oma", "loas", "aa", "aax", "voc",
    "shn",
    // Pictures.
    "image2",
  ]
  private static let pictures = [
    "bmp", "dds", "dpx", "exr", "gem", "gif", "hdr", "j2k", "jpeg", "jpegls", "jpegxl", "jxl", "pam", "pbm",
    "pcx", "pfm", "pgm",
    "pgmyuv", "pgx", "phm", "photocd", "pictor", "png", "ppm", "psd", "qdraw", "qoi", "sgi", "sunrast",
    "tiff", "vbn", "webp",
    "xbm", "xpm", "xwd",
  ].map { $0 + "_pipe" }
  private static let playlists = ["hls", "dash", "concat"]

  /// The allowed demuxers, in FFmpeg's syntax.
  static func demuxers(playlists isPlaylist: Bool) -> String {
    (media + pictures + (isPlaylist ? playlists : [])).joined(separator: ",")
  }

  /// Whether the input is a file without content.
  static func isEmpty(_ path: String) -> Bool {
    guard isOnDisk(path), let file = try? DiskFile(reading: path) else { return false }
    return (try? file.size()) == 0
  }

  /// Whether the input can be read again, from any position.
  static func isOnDisk(_ path: String) -> Bool { !isURL(path) && !OutputFile.isStream(path) }

  /// Whether the input is a URL rather than a file.
  static func isURL(_ path: String) -> Bool { scheme(of: path) != nil }

  /// The scheme of a URL that can be read; nil for files.
  private static func scheme(of path: String) -> String? {
    let scheme = path.prefix { $0.isLetter }.lowercased()
    return ["http", "https"].contains(scheme) && path.dropFirst(scheme.count).hasPrefix("://") ? scheme : nil
  }

  /// Options for servers that stall or close the connection: reading fails after 20 s without data. A closed connection is
  /// reopened at the same position if the server accepts it within a few seconds.
  static func setNetworkOptions(_ options: inout OpaquePointer?, for path: String) {
    guard isURL(path) else { return }
    av_dict_set(&options, "rw_timeout", "20000000", 0)
    av_dict_set(&options, "reconnect", "1", 0)
    av_dict_set(&options, "reconnect_delay_max", "4", 0)
  }

  /// Whether a path is a pattern of numbered pictures, such as `frames/%05d.png`, and no file has this name.
  static func isSequence(_ path: String) -> Bool {
    guard !isURL(path), FilePlace(path: path) == nil else { return false }
    let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
    return name.contains(/%(0[0-9]+)?d/)
  }

  /// FFmpeg's URL of an input, and the protocols allowed for it and the files it refers to.
  /// - Parameter end: where reading a file ends, in bytes; nil reads all of it.
  static func address(_ path: String, end: Int? = nil) -> (url: String, protocols: String) {
    if path == "-" { return ("pipe:0", "pipe") }
    if let scheme = scheme(of: path) {
      return (scheme + path.dropFirst(scheme.count), "http,https,tcp,tls,httpproxy,crypto")
    }
    if isSequence(path) { return ("file:" + PictureSequence.pattern(path), "file,crypto") }
    if let end { return ("subfile,,start,0,end,\(end),,:file:" + path, "subfile,file,crypto") }
    // Otherwise, names with a colon would be taken for protocols.
    return ("file:" + path, "file,crypto")
  }
}
