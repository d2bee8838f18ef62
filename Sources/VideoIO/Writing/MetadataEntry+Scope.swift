// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

extension MetadataEntry {
  /// Whether the tag speaks of the old video's bytes: its encoder, bit rate or statistics.
  var describesOldEncoding: Bool {
    let name = key.uppercased()
    return ["ENCODER", "DURATION", "ENCODER_OPTIONS", "ALPHA_MODE"].contains(name)
      || name.hasPrefix("_STATISTICS")
      || ["BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES"].contains { name == $0 || name.hasPrefix($0 + "-") }
      || name.hasPrefix("DURATION-")
  }

  /// Whether the tag of a stream belongs to the container that it was in: names of its parts and writers, and what others
  /// tell in other ways.
  var describesOldContainer: Bool {
    [
      "file_package_umid", "file_package_name", "vendor_id", "handler_name", "creation_time", "language",
      "rotate", "timecode", "variant_bitrate", "id3v2_priv", "filename", "mimetype", "major_brand",
      "minor_version", "compatible_brands", "id",
    ].contains(key.lowercased())
  }
}
