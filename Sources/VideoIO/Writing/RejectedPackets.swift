// SPDX-License-Identifier: Apache-2.0

/// Packets in a row that a container does not accept.
struct RejectedPackets {
  var count = 0
  /// Time of the first one in seconds, if known.
  let start: Double?
  let reason: LibavError

  /// More are not damage, but another codec or other parameters.
  static let most = 16
}
