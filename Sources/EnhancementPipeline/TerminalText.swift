// SPDX-License-Identifier: Apache-2.0
package import Foundation

/// Returns a time such as `1:02:03`, or `2:03` below an hour.
package func clockText(_ seconds: Double) -> String {
  let total = Int(min(max(seconds, 0), 1e9).rounded())
  let (hours, minutes) = (total / 3600, total / 60 % 60)
  return hours > 0
    ? String(format: "%d:%02d:%02d", hours, minutes, total % 60)
    : String(format: "%d:%02d", minutes, total % 60)
}

/// Returns a number with its noun, such as `1 frame` or `2 frames`.
package func counted(_ number: Int, _ noun: String) -> String {
  number == 1 ? "1 \(noun)" : "\(number) \(noun)s"
}

/// Returns a line of JSON that is safe to print on a terminal. JSON does not escape control characters from
/// 0x7F to 0x9F.
package func terminalJSON(_ line: Data) -> String {
  String(decoding: line, as: UTF8.self).unicodeScalars.reduce(into: "") { text, scalar in
    if (0x7F...0x9F).contains(scalar.value) {
      text += "\\u00" + String(scalar.value, radix: 16)
    } else {
      text.unicodeScalars.append(scalar)
    }
  }
}

extension Duration {
  /// The duration in seconds.
  package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
