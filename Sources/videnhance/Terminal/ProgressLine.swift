// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Foundation
import Synchronization

/// Shows how far a job has come: a bar that is drawn again on a terminal, a line every ten seconds elsewhere.
final class ProgressLine: Sendable {
  private let isTerminal: Bool
  private let start = ContinuousClock.now
  private let state = Mutex(State())

  private struct State {
    var lastShown: ContinuousClock.Instant?
    var isBarVisible = false
  }

  init(isTerminal: Bool = Console.isTerminal) { self.isTerminal = isTerminal }

  /// Seconds since the beginning.
  var elapsed: Double { (ContinuousClock.now - start).seconds }

  /// Takes the latest progress, and shows it if it is time to.
  func update(_ progress: EnhancementProgress) {
    let now = ContinuousClock.now
    let isDue = state.withLock { state in
      let since = now - (state.lastShown ?? start)
      guard isTerminal ? since >= .milliseconds(100) || state.lastShown == nil : since >= .seconds(10) else {
        return false
      }
      state.lastShown = now
      state.isBarVisible = isTerminal
      return true
    }
    guard isDue else { return }
    let text = Self.text(progress, elapsed: (now - start).seconds, hasBar: isTerminal)
    // Return, and erase to the end of the line.
    if isTerminal { Console.write("\r\(text)\u{1b}[K") } else { Console.line(text) }
  }

  /// Takes the bar away.
  func clear() {
    let wasVisible = state.withLock { state in
      defer { state.isBarVisible = false }
      return state.isBarVisible
    }
    if wasVisible { Console.write("\r\u{1b}[K") }
  }

  /// `[=====-----]  50 %, 120/240 frames, 24.0 fps, 0:05 left`.
  static func text(_ progress: EnhancementProgress, elapsed: Double, hasBar: Bool) -> String {
    var parts: [String] = []
    if let fraction = progress.fraction {
      let width = 24
      let filled = Int(fraction * Double(width))
      let bar = String(repeating: "=", count: filled) + String(repeating: "-", count: width - filled)
      parts.append((hasBar ? "[\(bar)] " : "") + "\(Int(fraction * 100)) %")
    }
    parts.append(
      progress.estimatedFrames.map { "\(progress.frames)/\($0) frames" } ?? "\(progress.frames) frames")
    if elapsed > 0 { parts.append(String(format: "%.1f fps", Double(progress.frames) / elapsed)) }
    if let fraction = progress.fraction, fraction > 0 {
      parts.append(clock(elapsed * (1 - fraction) / fraction) + " left")
    }
    return parts.joined(separator: ", ")
  }

  /// `1:02:03`, or `2:03` below an hour.
  static func clock(_ seconds: Double) -> String {
    let total = Int(min(max(seconds, 0), 1e9).rounded())
    let (hours, minutes) = (total / 3600, total / 60 % 60)
    return hours > 0
      ? String(format: "%d:%02d:%02d", hours, minutes, total % 60)
      : String(format: "%d:%02d", minutes, total % 60)
  }
}

extension Duration {
  /// The length in seconds.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
