// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg
internal import Synchronization

/// FFmpeg's log, kept off stderr. Callers collect lines where they need them.
package enum LibavLog {
  /// One logged message.
  struct Line {
    let text: String
    /// Whether it is an error rather than a warning.
    let isError: Bool
  }

  /// Lines being collected, by collecting thread; lines of other threads are dropped.
  private static let collections = Mutex<[UInt: [Line]]>([:])

  private static let installed: Void = cffmpeg_set_line_handler { level, line in
    guard let line else { return }
    LibavLog.append(
      String(cString: line), isError: level <= AV_LOG_ERROR, thread: cffmpeg_thread_identity())
  }

  private static let belongsToHost = Atomic(false)

  /// Leaves FFmpeg's log to the program that this code is loaded into, which may use FFmpeg itself; nothing is collected
  /// then.
  package static func leaveToHost() { belongsToHost.store(true, ordering: .relaxed) }

  /// Redirects FFmpeg's log; runs once, before FFmpeg's first use.
  static func install() { if !belongsToHost.load(ordering: .relaxed) { installed } }

  private static func append(_ line: String, isError: Bool, thread: UInt) {
    var text = line[...]
    while let last = text.last, last.isWhitespace { text.removeLast() }
    guard !text.isEmpty else { return }
    collections.withLock { collections in
      // A damaged file can log endlessly; the first lines are enough to identify the problem.
      guard var lines = collections[thread], lines.count < 16 else { return }
      lines.append(Line(text: String(text), isError: isError))
      collections[thread] = lines
    }
  }

  /// Runs `body` and returns the warnings and errors that FFmpeg logged on this thread.
  static func collecting<Result>(_ body: () -> Result) -> (Result, [String]) {
    let (result, lines) = collectingLines(body)
    return (result, lines.map(\.text))
  }

  /// Runs `body` and returns what FFmpeg logged on this thread, with errors distinguished from warnings.
  static func collectingLines<Result>(_ body: () -> Result) -> (Result, [Line]) {
    install()
    let thread = cffmpeg_thread_identity()
    let outer = collections.withLock { $0.updateValue([], forKey: thread) }
    let result = body()
    let lines = collections.withLock { collections in
      let lines = collections[thread] ?? []
      collections[thread] = outer
      return lines
    }
    return (result, lines)
  }

  /// Runs a call that returns a negative code on failure.
  /// - Throws: `LibavError` with the code and the lines logged.
  @discardableResult
  static func check(_ body: () -> Int32) throws(LibavError) -> Int32 {
    let (code, lines) = collecting(body)
    guard code >= 0 else { throw LibavError(code: code, log: lines) }
    return code
  }
}
