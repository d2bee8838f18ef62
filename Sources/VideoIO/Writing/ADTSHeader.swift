// SPDX-License-Identifier: Apache-2.0

/// The parameters of AAC sound as they precede each packet in transport streams (ISO 13818-7, 6.2). Other containers have them
/// once, in the header of the file.
struct ADTSHeader: Sendable, Equatable, CustomStringConvertible {
  private let profile, rate, channels: UInt8

  private static let rates = [
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
  ]

  /// nil if a packet does not begin with such a header.
  init?(_ bytes: [UInt8]) {
    guard bytes.count > 7, bytes[0] == 0xFF, bytes[1] & 0xF6 == 0xF0,
      Int(bytes[2] >> 2 & 15) < Self.rates.count,
      // The length of the packet.
      Int(bytes[3] & 3) << 11 | Int(bytes[4]) << 3 | Int(bytes[5] >> 5) == bytes.count
    else { return nil }
    profile = bytes[2] >> 6
    rate = bytes[2] >> 2 & 15
    channels = bytes[2] << 2 & 4 | bytes[3] >> 6
  }

  var description: String {
    let count = channels == 7 ? 8 : channels
    return "\(Self.rates[Int(rate)]) Hz, \(count) \(count == 1 ? "channel" : "channels")"
  }
}
