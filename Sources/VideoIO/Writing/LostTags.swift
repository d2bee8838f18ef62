// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The tags of a source's stream that its copy should have.
struct StreamTags {
  /// In the source.
  let streamIndex: Int
  let entries: [MetadataEntry]
}

/// The tags that a finished file does not have, one line each: muxers drop in silence what they know no place for.
/// - Parameters:
///   - tags: those that the file should have.
///   - streams: those that its streams should have, by their index in it.
func lostTags(
  path: String, container: String, file tags: [MetadataEntry], streams: [Int: StreamTags]
) -> [String] {
  guard !tags.isEmpty || streams.values.contains(where: { !$0.entries.isEmpty }) else { return [] }
  var context: UnsafeMutablePointer<AVFormatContext>?
  let (opened, _) = LibavLog.collecting { avformat_open_input(&context, fileURL(path), nil, nil) }
  // What cannot be opened, such as pictures of several kinds, cannot be looked at either.
  guard opened >= 0, let raw = context else { return [] }
  defer { avformat_close_input(&context) }
  var lines = lost(tags, of: raw.pointee.metadata).map { "tag \($0) does not fit into \(container)" }
  for (index, wanted) in streams.sorted(by: { $0.value.streamIndex < $1.value.streamIndex }) {
    // Containers without a header tell their streams only later.
    guard index < Int(raw.pointee.nb_streams), let stream = raw.pointee.streams[index] else { continue }
    lines += lost(wanted.entries, of: stream.pointee.metadata).map {
      "tag \($0) of stream \(wanted.streamIndex) does not fit into \(container)"
    }
  }
  return lines
}

/// The keys of `tags` that are not in a dictionary, each once.
private func lost(_ tags: [MetadataEntry], of dictionary: OpaquePointer?) -> [String] {
  let kept = Set(MetadataEntry.entries(of: dictionary).map { $0.key.lowercased() })
  var lost: [String] = []
  for tag in tags where !kept.contains(tag.key.lowercased()) && !lost.contains(tag.key) {
    lost.append(tag.key)
  }
  return lost
}

extension MetadataEntry {
  /// Whether the tag speaks of the old video's bytes: its encoder, bit rate or statistics.
  var describesOldEncoding: Bool {
    let name = key.uppercased()
    return ["ENCODER", "DURATION", "ENCODER_OPTIONS"].contains(name) || name.hasPrefix("_STATISTICS")
      || ["BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES"].contains { name == $0 || name.hasPrefix($0 + "-") }
      || name.hasPrefix("DURATION-")
  }

  /// Whether the tag of a stream belongs to the container that it was in: names of its parts and writers, and what others
  /// tell in other ways.
  var describesOldContainer: Bool {
    [
      "file_package_umid", "file_package_name", "vendor_id", "handler_name", "creation_time", "language",
      "rotate", "timecode", "variant_bitrate", "id3v2_priv", "filename", "mimetype",
    ].contains(key.lowercased())
  }
}
