// SPDX-License-Identifier: Apache-2.0
package import EnhancementPipeline
internal import Foundation
package import VideoIO

/// The measurements of a contender.
package struct ContenderResult: Sendable {
  /// The measurements of one frame.
  package struct Frame: Sendable {
    /// Seconds from the first frame.
    package var time: Double
    package var sample: QualityMeter.Sample
  }

  package var contender: Contender
  package var frames: [Frame] = []
  package var psnr, ssim, flicker: Double?
  /// Of the same frames; nil where they were not measured.
  package var vmaf: VMAF.Scores?
  /// Why VMAF failed.
  package var vmafFailure: OtherProgramError?
  /// Wall-clock time per frame.
  package var secondsPerFrame = 0.0
  /// Peak memory of the process during the work; nil if the system does not report it.
  package var peakMemoryBytes: Int?
  /// Frames kept for the report as players show them, by time.
  package var kept: [Double: VideoFrame] = [:]
}

/// Runs contenders on the same frames and measures them.
package struct ComparisonRun {
  /// The file to enhance.
  package let input: String
  /// The reference file.
  package var reference: String
  /// Filters to apply to the reference; nil for none.
  package var referenceFilter: String?
  package let threads: Int
  /// The most frames to measure; nil for all.
  package let frameLimit: Int?
  /// Options for reading the input and the reference; nil reads whole files without deinterlacing.
  package var inputOptions, referenceOptions: EnhancementJob.Options?
  /// Orientations of the input, which its enhanced frames share, and of the reference.
  package var inputOrientation = PictureOrientation()
  package var referenceOrientation = PictureOrientation()
  /// The program that measures VMAF, and a folder for its temporary files; nil if VMAF is not measured.
  package var vmaf: (program: VMAF, folder: String)?
  /// Times of the input's own frames, which are not measured because interpolation does not create them.
  package var givenTimes: [Double] = []

  package init(input: String, reference: String, threads: Int, frameLimit: Int?) {
    self.input = input
    self.reference = reference
    self.threads = threads
    self.frameLimit = frameLimit
  }

  /// The tolerance in seconds for matching frames by time.
  private static let tolerance = 0.004

  /// Measures one contender. Pictures are compared as stored, unless their orientations differ.
  /// - Parameter keeping: times of the frames to keep.
  package func measure(_ contender: Contender, keeping: Set<Double> = []) async throws -> ContenderResult {
    var result = ContenderResult(contender: contender)
    var meter = QualityMeter()
    let orientation = contender.orientation ?? inputOrientation
    let turns = orientation != referenceOrientation
    let pairs = vmaf.map { FramePairFiles(folder: $0.folder, threads: threads) }
    var expected = try FileFrames(
      path: reference, filter: referenceFilter, options: referenceOptions, threads: threads)
    var candidate = try expected.next()
    var made = 0
    var measuring = Duration.zero
    let memory = PeakMemory()
    let start = ContinuousClock.now
    do {
      try await contender.forEachFrame(of: input, options: inputOptions, threads: threads) { frame, time in
        made += 1
        let begin = ContinuousClock.now
        defer { measuring += ContinuousClock.now - begin }
        while let (_, known) = candidate, known < time - Self.tolerance { candidate = try expected.next() }
        guard let (truth, known) = candidate else { return false }
        guard abs(known - time) <= Self.tolerance, !isGiven(time) else { return true }
        let shown = turns ? try frame.turned(by: orientation) : frame
        let ideal = turns ? try truth.turned(by: referenceOrientation) : truth
        let sample = try meter.measure(shown, reference: ideal)
        result.frames.append(.init(time: time, sample: sample))
        try pairs?.add(shown, reference: ideal)
        if keeping.contains(where: { abs($0 - time) <= Self.tolerance }) {
          result.kept[time] = try frame.turned(by: orientation)
        }
        return frameLimit.map { result.frames.count < $0 } ?? true
      }
    } catch let error as PipelineError {
      guard case .extentsDiffer = error else { throw error }
      throw CompareError(
        detail: "\(contender.name): \(error)"
          + " (hint: name a reference of the same size, or one file with --task sr --degrade)")
    }
    let elapsed = (ContinuousClock.now - start).seconds
    // A network runs while its frames are measured; a filter and the measurement alternate.
    var working = elapsed
    if case .network = contender.source {} else { working -= measuring.seconds }
    guard !result.frames.isEmpty else {
      throw CompareError(detail: "\(contender.name): no frame has the time of one of \(reference)")
    }
    result.secondsPerFrame = working / Double(made)
    result.peakMemoryBytes = memory.peak
    (result.psnr, result.ssim, result.flicker) = (meter.psnr, meter.ssim, meter.flicker)
    if let vmaf, let pairs { try await measure(vmaf.program, pairs, folder: vmaf.folder, into: &result) }
    return result
  }

  private func measure(
    _ vmaf: VMAF, _ pairs: FramePairFiles, folder: String, into result: inout ContenderResult
  ) async throws {
    try pairs.finish()
    do {
      result.vmaf = try await vmaf.scores(
        of: pairs.made, reference: pairs.truth, threads: threads, folder: folder)
    } catch let error as OtherProgramError {
      // Only a program named by the user must succeed. One that was merely found may fail, for example on pictures too small
      // for the VMAF model.
      if vmaf.isNamed { throw error }
      result.vmafFailure = error
    }
  }

  /// The frames of a contender at the given times, as players show them.
  func frames(of contender: Contender, at times: Set<Double>) async throws -> [Double: VideoFrame] {
    var found: [Double: VideoFrame] = [:]
    let last = (times.max() ?? 0) + Self.tolerance
    let orientation = contender.orientation ?? inputOrientation
    try await contender.forEachFrame(of: input, options: inputOptions, threads: threads) { frame, time in
      if times.contains(where: { abs($0 - time) <= Self.tolerance }) {
        found[time] = try frame.turned(by: orientation)
      }
      return time < last
    }
    return found
  }

  private func isGiven(_ time: Double) -> Bool {
    var (low, high) = (0, givenTimes.count)
    while low < high {
      let middle = (low + high) / 2
      if givenTimes[middle] < time - Self.tolerance { low = middle + 1 } else { high = middle }
    }
    return low < givenTimes.count && givenTimes[low] <= time + Self.tolerance
  }

  /// The reference's frames at the given times, as players show them.
  func referenceFrames(at times: Set<Double>) throws -> [Double: VideoFrame] {
    try frames(
      of: reference, filter: referenceFilter, options: referenceOptions, orientation: referenceOrientation,
      at: times)
  }

  /// The input's frames at the given times, as players show them.
  func inputFrames(at times: Set<Double>) throws -> [Double: VideoFrame] {
    try frames(of: input, options: inputOptions, orientation: inputOrientation, at: times)
  }

  private func frames(
    of path: String, filter: String? = nil, options: EnhancementJob.Options?, orientation: PictureOrientation,
    at times: Set<Double>
  ) throws -> [Double: VideoFrame] {
    var found: [Double: VideoFrame] = [:]
    try Contender.forEachFrame(ofFile: path, filter: filter, options: options, threads: threads) {
      frame, time in
      if let wanted = times.first(where: { abs($0 - time) <= Self.tolerance }) {
        found[wanted] = try frame.turned(by: orientation)
      }
      return found.count < times.count
    }
    return found
  }
}

/// The reason that a comparison failed.
package struct CompareError: Error, CustomStringConvertible {
  package var detail: String

  package init(detail: String) { self.detail = detail }

  package var description: String { "cannot compare: \(detail)" }
}

/// The process's peak memory since creation of this value.
struct PeakMemory {
  private let isReset: Bool

  /// Starts measuring by resetting Linux's counter; other systems do not support this.
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
