// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Foundation

/// How far work has come, in words that fit a line. Every number says what it is.
struct ProgressText {
  /// 0...1; nil if unknown.
  var fraction: Double?
  /// What is counted, such as `60/400 frames`.
  var count: String
  /// Frames per second of work; nil before the first.
  var speed: Double?
  /// Seconds left; nil if unknown.
  var left: Double?

  private static let longestBar = 24
  private static let shortestBar = 8

  /// - Parameter elapsed: seconds of work so far.
  init(_ progress: EnhancementProgress, elapsed: Double) {
    fraction = progress.fraction
    count = progress.estimatedFrames.map { "\(progress.frames)/\($0) frames" } ?? "\(progress.frames) frames"
    if elapsed > 0 { speed = Double(progress.frames) / elapsed }
    left = Self.left(fraction, elapsed: elapsed)
  }

  init(fraction: Double?, count: String, frames: Int, elapsed: Double) {
    self.fraction = fraction
    self.count = count
    if elapsed > 0 { speed = Double(frames) / elapsed }
    left = Self.left(fraction, elapsed: elapsed)
  }

  private static func left(_ fraction: Double?, elapsed: Double) -> Double? {
    guard let fraction, fraction > 0 else { return nil }
    return elapsed * (1 - fraction) / fraction
  }

  /// `[=====-----] 50 % done, 120/240 frames, speed 24.0 fps, 0:05 left`, or less of it.
  /// - Parameter columns: of the terminal, one of which stays free so that no line wraps; nil for a line without a bar and of any
  ///   length.
  func line(columns: Int?) -> String {
    let done = fraction.map { "\(Int($0 * 100)) % done" }
    let pace = speed.map { String(format: "speed %.1f fps", $0) }
    let rest = left.map { clockText($0) + " left" }
    // From the longest to the shortest.
    let texts = [[done, count, pace, rest], [done, count, rest], [done, rest], [done ?? count]].map {
      $0.compactMap { $0 }.joined(separator: ", ")
    }
    guard let columns else { return texts[0] }
    let room = max(1, columns - 1)
    if let fraction {
      for text in texts {
        let bar = min(Self.longestBar, room - text.count - 3)
        if bar >= Self.shortestBar { return Self.bar(fraction, bar) + " " + text }
      }
    }
    return String((texts.first { !$0.isEmpty && $0.count <= room } ?? texts[3]).prefix(room))
  }

  private static func bar(_ fraction: Double, _ width: Int) -> String {
    let filled = Int(fraction * Double(width))
    return "[" + String(repeating: "=", count: filled) + String(repeating: "-", count: width - filled) + "]"
  }
}
