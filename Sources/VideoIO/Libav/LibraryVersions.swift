// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The FFmpeg build in use: its libraries and their features.
package enum LibavBuild {
  /// One of the libraries.
  package struct Library: Sendable, Hashable {
    /// Its name, such as `libavcodec`.
    package let name: String
    /// Its version at run time: major, minor and micro.
    package let version: [Int]
    /// Whether it is at least the version of FFmpeg 5.1, the oldest supported release.
    package let isRecent: Bool

    init(_ name: String, _ version: UInt32, oldest: [Int]) {
      self.name = name
      let parts = [version >> 16, version >> 8 & 0xff, version & 0xff].map(Int.init)
      self.version = parts
      isRecent = !parts.lexicographicallyPrecedes(oldest)
    }
  }

  /// FFmpeg's version, such as `5.1.9`, including any suffix of the distribution.
  package static var version: String { av_version_info().map { String(cString: $0) } ?? "unknown" }

  /// The libraries in use.
  package static var libraries: [Library] {
    [
      Library("libavformat", avformat_version(), oldest: [59, 27]),
      Library("libavcodec", avcodec_version(), oldest: [59, 37]),
      Library("libavfilter", avfilter_version(), oldest: [8, 44]),
      Library("libswscale", swscale_version(), oldest: [6, 7]),
      Library("libavutil", avutil_version(), oldest: [57, 28]),
    ]
  }

  /// Whether FFmpeg has an encoder of this name.
  package static func hasEncoder(_ name: String) -> Bool { avcodec_find_encoder_by_name(name) != nil }

  /// Whether a file name extension, such as `mkv`, selects a container for video of any length. Excludes pictures, even
  /// animated ones: few colours or lossless frames are not a sensible output for enhanced video.
  package static func holdsVideo(ending: String) -> Bool {
    guard !ending.isEmpty, let format = av_guess_format(nil, "x." + ending, nil) else { return false }
    let isPicture =
      format.pointee.flags & AVFMT_NOFILE != 0
      || ["gif", "apng", "webp"].contains(String(cString: format.pointee.name))
    return !isPicture && format.pointee.video_codec != AV_CODEC_ID_NONE
  }
}
