// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
internal import EnhancementPipeline
internal import Foundation
package import Videnhance
internal import VideoIO

/// Compares networks, FFmpeg's filters and finished files.
package struct Comparison: Sendable {
  /// The video to enhance, or finished videos.
  package var files: [String]
  /// The task; nil compares the files as they are.
  package var task: EnhancementTask?
  /// Bit widths of the shipped networks to compare.
  package var bits: [NetworkBits] = []
  /// Upscaling factor of super-resolution.
  package var scale = 2
  /// Tier of the shipped networks.
  package var tier = NetworkTier.balanced
  /// Model files to compare.
  package var modelFiles: [String] = []
  /// FFmpeg filters to compare: names in `BaselineCatalog`, or filters with options.
  package var filters: [String] = []
  /// The reference file; nil for the full-precision network, or the first file.
  package var reference: String?
  /// Whether the file is the reference, and a degraded copy of it is enhanced.
  package var degrades = false
  /// Noise to add when degrading, in 8-bit levels.
  package var noiseLevel: Float = 25
  /// Frames to measure at most; nil for all.
  package var frameLimit: Int?
  /// Number of threads.
  package var threads: Int
  /// Whether to keep frames for a report.
  package var keepsPictures = false

  package init(of files: [String], threads: Int) {
    self.files = files
    self.threads = threads
  }

  /// Measures all contenders, one after another.
  /// - Parameter announce: called with the name of each before it is measured.
  /// - Throws: `CompareError`, or the errors of reading, enhancing and writing.
  package func run(announce: (String) -> Void) async throws -> ([ContenderResult], ComparisonPictures) {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "videnhance-compare-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (run, contenders) = try await prepare(folder: folder.path)
    return try await measure(run, contenders, announce: announce)
  }

  private func fileName(_ path: String) -> String { URL(fileURLWithPath: path).lastPathComponent }

  /// Sets up the contenders and the reference; creates missing files.
  private func prepare(folder: String) async throws -> (ComparisonRun, [Contender]) {
    guard let task else {
      let all = files.map { Contender(name: fileName($0), source: .file($0)) }
      let truth = reference ?? files[0]
      let run = ComparisonRun(input: files[0], reference: truth, threads: threads, frameLimit: frameLimit)
      return (run, reference == nil ? Array(all.dropFirst()) : all)
    }
    var (input, truth) = (files[0], reference)
    let info = try VideoReader(path: input).info
    var (given, filter): ([Double], String?) = ([], nil)
    var rate = info.averageFrameRate.isPositive ? info.averageFrameRate : Rational(25, 1)
    if degrades {
      input = folder + "/input.mkv"
      let count = frameLimit.map { task == .interpolation ? 2 * $0 : $0 }
      given = try DegradedInput.write(
        files[0], to: input, task: task, scale: scale, level: noiseLevel, frames: count, threads: threads)
      truth = files[0]
      if task == .superResolution { filter = DegradedInput.crop(scale: scale) }
    } else if task == .interpolation {
      rate = Rational(rate.numerator * 2, rate.denominator)
      var frames = try FileFrames(path: input, threads: threads)
      while let (_, time) = try frames.next() { given.append(time) }
    }
    let survey = try SourceSurvey(path: input, options: VideoReader.Options(), threads: threads)
    let contenders = try contenders(task, rate: rate, survey: survey)
    if truth == nil {
      // Without a reference, compare with full precision.
      truth = folder + "/full.mkv"
      try await writeFullPrecision(input, to: truth ?? "", task: task)
    }
    var run = ComparisonRun(
      input: input, reference: truth ?? "", threads: threads, frameLimit: frameLimit)
    run.referenceFilter = filter
    run.givenTimes = given
    return (run, contenders)
  }

  private func choice(_ task: EnhancementTask, _ bits: NetworkBits) -> NetworkChoice {
    NetworkChoice(task, scale: task == .superResolution ? scale : nil, bits: bits, tier: tier)
  }

  private func contenders(_ task: EnhancementTask, rate: Rational, survey: SourceSurvey) throws -> [Contender]
  {
    var result: [Contender] = []
    for bits in bits {
      let choice = choice(task, bits).adapted(to: survey)
      result.append(
        Contender(
          name: choice.shippedModel.name, bits: bits.rawValue, source: .network([.network(choice)]),
          models: [try choice.path()]))
    }
    for file in modelFiles {
      let choice = NetworkChoice(task, scale: task == .superResolution ? scale : nil, modelFile: file)
      let description = try ModelDescription(path: file)
      result.append(
        Contender(
          name: fileName(file), bits: description.bits, source: .network([.network(choice)]), models: [file]))
    }
    for name in filters {
      guard
        let filter = BaselineCatalog.filter(name, task: task, scale: scale, level: noiseLevel, rate: rate)
      else {
        let known = BaselineCatalog.names(task).joined(separator: ", ")
        throw CompareError(
          detail:
            "\(name) is not known (hint: one of \(known), or a filter with options, such as nlmeans=s=8)")
      }
      result.append(Contender(name: name, source: .filter(filter)))
    }
    return result
  }

  private func writeFullPrecision(_ input: String, to path: String, task: EnhancementTask) async throws {
    let info = try VideoReader(path: input).info
    var frames = EnhancedFrames(
      of: input, steps: [.network(choice(task, .float))],
      options: EnhancementJob.Options(threads: threads)
    ).makeAsyncIterator()
    var writer: VideoWriter?
    var count = 0
    while let frame = try await frames.next(), frameLimit.map({ count < $0 }) ?? true {
      if writer == nil {
        writer = try VideoWriter(
          path: path, like: info, width: frame.width, height: frame.height, format: frame.format,
          timeBase: frames.timeBase, settings: EncoderSettings(codec: "ffv1", threads: threads))
      }
      try writer?.write(frame)
      count += 1
    }
    guard let finished = writer.take() else { throw CompareError(detail: "no frames in \(input)") }
    try finished.finish()
  }

  private func measure(
    _ run: ComparisonRun, _ contenders: [Contender], announce: (String) -> Void
  ) async throws -> ([ContenderResult], ComparisonPictures) {
    var results: [ContenderResult] = []
    var times: Set<Double> = []
    for contender in contenders {
      announce(contender.name)
      var result = try await run.measure(contender, keeping: times)
      if keepsPictures, results.isEmpty {
        // Show the worst and the median frame of the first contender.
        let order = result.frames.sorted { $0.sample.error > $1.sample.error }
        times = [order[0].time, order[order.count / 2].time]
        result.kept = try await run.measure(contender, keeping: times).kept
      }
      results.append(result)
    }
    guard keepsPictures else { return (results, ComparisonPictures()) }
    var pictures = ComparisonPictures()
    pictures.times = times.sorted()
    pictures.reference = try run.frames(of: run.reference, filter: run.referenceFilter, at: times)
    pictures.input = try run.frames(of: run.input, at: times)
    return (results, pictures)
  }
}
