// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Width of the column strips that a `LineExecutor` computes one after another.
enum LineStrip {
  /// Returns the columns set by the environment variable VIDENHANCE_STRIP: a number, or `cache` for
  /// `columns(for:cacheBytes:)` with the size of this machine's second-level cache; nil (all columns) if the
  /// variable is not set.
  static func columns(for plan: LinePlan) -> Int? {
    guard let asked = ProcessInfo.processInfo.environment["VIDENHANCE_STRIP"] else { return nil }
    if asked == "cache" { return cacheBytes.map { columns(for: plan, cacheBytes: $0) } }
    return Int(asked).flatMap { $0 > 0 ? $0 : nil }
  }

  /// Returns the largest width for which all stored rows fit in half of a cache, as a multiple of 32, the
  /// widest tile of the kernels; at least 96.
  static func columns(for plan: LinePlan, cacheBytes: Int) -> Int {
    let column = (plan.codes + plan.streams).reduce(0) { $0 + $1.rows * $1.pixelBytes }
    return max(96, cacheBytes / 2 / column / 32 * 32)
  }

  /// Size of a core's second-level cache in bytes; nil if the system does not report it.
  static var cacheBytes: Int? {
    #if os(Linux)
      // _SC_LEVEL2_CACHE_SIZE
      let bytes = sysconf(194)
      return bytes > 0 ? bytes : nil
    #else
      return nil
    #endif
  }
}
