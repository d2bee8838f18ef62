// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

extension Demuxer {
  /// Keeps the last frame of an MP4 file whose edit list covers all of the media.
  ///
  /// Muxers that do not know how long the last frame lasts write a duration of 0. Then the media, and an edit
  /// list as long as the media, end where this frame begins, and FFmpeg discards it. Players show it.
  func keepFramesAtTheEnd() {
    guard mayHaveEditLists else { return }
    for index in 0..<streamCount {
      guard let stream = stream(index), stream.pointee.codecpar?.pointee.codec_type == AVMEDIA_TYPE_VIDEO,
        let last = Self.soleDiscardedEntry(of: stream)
      else { continue }
      // The duration according to the edit list, and that of the media.
      guard stream.pointee.duration == mediaDuration(of: index) else { continue }
      // FFmpeg's demuxer reads the flag from this entry when it comes to the packet.
      UnsafeMutablePointer(mutating: last).pointee.flags &= ~AVINDEX_DISCARD_FRAME
    }
  }

  /// The entry of the only frame at the end that the edit list leaves out; nil if there are none, or several.
  ///
  /// Entries are in decoding order: the last frame may be up to 16 entries (the limit of H.264 and HEVC) from the
  /// end.
  private static func soleDiscardedEntry(
    of stream: UnsafeMutablePointer<AVStream>
  ) -> UnsafePointer<AVIndexEntry>? {
    let count = avformat_index_get_entries_count(stream)
    let discarded = (max(0, count - 16)..<count).compactMap { entry in
      avformat_index_get_entry(stream, entry).flatMap {
        $0.pointee.flags & AVINDEX_DISCARD_FRAME != 0 ? $0 : nil
      }
    }
    return discarded.count == 1 && count > 1 ? discarded[0] : nil
  }

  /// A stream's duration regardless of edit lists; nil if it cannot be found out.
  private func mediaDuration(of index: Int) -> Int64? {
    guard let plain = try? Demuxer(path: path, ignoresEditLists: true) else { return nil }
    return plain.stream(index)?.pointee.duration
  }
}
