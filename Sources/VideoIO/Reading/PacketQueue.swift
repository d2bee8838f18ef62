// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Packets read ahead, in file order.
struct PacketQueue: ~Copyable {
  /// The most bytes of packets held.
  private static let mostBytes = 32 << 20

  private final class Entry {
    let packet: PacketOwner
    let log: [String]
    let codec: AVCodecID

    init(_ packet: consuming PacketOwner, log: [String], codec: AVCodecID) {
      self.packet = packet
      self.log = log
      self.codec = codec
    }
  }

  private var entries: [Entry] = []
  private var position = 0
  private var byteCount = 0
  /// The outcome of reading ahead if it was not a packet.
  private var end: Demuxer.Outcome?
  /// The codec of the last packet taken: transport streams may change it.
  private(set) var codec = AV_CODEC_ID_NONE

  init() {}

  /// Whether the file ends after the held packets.
  var reachesEnd: Bool { end != nil }

  /// Takes the next packet, from the queue or else from the file.
  mutating func next(of demuxer: borrowing Demuxer, into packet: borrowing PacketOwner) -> Demuxer.Outcome {
    guard position < entries.count else {
      if let end { return end }
      let outcome = demuxer.read(into: packet)
      codec = demuxer.codec(of: packet)
      return outcome
    }
    let entry = entries[position]
    position += 1
    // Also if packets are read ahead continuously, so that the queue never runs empty: entries already taken must not pile up.
    if position == entries.count || position > 1000 {
      entries.removeFirst(position)
      position = 0
    }
    codec = entry.codec
    byteCount -= Int(entry.packet.raw.pointee.size)
    av_packet_unref(packet.raw)
    av_packet_move_ref(packet.raw, entry.packet.raw)
    return .packet(log: entry.log)
  }

  /// Reads ahead until `packets` packets are held, or `own` packets of one stream.
  mutating func fill(from demuxer: borrowing Demuxer, packets: Int, own: Int, stream: Int)
    throws(VideoIOError)
  {
    var found = 0
    for entry in entries[position...] where Int(entry.packet.raw.pointee.stream_index) == stream {
      found += 1
    }
    while end == nil, entries.count - position < packets, found < own, byteCount < Self.mostBytes {
      let packet = try PacketOwner()
      switch demuxer.read(into: packet) {
      case .packet(let log):
        byteCount += Int(packet.raw.pointee.size)
        if Int(packet.raw.pointee.stream_index) == stream { found += 1 }
        let codec = demuxer.codec(of: packet)
        entries.append(Entry(packet, log: log, codec: codec))
      case let outcome: end = outcome
      }
    }
  }

  /// Maps the held packets.
  func map<Result>(_ body: (UnsafePointer<AVPacket>) -> Result?) -> [Result] {
    entries[position...].compactMap { body($0.packet.raw) }
  }
}
