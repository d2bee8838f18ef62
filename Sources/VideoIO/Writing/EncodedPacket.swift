// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// A packet of a stream that is copied without change: audio, subtitles, data, another video.
package struct EncodedPacket: Sendable {
  /// The stream's index in its source file.
  package let streamIndex: Int
  /// Presentation time in ticks of its stream; nil if unknown.
  package let presentationTimestamp: Int64?
  /// Decoding time in ticks of its stream; nil if unknown.
  package let decodingTimestamp: Int64?
  /// Duration in the same ticks; 0 if unknown.
  package let duration: Int64
  /// Seconds per tick.
  package let timeBase: Rational
  /// The coded bytes.
  package let bytes: [UInt8]

  /// `AV_PKT_FLAG_*`.
  let flags: Int32
  let sideData: [SideData]

  /// A block of side data: FFmpeg's type and its bytes.
  struct SideData: Sendable, Hashable {
    let type: UInt32
    let bytes: [UInt8]
  }

  /// Creates a packet from its parts; `Int64.min` stands for an unknown time.
  init(
    streamIndex: Int, presentation: Int64, decoding: Int64, duration: Int64, timeBase: Rational,
    bytes: [UInt8],
    flags: Int32, sideData: [SideData]
  ) {
    self.streamIndex = streamIndex
    presentationTimestamp = presentation == noTimestamp ? nil : presentation
    decodingTimestamp = decoding == noTimestamp ? nil : decoding
    self.duration = duration
    self.timeBase = timeBase
    self.bytes = bytes
    self.flags = flags
    self.sideData = sideData
  }

  init(_ packet: UnsafePointer<AVPacket>, timeBase: Rational) {
    let value = packet.pointee
    streamIndex = Int(value.stream_index)
    presentationTimestamp = value.pts == noTimestamp ? nil : value.pts
    decodingTimestamp = value.dts == noTimestamp ? nil : value.dts
    duration = max(value.duration, 0)
    self.timeBase = timeBase
    flags = value.flags
    bytes = byteArray(value.data, Int(value.size))
    sideData = (0..<Int(max(value.side_data_elems, 0))).compactMap { index in
      guard let entry = value.side_data?[index] else { return nil }
      return SideData(
        type: entry.type.rawValue, bytes: byteArray(entry.data, entry.size))
    }
  }

  /// Fills an empty libav packet; times are in the packet's own ticks.
  /// - Parameter ignored: types of side data to omit.
  func store(
    in packet: UnsafeMutablePointer<AVPacket>, without ignored: Set<UInt32> = []
  ) throws(VideoIOError) {
    guard let count = Int32(exactly: bytes.count), av_new_packet(packet, count) >= 0 else {
      throw .outOfMemory
    }
    bytes.withUnsafeBytes { source in
      if let base = source.baseAddress { memcpy(packet.pointee.data, base, source.count) }
    }
    packet.pointee.pts = presentationTimestamp ?? noTimestamp
    packet.pointee.dts = decodingTimestamp ?? noTimestamp
    packet.pointee.duration = duration
    packet.pointee.flags = flags
    for entry in sideData where !ignored.contains(entry.type) {
      let type = AVPacketSideDataType(entry.type)
      guard let target = av_packet_new_side_data(packet, type, entry.bytes.count) else {
        throw .outOfMemory
      }
      entry.bytes.withUnsafeBytes { source in
        if let base = source.baseAddress { memcpy(target, base, source.count) }
      }
    }
  }
}

/// Copies bytes owned by libav; empty for null.
func byteArray(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
  guard let bytes, count > 0 else { return [] }
  return Array(UnsafeBufferPointer(start: bytes, count: count))
}

/// An item returned by a reader, in file order.
package enum MediaItem: Sendable {
  /// A decoded picture of the video stream.
  case frame(VideoFrame)
  /// A packet of another stream, to be copied.
  case packet(EncodedPacket)
}
