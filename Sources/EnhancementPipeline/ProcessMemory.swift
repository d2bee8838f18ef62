// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Memory of this process.
package enum ProcessMemory {
  /// The most bytes that were resident at one time so far; nil where the system does not tell (it does on Linux).
  package static var peakBytes: Int? {
    let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line.flatMap { Int($0.filter(\.isNumber)) }.map { $0 * 1024 }
  }
}
