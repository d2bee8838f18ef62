// SPDX-License-Identifier: Apache-2.0
internal import VideoIO

/// The times of a source's frames, run-length encoded.
package struct FrameTimes: Codable, Sendable, Equatable {
  /// Time of the first frame, in ticks.
  var start: Int64
  /// Ticks from each frame to the next, as runs.
  var distances: [Run] = []
  /// Durations of the frames in ticks, as runs.
  var durations: [Run] = []

  /// A value and the number of its repetitions.
  struct Run: Codable, Sendable, Equatable {
    var value: Int64
    var count: Int

    init(value: Int64, count: Int) {
      self.value = value
      self.count = count
    }

    // An array of two numbers, to keep plans of films with a variable rate small.
    init(from decoder: any Decoder) throws {
      var container = try decoder.unkeyedContainer()
      value = try container.decode(Int64.self)
      count = try container.decode(Int.self)
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.unkeyedContainer()
      try container.encode(value)
      try container.encode(count)
    }
  }

  /// Most frames accepted from a file: twelve days at 60 per second.
  private static let mostFrames = 1 << 26

  init(_ times: [FrameTime]) {
    start = times.first?.presentation ?? 0
    for (before, time) in zip(times, times.dropFirst()) {
      Self.add(time.presentation &- before.presentation, to: &distances)
    }
    for time in times { Self.add(time.duration, to: &durations) }
  }

  private static func add(_ value: Int64, to runs: inout [Run]) {
    if runs.last?.value == value {
      runs[runs.count - 1].count += 1
    } else {
      runs.append(Run(value: value, count: 1))
    }
  }

  /// The times of all frames; nil if the runs are inconsistent.
  var all: [FrameTime]? {
    guard let durations = Self.expanded(durations), let distances = Self.expanded(distances),
      durations.count == distances.count + 1
    else { return nil }
    var result: [FrameTime] = []
    result.reserveCapacity(durations.count)
    var time = start
    for (index, duration) in durations.enumerated() {
      guard duration >= 0 else { return nil }
      if index > 0 {
        let (next, overflow) = time.addingReportingOverflow(distances[index - 1])
        guard !overflow, next > time else { return nil }
        time = next
      }
      result.append(FrameTime(presentation: time, duration: duration))
    }
    return result
  }

  private static func expanded(_ runs: [Run]) -> [Int64]? {
    var total = 0
    for run in runs {
      guard run.count > 0, run.count <= mostFrames - total else { return nil }
      total += run.count
    }
    return runs.flatMap { repeatElement($0.value, count: $0.count) }
  }
}
