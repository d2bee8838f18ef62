// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Foundation

/// Formats progress as a line of text with labelled numbers.
struct ProgressText {
  /// Part done, 0...1; nil if unknown.
  var fraction: Double?
  /// Counted units, such as `60/400 frames`.
  var count: String
  /// Frames per second; nil before the first frame.
  var speed: Double?
  /// Seconds left; nil if unknown.
  var left: Double?

  private static let longestBar = 24
  private static let shortestBar = 8

  /// - Parameter elapsed: seconds of work so far.
  init(_ progress: EnhancementProgress, elapsed: Double) {
    fraction = progress.fraction
    count =
      progress.estimatedFrames.map { "\(progress.frames)/\(counted($0, "frame"))" }
      ?? counted(progress.frames, "frame")
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

  /// Returns `[=====-----] 50 % done, 120/240 frames, speed 24.0 fps, 0:05 left`, shortened to fit.
  /// - Parameter columns: width of the terminal, of which one column stays free to avoid wrapping; nil
  ///   returns a line of any length without a bar.
  func line(columns: Int?) -> String {
    let done = fraction.map { "\(Int($0 * 100)) % done" }
    let pace = speed.map { String(format: "speed %.1f fps", $0) }
    let rest = left.map { clockText($0) + " left" }
    // In order of decreasing length.
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
