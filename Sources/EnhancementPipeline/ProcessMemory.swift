// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Memory of this process.
package enum ProcessMemory {
  /// Peak resident memory in bytes; nil if the system does not report it (Linux does).
  package static var peakBytes: Int? {
    let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line.flatMap { Int($0.filter(\.isNumber)) }.map { $0 * 1024 }
  }
}
