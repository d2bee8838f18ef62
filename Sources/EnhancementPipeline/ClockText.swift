// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// `1:02:03`, or `2:03` below an hour.
package func clockText(_ seconds: Double) -> String {
  let total = Int(min(max(seconds, 0), 1e9).rounded())
  let (hours, minutes) = (total / 3600, total / 60 % 60)
  return hours > 0
    ? String(format: "%d:%02d:%02d", hours, minutes, total % 60)
    : String(format: "%d:%02d", minutes, total % 60)
}

extension Duration {
  /// The length in seconds.
  package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
