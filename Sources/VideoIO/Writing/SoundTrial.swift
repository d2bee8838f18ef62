// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Decodes the beginning of a stream of sound before it is converted: a stream that cannot be decoded is left out instead of
/// leaving an empty one in the output.
enum SoundTrial {
  /// How many packets of the stream, and of the file, to look at.
  private static let (mostPackets, mostRead) = (50, 20_000)

  /// Whether the first packets of a stream can be decoded. Also true if they cannot be looked at, as with pipes and playlists.
  static func succeeds(with stream: SourceStream, of path: String) -> Bool {
    guard !path.isEmpty, InputFormats.isOnDisk(path),
      let demuxer = try? Demuxer(path: path), let packet = try? PacketOwner(),
      let decoder = try? openDecoder(of: stream)
    else { return true }
    let index = stream.info.index
    for other in 0..<demuxer.streamCount where other != index {
      demuxer.stream(other)?.pointee.discard = AVDISCARD_ALL
    }
    var count = 0
    for _ in 0..<mostRead {
      guard case .packet = demuxer.read(into: packet), count < mostPackets else { break }
      guard Int(packet.raw.pointee.stream_index) == index else { continue }
      count += 1
      _ = LibavLog.collecting { avcodec_send_packet(decoder.raw, packet.raw) }
      if hasSamples(decoder) { return true }
    }
    _ = LibavLog.collecting { avcodec_send_packet(decoder.raw, nil) }
    return count == 0 || hasSamples(decoder)
  }

  static func hasSamples(_ decoder: borrowing CodecContextOwner) -> Bool {
    guard let frame = try? FrameOwner() else { return true }
    let (code, _) = LibavLog.collecting { avcodec_receive_frame(decoder.raw, frame.raw) }
    return code >= 0 && frame.raw.pointee.nb_samples > 0 && frame.raw.pointee.sample_rate > 0
  }
}
