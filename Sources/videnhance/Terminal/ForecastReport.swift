// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation

/// Formats forecasts as text.
enum ForecastReport {
  /// Returns labelled lines.
  /// - Parameter tasks: the job's tasks in the format of `--task`.
  static func lines(_ forecast: Forecast, input: String, tasks: String) -> [String] {
    let measured = String(format: "%.1f s", forecast.measuringSeconds)
    let each = String(format: "%.2f s per frame", forecast.secondsPerFrame)
    var lines = [
      "\(input): forecast by \(counted(forecast.measuredFrames, "frame")) in \(measured) on \(counted(forecast.threads, "thread"))",
      "  frames  \(forecast.frames.map(String.init) ?? "unknown, as the source has no length")",
      "  size    \(forecast.width)x\(forecast.height) \(forecast.format), encoder \(forecast.encoder)",
      "  time    " + (forecast.seconds.map { "about \(clockText($0)), \(each)" } ?? each),
    ]
    if let memory = forecast.memoryBytes { lines.append("  memory  about \(text(bytes: memory))") }
    if let bytes = forecast.videoBytes {
      lines.append("  video   about \(text(bytes: bytes)), without sound and other streams")
    }
    if let noise = forecast.noise {
      var line = "  noise   " + String(format: "%.1f levels", noise)
      if let hint = denoisingHint(forecast, tasks: tasks) { line += ", " + hint }
      lines.append(line)
    }
    return lines
  }

  /// Returns the saving by denoising, if it is at least a tenth.
  static func denoisingHint(_ forecast: Forecast, tasks: String) -> String? {
    guard let bytes = forecast.videoBytes, let without = forecast.denoisedBytes,
      Double(without) < 0.9 * Double(bytes)
    else { return nil }
    return "which enlarge the file: about \(text(bytes: without)) with --task denoise,\(tasks)"
  }

  /// Returns the total for all files of a folder.
  static func sum(_ forecasts: [Forecast]) -> String {
    let seconds = forecasts.compactMap(\.seconds).reduce(0, +)
    let bytes = forecasts.compactMap(\.videoBytes).reduce(0, +)
    let frames = forecasts.compactMap(\.frames).reduce(0, +)
    return
      "\(counted(forecasts.count, "file")): \(counted(frames, "frame")), about \(clockText(seconds)), video \(text(bytes: bytes))"
  }

  /// Formats a number of bytes in a unit with few digits.
  static func text(bytes: Int) -> String {
    let value = Double(bytes)
    if value >= 1e9 { return String(format: "%.1f GB", value / 1e9) }
    if value >= 1e6 { return String(format: "%.1f MB", value / 1e6) }
    return String(format: "%.1f kB", value / 1e3)
  }
}

extension EnhancementJob.ForecastOptions {
  /// Creates options for the tasks of the command line; denoising is tried for tasks that keep the noise.
  init(network: NetworkOptions) {
    self.init()
    if !network.task.tasks.contains(.denoising), network.modelFile == nil {
      var denoising = network
      denoising.task.tasks.insert(.denoising, at: 0)
      self.denoising = denoising.steps
    }
  }
}
