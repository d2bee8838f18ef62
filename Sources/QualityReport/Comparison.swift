// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import EnhancementPipeline
internal import Foundation
package import Videnhance
package import VideoIO

/// Compares networks, FFmpeg's filters and finished files.
package struct Comparison: Sendable {
  /// The video to enhance, or finished videos.
  package var files: [String]
  /// The tasks in their order; none compares the files as they are.
  package var tasks: [EnhancementTask] = []
  /// Bit widths of the shipped networks to compare.
  package var bits: [NetworkBits] = []
  /// Upscaling factor of super-resolution.
  package var scale = 2
  /// Tier of the shipped networks; nil for the usual one of each task.
  package var tier: NetworkTier?
  /// Mirror images whose results the networks average.
  package var ensemble = Ensemble.one
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
  /// The part of each file to compare, and how interlaced files are deinterlaced.
  package var reading: EnhancementJob.Options
  /// Whether to keep frames for a report.
  package var keepsPictures = false
  /// Whether to measure VMAF if an ffmpeg with libvmaf is available, and the path of that ffmpeg if the user named it.
  package var measuresVMAF = true
  package var vmafProgram: String?

  package init(of files: [String], threads: Int) {
    self.files = files
    self.threads = threads
    reading = EnhancementJob.Options(threads: threads)
  }

  /// Measures all contenders, one after another.
  /// - Parameters:
  ///   - announce: called with the name of each before it is measured.
  ///   - warn: called with each warning, one line.
  ///   - notice: called with the path of a file and a remark about it.
  /// - Throws: `CompareError`, `OtherProgramError`, or the errors of reading, enhancing and writing.
  package func run(
    announce: (String) -> Void, warn: (String) -> Void, notice: (String, MediaRemark) -> Void
  ) async throws -> ComparisonOutcome {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "videnhance-compare-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    var vmaf: VMAF?
    if measuresVMAF { vmaf = try await VMAF.find(named: vmafProgram, folder: folder.path) }
    for path in Set(files + (reference.map { [$0] } ?? [])).sorted() where reading.deinterlacing == nil {
      switch try CombDetector.look(at: path, options: options(of: path)) {
      case .combed: notice(path, CombDetector.remark)
      // The networks would refuse interlaced frames too, but with the name of a degraded copy.
      case .flagged where !tasks.isEmpty && path == files[0]:
        throw PipelineError.interlaced(path: path, seconds: reading.start?.seconds ?? 0)
      case .flagged, .progressive: break
      }
    }
    var prepared: Prepared
    if tasks.isEmpty {
      prepared = try prepareFiles()
    } else {
      prepared = try await prepareTasks(folder: folder.path)
    }
    if let vmaf { prepared.run.vmaf = (vmaf, folder.path) }
    return try await measure(
      prepared.run, prepared.contenders, prepared.reference, announce: announce, warn: warn)
  }

  private func fileName(_ path: String) -> String { URL(fileURLWithPath: path).lastPathComponent }

  /// Returns the options for reading a file. Files other than the input are deinterlaced only if they are interlaced.
  private func options(of path: String) throws -> EnhancementJob.Options {
    if !tasks.isEmpty, path == files[0] { return reading }
    var options = reading
    options.stream = nil
    if options.deinterlacing != nil, try CombDetector.look(at: path, options: options) == .progressive {
      options.deinterlacing = nil
    }
    return options
  }

  private func orientation(of path: String) throws -> PictureOrientation {
    var options = reading.reading(rescues: true)
    (options.start, options.length, options.stream) = (nil, nil, nil)
    return try VideoReader(path: path, threads: threads, options: options).info.orientation
  }

  // MARK: - Finished files

  private typealias Prepared = (
    run: ComparisonRun, contenders: [Contender], reference: ComparisonReference
  )

  private func prepareFiles() throws -> Prepared {
    let truth = reference ?? files[0]
    var run = ComparisonRun(input: files[0], reference: truth, threads: threads, frameLimit: frameLimit)
    run.inputOptions = try options(of: files[0])
    run.inputOrientation = try orientation(of: files[0])
    run.referenceOptions = try options(of: truth)
    run.referenceOrientation = try orientation(of: truth)
    let contenders = try (reference == nil ? Array(files.dropFirst()) : files).map { path in
      var contender = Contender(name: fileName(path), source: .file(path))
      contender.reading = try options(of: path)
      contender.orientation = try orientation(of: path)
      return contender
    }
    return (
      run, contenders,
      ComparisonReference(kind: reference == nil ? .first : .given, name: fileName(truth))
    )
  }

  // MARK: - Networks and filters

  /// Sets up the contenders and the reference; creates missing files.
  private func prepareTasks(folder: String) async throws -> Prepared {
    let original = files[0]
    var input = original
    let isInterpolating = tasks.contains(.interpolation)
    var rate = try FileFrames(path: original, options: reading, threads: threads).frameRate
    if !rate.isPositive { rate = Rational(25, 1) }
    var given: [Double] = []
    if degrades {
      input = folder + "/input.mkv"
      given = try DegradedInput.write(
        original, to: input, tasks: tasks, scale: scale, level: noiseLevel,
        frames: frameLimit.map { isInterpolating ? 2 * $0 : $0 }, options: reading, threads: threads)
    } else if isInterpolating {
      rate = Rational(rate.numerator * 2, rate.denominator)
      var frames = try FileFrames(path: input, options: reading, threads: threads)
      while let (_, time) = try frames.next() { given.append(time) }
    }
    let inputOptions = degrades ? EnhancementJob.Options(threads: threads) : reading
    let survey = try SourceSurvey(
      path: input, options: inputOptions.reading(rescues: true), threads: threads)
    let contenders = try contenders(rate: rate, survey: survey)
    let turned = try orientation(of: original)
    var run = ComparisonRun(
      input: input, reference: reference ?? original, threads: threads, frameLimit: frameLimit)
    run.inputOptions = inputOptions
    (run.inputOrientation, run.referenceOrientation) = (turned, turned)
    // In a chain, other tasks change the input's own frames.
    if tasks == [.interpolation] { run.givenTimes = given }
    if let reference {
      run.referenceOptions = try options(of: reference)
      run.referenceOrientation = try orientation(of: reference)
      return (run, contenders, ComparisonReference(kind: .given, name: fileName(reference)))
    }
    if degrades {
      run.referenceOptions = reading
      if tasks.contains(.superResolution) { run.referenceFilter = DegradedInput.crop(scale: scale) }
      let remark = DegradedInput.words(tasks, scale: scale, level: noiseLevel)
      return (
        run, contenders, ComparisonReference(kind: .original, name: fileName(original), remark: remark)
      )
    }
    // Without a reference, compare with full precision.
    let full = folder + "/full.mkv"
    try await writeFullPrecision(input, to: full, options: inputOptions)
    run.reference = full
    let names = choices(.float, survey).map(\.name).joined(separator: "+")
    return (run, contenders, ComparisonReference(kind: .network, name: names))
  }

  private func choice(_ task: EnhancementTask, _ bits: NetworkBits) -> NetworkChoice {
    let isEnlarging = task == .superResolution
    return NetworkChoice(
      task, scale: isEnlarging ? scale : nil, bits: bits, tier: task.tier(tier),
      ensemble: ensemble)
  }

  /// The networks of the tasks, as a job would choose them for the source.
  private func choices(_ bits: NetworkBits, _ survey: SourceSurvey) -> [NetworkChoice] {
    var current = survey
    return tasks.map { task in
      let choice = choice(task, bits).adapted(to: current)
      if task == .restoration {
        current = SourceSurvey(codecName: survey.codecName, isMaster: true, quantizer: nil)
      }
      return choice
    }
  }

  private func contenders(rate: Rational, survey: SourceSurvey) throws -> [Contender] {
    var result: [Contender] = []
    // Motion compensation alone is the same at all bit widths.
    let isMotionAlone = tasks.allSatisfy { choice($0, .four).isMotionAlone }
    for bits in isMotionAlone ? Array(bits.prefix(1)) : bits {
      let choices = choices(bits, survey)
      let networks = choices.filter { !$0.isMotionAlone }
      result.append(
        Contender(
          name: choices.map(\.name).joined(separator: "+"), bits: networks.isEmpty ? nil : bits.rawValue,
          source: .network(choices.map { .network($0) }), models: try networks.map { try $0.path() }))
    }
    for file in modelFiles {
      let choice = NetworkChoice(
        tasks[0], scale: tasks[0] == .superResolution ? scale : nil, modelFile: file, ensemble: ensemble)
      let description = try ModelDescription(path: file)
      result.append(
        Contender(
          name: fileName(file), bits: description.bits, source: .network([.network(choice)]), models: [file]))
    }
    for name in filters {
      guard
        let filter = BaselineCatalog.filter(name, tasks: tasks, scale: scale, level: noiseLevel, rate: rate)
      else {
        let known = tasks.flatMap(BaselineCatalog.names)
        let unique = known.indices.filter { !known[..<$0].contains(known[$0]) }.map { known[$0] }
        let chains = tasks.count > 1 ? ", several joined by +" : ""
        throw CompareError(
          detail:
            "unknown method \(name) (hint: one of \(unique.joined(separator: ", "))\(chains), or a filter with options, such as nlmeans=s=8)"
        )
      }
      result.append(Contender(name: name, source: .filter(filter)))
    }
    return result
  }

  private func writeFullPrecision(_ input: String, to path: String, options: EnhancementJob.Options)
    async throws
  {
    let info = try VideoReader(path: input, options: options.reading(rescues: true)).info
    var frames = EnhancedFrames(
      of: input, steps: tasks.map { .network(choice($0, .float)) }, options: options
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

  // MARK: - Measuring

  private func measure(
    _ run: ComparisonRun, _ contenders: [Contender], _ reference: ComparisonReference,
    announce: (String) -> Void, warn: (String) -> Void
  ) async throws -> ComparisonOutcome {
    var results: [ContenderResult] = []
    var times: Set<Double> = []
    for contender in contenders {
      announce(contender.name)
      var result = try await run.measure(contender, keeping: times)
      if let failure = result.vmafFailure { warn("no VMAF of \(contender.name): \(failure)") }
      if keepsPictures, results.isEmpty {
        // Show the worst and the median frame of the first contender.
        let order = result.frames.sorted { $0.sample.error > $1.sample.error }
        times = [order[0].time, order[order.count / 2].time]
        result.kept = try await run.frames(of: contender, at: times)
      }
      results.append(result)
    }
    var pictures = ComparisonPictures()
    if keepsPictures {
      pictures.times = times.sorted()
      pictures.reference = try run.referenceFrames(at: times)
      pictures.input = try run.inputFrames(at: times)
    }
    return ComparisonOutcome(reference: reference, results: results, pictures: pictures)
  }
}
