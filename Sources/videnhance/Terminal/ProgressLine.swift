// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementPipeline
import Foundation
import Synchronization
import VideoIO

/// `--progress`: the style of the progress display.
enum ProgressStyle: String, CaseIterable, ExpressibleByArgument {
  /// A bar on a terminal, lines elsewhere.
  case auto
  /// A line that is redrawn.
  case bar
  /// A line every ten seconds.
  case lines
  /// One JSON object per line, once per second (docs/reference/json-output.md).
  case json
  /// No progress.
  case none
}

/// Shows the progress of a job on standard error.
final class ProgressLine: Sendable {
  private let style: ProgressStyle
  private let input, output: String
  private let start = ContinuousClock.now
  private let state = Mutex(State())

  private struct State {
    var lastShown: ContinuousClock.Instant?
    var isBarVisible = false
  }

  /// - Parameters:
  ///   - input: the input file, for JSON; likewise `output`.
  ///   - isTerminal: whether standard error is a terminal.
  init(
    _ style: ProgressStyle = .auto, input: String = "", output: String = "",
    isTerminal: Bool = Console.isTerminal
  ) {
    self.style = style == .auto ? (isTerminal ? .bar : .lines) : style
    (self.input, self.output) = (FileName.legible(input), FileName.legible(output))
  }

  /// Seconds since the beginning.
  var elapsed: Double { (ContinuousClock.now - start).seconds }

  /// The minimum interval between two updates.
  private var interval: Duration {
    switch style {
    case .bar: .milliseconds(100)
    case .json: .seconds(1)
    default: .seconds(10)
    }
  }

  /// Records the latest progress, and shows it if an update is due.
  func update(_ progress: EnhancementProgress) {
    if style == .none { return }
    let now = ContinuousClock.now
    let isDue = state.withLock { state in
      let isFirst = state.lastShown == nil && style != .lines
      guard isFirst || now - (state.lastShown ?? start) >= interval else { return false }
      state.lastShown = now
      state.isBarVisible = style == .bar
      return true
    }
    guard isDue else { return }
    let elapsed = (now - start).seconds
    switch style {
    case .json: emit(.init(progress, input: input, output: output, elapsed: elapsed))
    // Carriage return, and erase to the end of the line.
    case .bar:
      let text = ProgressText(progress, elapsed: elapsed).line(columns: Console.columns)
      Console.write("\r\(text)\u{1b}[K")
    default: Console.line(ProgressText(progress, elapsed: elapsed).line(columns: nil))
    }
  }

  /// Erases the bar.
  func clear() {
    let wasVisible = state.withLock { state in
      defer { state.isBarVisible = false }
      return state.isBarVisible
    }
    if wasVisible { Console.write("\r\u{1b}[K") }
  }

  /// Writes a warning above the bar.
  func warn(_ text: String) {
    clear()
    Console.warning(text)
  }

  // MARK: - JSON

  /// Whether events are written as JSON.
  var isJSON: Bool { style == .json }

  /// Reports the end, if the style is JSON.
  func reportDone(_ summary: EnhancementSummary) {
    guard isJSON else { return }
    emit(.init(done: summary, input: input, output: output, elapsed: elapsed))
  }

  /// Prints a forecast, if the style is JSON.
  func reportForecast(_ forecast: Forecast) {
    guard isJSON else { return }
    emit(.init(forecast, input: input, output: output))
  }

  /// Reports a failure, if the style is JSON.
  func reportFailed(_ error: String) {
    guard isJSON else { return }
    emit(.init(failed: error, input: input, output: output, elapsed: elapsed))
  }

  private func emit(_ event: ProgressEvent) { event.write() }
}

/// A line of `--progress json`.
struct ProgressEvent: Encodable {
  var event: String
  /// Nil for errors before work on a file begins.
  var input, output: String?
  /// Since work on this file began.
  var seconds: Double
  var frames: Int?
  var estimatedFrames: Int?
  /// 0...1.
  var fraction: Double?
  /// Seconds of the video.
  var position, duration: Double?
  var framesPerSecond: Double?
  var secondsLeft: Double?
  var resumedFrames, width, height: Int?
  var warnings, leftOut: [String]?
  var error: String?
  /// Only for errors before work on a file begins.
  var exitCode: Int32?
  /// Only for forecasts.
  var secondsPerFrame, noise: Double?
  var measuredFrames, threads, memoryBytes, videoBytes, denoisedBytes: Int?
  var format, encoder: String?

  private init(_ event: String, input: String?, output: String?, elapsed: Double) {
    self.event = event
    (self.input, self.output) = (input, output)
    seconds = elapsed
  }

  init(_ progress: EnhancementProgress, input: String, output: String, elapsed: Double) {
    self.init("progress", input: input, output: output, elapsed: elapsed)
    frames = progress.frames
    estimatedFrames = progress.estimatedFrames
    fraction = progress.fraction
    position = progress.position
    duration = progress.duration
    if elapsed > 0 { framesPerSecond = Double(progress.frames) / elapsed }
    if let fraction = progress.fraction, fraction > 0 { secondsLeft = elapsed * (1 - fraction) / fraction }
  }

  init(done summary: EnhancementSummary, input: String, output: String, elapsed: Double) {
    self.init("done", input: input, output: output, elapsed: elapsed)
    frames = summary.frames
    resumedFrames = summary.resumedFrames
    (width, height) = (summary.width, summary.height)
    (warnings, leftOut) = (
      summary.warnings.map { Console.text(of: $0) }, summary.leftOut.map { Console.text(of: $0) }
    )
    if elapsed > 0 { framesPerSecond = Double(summary.frames - summary.resumedFrames) / elapsed }
  }

  init(_ forecast: Forecast, input: String, output: String) {
    self.init("forecast", input: input, output: output, elapsed: forecast.measuringSeconds)
    estimatedFrames = forecast.frames
    (width, height) = (forecast.width, forecast.height)
    (format, encoder, threads) = (forecast.format, forecast.encoder, forecast.threads)
    secondsLeft = forecast.seconds
    secondsPerFrame = forecast.secondsPerFrame
    memoryBytes = forecast.memoryBytes
    videoBytes = forecast.videoBytes
    denoisedBytes = forecast.denoisedBytes
    noise = forecast.noise
    measuredFrames = forecast.measuredFrames
  }

  init(failed error: String, input: String, output: String, elapsed: Double) {
    self.init("failed", input: input, output: output, elapsed: elapsed)
    self.error = error
  }

  /// Creates an event for an error before work on a file begins, such as wrong usage.
  init(failed error: String, exitCode: Int32) {
    self.init("failed", input: nil, output: nil, elapsed: 0)
    self.error = error
    self.exitCode = exitCode
  }

  /// This event with fractions of microseconds dropped.
  private var rounded: ProgressEvent {
    func micro(_ value: Double) -> Double { (value * 1e6).rounded() / 1e6 }
    var result = self
    result.seconds = micro(seconds)
    result.fraction = fraction.map(micro)
    (result.position, result.duration) = (position.map(micro), duration.map(micro))
    (result.framesPerSecond, result.secondsLeft) = (framesPerSecond.map(micro), secondsLeft.map(micro))
    (result.secondsPerFrame, result.noise) = (secondsPerFrame.map(micro), noise.map(micro))
    return result
  }

  /// Writes the event as a line on standard error.
  func write() {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let line = try? encoder.encode(rounded) else { return }
    Console.write(terminalJSON(line) + "\n")
  }
}
