// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// How many columns a `LineExecutor` computes before the next ones.
enum LineStrip {
  /// The columns that the environment variable VIDENHANCE_STRIP asks for: a number, or `cache` for `columns(for:cacheBytes:)`
  /// of this machine's second-level cache; nil (all columns) without the variable.
  static func columns(for plan: LinePlan) -> Int? {
    guard let asked = ProcessInfo.processInfo.environment["VIDENHANCE_STRIP"] else { return nil }
    if asked == "cache" { return cacheBytes.map { columns(for: plan, cacheBytes: $0) } }
    return Int(asked).flatMap { $0 > 0 ? $0 : nil }
  }

  /// The columns of which all stored rows fit half of a cache, in multiples of 32, the widest tile of the kernels; at least 96.
  static func columns(for plan: LinePlan, cacheBytes: Int) -> Int {
    let column = (plan.codes + plan.streams).reduce(0) { $0 + $1.rows * $1.pixelBytes }
    return max(96, cacheBytes / 2 / column / 32 * 32)
  }

  /// Bytes of a core's second-level cache, if the system knows.
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
