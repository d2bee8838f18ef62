// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

extension MetadataEntry {
  /// Whether the tag describes the old video's encoding: its encoder, bit rate or statistics.
  var describesOldEncoding: Bool {
    let name = key.uppercased()
    return ["ENCODER", "DURATION", "ENCODER_OPTIONS", "ALPHA_MODE"].contains(name)
      || name.hasPrefix("_STATISTICS")
      || ["BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES"].contains { name == $0 || name.hasPrefix($0 + "-") }
      || name.hasPrefix("DURATION-")
  }

  /// Whether a stream's tag is specific to its original container: names of its handlers and writers, and properties that
  /// other containers store differently.
  var describesOldContainer: Bool {
    [
      "file_package_umid", "file_package_name", "vendor_id", "handler_name", "creation_time", "language",
      "rotate", "timecode", "variant_bitrate", "id3v2_priv", "filename", "mimetype", "major_brand",
      "minor_version", "compatible_brands", "id",
    ].contains(key.lowercased())
  }
}
