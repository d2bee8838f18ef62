// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// A failed FFmpeg call: its error code, and the lines logged during the call.
package struct LibavError: Error, Hashable, Sendable, CustomStringConvertible {
  /// FFmpeg's code: a negated `errno`, or one of FFmpeg's own tags; always negative.
  package let code: Int32

  /// What FFmpeg logged as an error or warning during the call, oldest first; often empty.
  package let log: [String]

  /// Creates an error from FFmpeg's code and the lines logged.
  package init(code: Int32, log: [String] = []) {
    self.code = code
    self.log = log
  }

  /// Creates an error from an `errno` value.
  package init(errno: Int32) {
    self.init(errno: errno, log: [])
  }

  init(errno: Int32, log: [String]) {
    self.init(code: cffmpeg_error_from_errno(errno), log: log)
  }

  /// Whether the same call may succeed later: the system lacked space, memory or descriptors, or the connection failed.
  var isWorthRetry: Bool {
    let numbers = [ENOSPC, EDQUOT, ENOMEM, EIO, ESTALE, ETIMEDOUT, EAGAIN, EMFILE, ENFILE, EINTR]
    return numbers.contains { code == LibavError(errno: $0).code }
  }

  static let endOfFile = LibavError(code: cffmpeg_error_end_of_file())
  static let again = LibavError(code: cffmpeg_error_again())
  static let invalidData = LibavError(code: cffmpeg_error_invalid_data())
  static let outOfMemory = LibavError(errno: 12)

  /// FFmpeg's message for the code, with the most relevant log line in parentheses if there is one.
  ///
  /// The corresponding C function is `av_strerror`.
  package var description: String {
    guard let line = log.last, line != words else { return words }
    return "\(words) (\(line))"
  }

  /// FFmpeg's message for the code alone.
  var words: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let base = buffer.baseAddress, av_strerror(code, base, buffer.count) >= 0 else {
        return "error \(code)"
      }
      return String(cString: base)
    }
  }
}
