// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Packets read ahead, in file order.
struct PacketQueue: ~Copyable {
  /// The most bytes of packets held.
  private static let mostBytes = 32 << 20

  private final class Entry {
    let packet: PacketOwner
    let log: [String]

    init(_ packet: consuming PacketOwner, log: [String]) {
      self.packet = packet
      self.log = log
    }
  }

  private var entries: [Entry] = []
  private var position = 0
  private var byteCount = 0
  /// The outcome of reading ahead if it was not a packet.
  private var end: Demuxer.Outcome?

  init() {}

  /// Whether the file ends after the held packets.
  var reachesEnd: Bool { end != nil }

  /// Takes the next packet, from the queue or else from the file.
  mutating func next(of demuxer: borrowing Demuxer, into packet: borrowing PacketOwner) -> Demuxer.Outcome {
    guard position < entries.count else {
      if let end { return end }
      return demuxer.read(into: packet)
    }
    let entry = entries[position]
    position += 1
    // Also while more is read ahead for every packet, what has been taken must not pile up.
    if position == entries.count || position > 1000 {
      entries.removeFirst(position)
      position = 0
    }
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
        entries.append(Entry(packet, log: log))
      case let outcome: end = outcome
      }
    }
  }

  /// Maps the held packets.
  func map<Result>(_ body: (UnsafePointer<AVPacket>) -> Result?) -> [Result] {
    entries[position...].compactMap { body($0.packet.raw) }
  }
}
