// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Sizes of the packets that an encoder returned, in bytes.
package struct EncodedSizes: Sendable, Equatable {
  /// Number of packets, and of key frames among them.
  package var packets = 0
  package var keyPackets = 0
  /// Bytes of all packets, and of key frames.
  package var bytes = 0
  package var keyBytes = 0

  package init() {}

  mutating func add(_ packet: borrowing PacketOwner) {
    let size = Int(packet.raw.pointee.size)
    packets += 1
    bytes += size
    if packet.raw.pointee.flags & AV_PKT_FLAG_KEY != 0 {
      keyPackets += 1
      keyBytes += size
    }
  }

  package static func + (a: EncodedSizes, b: EncodedSizes) -> EncodedSizes {
    var sum = a
    sum.packets += b.packets
    sum.keyPackets += b.keyPackets
    sum.bytes += b.bytes
    sum.keyBytes += b.keyBytes
    return sum
  }
}
