// SPDX-License-Identifier: Apache-2.0
internal import EnhancementPipeline
internal import Foundation
package import VideoIO

/// What a contender came to.
package struct ContenderResult: Sendable {
  /// Figures of one frame.
  package struct Frame: Sendable {
    /// Seconds from the first frame.
    package var time: Double
    package var sample: QualityMeter.Sample
  }

  package var contender: Contender
  package var frames: [Frame] = []
  package var psnr, ssim, flicker: Double?
  /// Wall time of making a frame.
  package var secondsPerFrame = 0.0
  /// Most memory of the process while it worked; nil where the system does not tell.
  package var peakMemoryBytes: Int?
  /// Frames kept for the report, by time.
  package var kept: [Double: VideoFrame] = [:]
}

/// Runs contenders on the same frames and measures them.
package struct ComparisonRun {
  /// What is enhanced.
  package let input: String
  /// What it should come to.
  package let reference: String
  /// Filters that the reference goes through first; nil for none.
  package var referenceFilter: String?
  package let threads: Int
  /// Frames that are measured at most; nil for all.
  package let frameLimit: Int?
  /// Times of frames that are the input's own, which are not measured: interpolation does not make them.
  package var givenTimes: [Double] = []

  package init(input: String, reference: String, threads: Int, frameLimit: Int?) {
    self.input = input
    self.reference = reference
    self.threads = threads
    self.frameLimit = frameLimit
  }

  /// Seconds by which times may differ where they mean the same frame.
  private static let tolerance = 0.004

  /// Measures one contender.
  /// - Parameter keeping: times whose frames are kept.
  package func measure(_ contender: Contender, keeping: Set<Double> = []) async throws -> ContenderResult {
    var result = ContenderResult(contender: contender)
    var meter = QualityMeter()
    var expected = try FileFrames(path: reference, filter: referenceFilter, threads: threads)
    var candidate = try expected.next()
    var made = 0
    var measuring = Duration.zero
    let memory = PeakMemory()
    let start = ContinuousClock.now
    do {
      try await contender.forEachFrame(of: input, threads: threads) { frame, time in
        made += 1
        let begin = ContinuousClock.now
        defer { measuring += ContinuousClock.now - begin }
        while let (_, known) = candidate, known < time - Self.tolerance { candidate = try expected.next() }
        guard let (truth, known) = candidate else { return false }
        guard abs(known - time) <= Self.tolerance, !isGiven(time) else { return true }
        let sample = try meter.measure(frame, reference: truth)
        result.frames.append(.init(time: time, sample: sample))
        if keeping.contains(where: { abs($0 - time) <= Self.tolerance }) { result.kept[time] = frame }
        return frameLimit.map { result.frames.count < $0 } ?? true
      }
    } catch let error as PipelineError {
      guard case .extentsDiffer = error else { throw error }
      throw CompareError(detail: "\(contender.name): \(error)")
    }
    let elapsed = (ContinuousClock.now - start).seconds
    // A network works on while its frames are measured; with a filter, one comes after the other.
    var working = elapsed
    if case .network = contender.source {} else { working -= measuring.seconds }
    guard !result.frames.isEmpty else {
      throw CompareError(detail: "\(contender.name): no frame has the time of one of \(reference)")
    }
    result.secondsPerFrame = working / Double(made)
    result.peakMemoryBytes = memory.peak
    (result.psnr, result.ssim, result.flicker) = (meter.psnr, meter.ssim, meter.flicker)
    return result
  }

  private func isGiven(_ time: Double) -> Bool {
    var (low, high) = (0, givenTimes.count)
    while low < high {
      let middle = (low + high) / 2
      if givenTimes[middle] < time - Self.tolerance { low = middle + 1 } else { high = middle }
    }
    return low < givenTimes.count && givenTimes[low] <= time + Self.tolerance
  }

  /// The frames at some times of a file, kept as they are.
  package func frames(of path: String, filter: String? = nil, at times: Set<Double>) throws -> [Double:
    VideoFrame]
  {
    var found: [Double: VideoFrame] = [:]
    try Contender.forEachFrame(ofFile: path, filter: filter, threads: threads) { frame, time in
      if let wanted = times.first(where: { abs($0 - time) <= Self.tolerance }) { found[wanted] = frame }
      return found.count < times.count
    }
    return found
  }
}

/// Why something cannot be compared.
package struct CompareError: Error, CustomStringConvertible {
  package var detail: String

  package init(detail: String) { self.detail = detail }

  package var description: String { "cannot compare: \(detail)" }
}

/// The process's largest memory since a moment.
struct PeakMemory {
  private let isReset: Bool

  /// From now on. Linux can set its record back; elsewhere nothing is told.
  init() {
    #if canImport(Glibc)
      guard let file = fopen("/proc/self/clear_refs", "w") else {
        isReset = false
        return
      }
      let written = fputs("5", file)
      isReset = fclose(file) == 0 && written >= 0
    #else
      isReset = false
    #endif
  }

  /// Bytes.
  var peak: Int? {
    guard isReset, let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
    else { return nil }
    return line.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }.first.map { $0 * 1024 }
  }
}
