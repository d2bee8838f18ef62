// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Which of FFmpeg's demuxers and protocols files are read with. A media file is data, whatever it says: FFmpeg knows hundreds of
/// formats, among them some that lead to other files, to devices and to the network.
enum InputFormats {
  /// What people's videos come in, and the sound files and pictures that lie beside them.
  private static let media = [
    // Containers.
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "live_flv",
    "kux", "asf",
    "mxf", "gxf", "lxf", "nut", "ogg", "rm", "wtv", "dhav", "ivf", "ivr", "nsv", "nuv", "pmp", "pva", "swf",
    "viv", "vividas",
    "amv", "smjpeg", "vmd", "film_cpk", "flic", "smk", "bink", "roq", "dxa", "r3d", "cine", "ser", "mgsts",
    "xmv", "ifv", "mpjpeg",
    // Bare streams of video.
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

  /// The demuxers for a file, in FFmpeg's words.
  static func demuxers(playlists isPlaylist: Bool) -> String {
    (media + pictures + (isPlaylist ? playlists : [])).joined(separator: ",")
  }

  /// Whether an input is an address that the user gave, and no file.
  static func isURL(_ path: String) -> Bool { path.hasPrefix("http://") || path.hasPrefix("https://") }

  /// Whether a path stands for numbered pictures, as `frames/%05d.png` does if no file is called so.
  static func isSequence(_ path: String) -> Bool {
    guard !isURL(path), FilePlace(path: path) == nil else { return false }
    let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
    return name.contains(/%(0[0-9]+)?d/)
  }

  /// FFmpeg's address of an input, and what it and whatever it names may be fetched by.
  static func address(_ path: String) -> (url: String, protocols: String) {
    if path == "-" { return ("pipe:0", "pipe") }
    if isURL(path) { return (path, "http,https,tcp,tls,httpproxy,crypto") }
    // Names with a colon would be taken for protocols.
    return ("file:" + path, "file,crypto")
  }
}
