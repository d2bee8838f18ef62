// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Foundation
import Synchronization
import VideoIO

/// Prints the combined progress of files that are enhanced concurrently, in one line.
final class BatchLine: Sendable {
  private let style: ProgressStyle
  private let fileCount: Int
  private let start = ContinuousClock.now
  private let state = Mutex(State())

  private struct State {
    var finished = 0
    var finishedFrames = 0
    var current: [Int: EnhancementProgress] = [:]
    var lastShown: ContinuousClock.Instant?
    var isBarVisible = false
  }

  /// - Parameters:
  ///   - fileCount: the number of files.
  ///   - isTerminal: whether standard error is a terminal.
  init(_ style: ProgressStyle, fileCount: Int, isTerminal: Bool = Console.isTerminal) {
    self.style = style == .auto ? (isTerminal ? .bar : .lines) : style
    self.fileCount = fileCount
  }

  /// Records the progress of a file, and prints the line if an update is due.
  func update(_ file: Int, _ progress: EnhancementProgress) {
    guard style == .bar || style == .lines else { return }
    let now = ContinuousClock.now
    state.withLock { state in
      state.current[file] = progress
      let interval: Duration = style == .bar ? .milliseconds(100) : .seconds(10)
      let isFirst = state.lastShown == nil && style == .bar
      guard isFirst || now - (state.lastShown ?? start) >= interval else { return }
      state.lastShown = now
      let text = Self.text(
        finished: state.finished, of: fileCount, current: Array(state.current.values),
        finishedFrames: state.finishedFrames, elapsed: (now - start).seconds,
        columns: style == .bar ? Console.columns : nil)
      // Printed with the lock held: several files report concurrently.
      if style == .bar {
        Console.write("\r\(text)\u{1b}[K")
        state.isBarVisible = true
      } else {
        Console.line(text)
      }
    }
  }

  /// Records that a file is finished, and prints its messages in place of the line.
  func end(_ file: Int, frames: Int, printing messages: () -> Void) {
    state.withLock { state in
      state.finished += 1
      state.finishedFrames += frames
      state.current[file] = nil
      if state.isBarVisible { Console.write("\r\u{1b}[K") }
      state.isBarVisible = false
      messages()
    }
  }

  /// Returns `[====----] 35 % done, 3/10 files, 2 at work, speed 20.1 fps, 1:30 left`.
  static func text(
    finished: Int, of count: Int, current: [EnhancementProgress], finishedFrames: Int, elapsed: Double,
    columns: Int?
  ) -> String {
    // Files count equally regardless of their length: the lengths of later files are unknown.
    let parts = current.reduce(Double(finished)) { $0 + ($1.fraction ?? 0) }
    let frames = current.reduce(finishedFrames) { $0 + $1.frames }
    return ProgressText(
      fraction: count > 0 ? min(parts / Double(count), 1) : nil,
      count: "\(finished)/\(count) files, \(current.count) at work", frames: frames, elapsed: elapsed
    ).line(columns: columns)
  }
}
