// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation
import Tensors
import TestSupport
import Testing
import VideoIO

extension FuzzTests {
  /// Runs damaged videos through the whole pipeline with integer kernels: either the output is valid, or
  /// there is an error and no output.
  @Suite struct VideoFuzzTests {
    private static let picture = "-f lavfi -i testsrc2=size=48x32:rate=25:duration=0.4"
    private static let sound = "-f lavfi -i sine=duration=0.4"

    /// Creates small files with the usual containers and codecs, using the ffmpeg program.
    private static func bases(_ bench: Workbench) throws -> [(name: String, bytes: [UInt8])] {
      let recipes = [
        ("a.mp4", "\(picture) \(sound) -c:v libx264 -preset ultrafast -g 4 -bf 1 -c:a aac"),
        ("b.mkv", "\(picture) \(sound) -c:v libx264 -preset ultrafast -g 4 -c:a flac"),
        ("c.ts", "\(picture) \(sound) -c:v mpeg2video -g 4 -c:a mp2"),
        ("d.avi", "\(picture) \(sound) -c:v mpeg4 -g 4 -c:a mp2"),
        ("e.ogv", "\(picture) \(sound) -c:v libtheora -g 4 -c:a libvorbis"),
        ("f.y4m", "\(picture) -pix_fmt yuv420p"),
        ("g.nut", "\(picture) -c:v ffv1 -g 4"),
        ("h.webm", "\(picture) -c:v libvpx -g 4 -deadline realtime"),
        ("i.mov", "\(picture) -c:v mjpeg -pix_fmt yuvj420p"),
        // libx265 does not support the size of the others.
        (
          "j.mp4",
          "-f lavfi -i testsrc2=size=128x96:rate=25:duration=0.2 -c:v libx265 -preset ultrafast"
            + " -x265-params log-level=none:keyint=4"
        ),
      ]
      return try recipes.map { name, recipe in
        (name, [UInt8](try Data(contentsOf: URL(fileURLWithPath: bench.ffmpeg(recipe, name)))))
      }
    }

    /// Creates a small model that adds nothing.
    private static func model() -> QuantizedModel {
      var model = QuantizedModel.random(.small(), bits: 4, zeroPoints: true, seed: 1)
      for index in model.layers.indices {
        model.layers[index].codes = model.layers[index].codes.map { _ in 0 }
        model.layers[index].biases = model.layers[index].biases.map { _ in 0 }
      }
      return model
    }

    @Test func damagedVideosAreEnhancedOrRefused() async throws {
      let bench = try Workbench()
      let bases = try Self.bases(bench)
      var mutator = ByteMutator(seed: fuzzSeed, donors: bases.map(\.bytes))
      let record = FuzzRecord("video")
      let model = Self.model()
      let count = fuzzCount("FUZZ_VIDEOS", short: 60)
      var outcomes: [String: Int] = [:]
      var slowest = Duration.zero
      let watchdog = Watchdog(seconds: 600)
      for index in 0..<count {
        let (name, original) = bases[index % bases.count]
        let input = bench.path("fuzzed-" + name)
        // In every other MP4 and QuickTime file, boxes are rearranged.
        let hasBoxes = name.hasSuffix(".mp4") || name.hasSuffix(".mov")
        let bytes =
          hasBoxes && index / bases.count % 2 == 1
          ? mutator.mutateBoxes(original)
          : mutator.mutate(original, headerLength: min(1024, original.count / 2))
        record.keep(bytes)
        try Data(bytes).write(to: URL(fileURLWithPath: input))
        let output = bench.path("out.mkv")
        let job = Self.job(input, output, model)
        watchdog.restart("\(name), seed \(fuzzSeed), input \(index)")
        let start = ContinuousClock.now
        let outcome = await Self.outcome(of: job, limit: .seconds(60))
        slowest = max(slowest, ContinuousClock.now - start)
        outcomes[outcome, default: 0] += 1
        let isThere = FileManager.default.fileExists(atPath: output)
        #expect(isThere == (outcome == "enhanced"), "\(name), input \(index): \(outcome)")
        #expect(
          outcome != "too slow" && !outcome.hasPrefix("unexpected"), "\(name), input \(index): \(outcome)")
        try? FileManager.default.removeItem(atPath: output)
        #expect(!FileManager.default.fileExists(atPath: output + ".part"))
        try FileManager.default.removeItem(atPath: input)
      }
      watchdog.stop()
      let summary = outcomes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(
        separator: ", ")
      print("\(count) videos: \(summary); slowest \(slowest), peak memory \(peakMemory() >> 20) MiB")
      #expect(outcomes["enhanced", default: 0] > 0 && outcomes["refused", default: 0] > 0)
      // In the short form, other suites run in the same process.
      if count >= 1000 { #expect(peakMemory() < 2 << 30) }
    }

    /// Box structures are damaged in all but a few of the files.
    @Test func damagedBoxesAreEnhancedOrRefused() throws {
      let bases = try Self.bases(try Workbench()).filter {
        $0.name.hasSuffix(".mp4") || $0.name.hasSuffix(".mov")
      }
      var mutator = ByteMutator(seed: fuzzSeed)
      for (name, original) in bases {
        let changed = (0..<40).filter { _ in mutator.mutateBoxes(original) != original }.count
        #expect(changed > 30, "\(name): \(changed)")
      }
      #expect(bases.count == 3)
    }

    private static func job(_ input: String, _ output: String, _ model: QuantizedModel) -> EnhancementJob {
      EnhancementJob(
        input: input, output: output, encoder: EncoderSettings(codec: "ffv1"),
        options: EnhancementJob.Options(threads: 2)
      ) { width, height, threads in
        try IntegerNetwork(model, width: width, height: height, threads: threads)
      }
    }

    /// Reads from a pipe, like standard input: without seeking, and without a known length.
    @Test func damagedStreamsAreEnhancedOrRefused() async throws {
      let bench = try Workbench()
      let bases = try Self.bases(bench).filter { $0.name.hasSuffix("y4m") || $0.name.hasSuffix("nut") }
      #expect(bases.count == 2)
      var mutator = ByteMutator(seed: fuzzSeed &+ 100, donors: bases.map(\.bytes))
      let record = FuzzRecord("stream")
      let model = Self.model()
      var outcomes: [String: Int] = [:]
      let watchdog = Watchdog(seconds: 600)
      for index in 0..<fuzzCount("FUZZ_STREAMS", short: 40) {
        let (name, original) = bases[index % bases.count]
        // A pipe holds 64 KiB until it is read.
        let bytes = Array(mutator.mutate(original, headerLength: 128).prefix(60_000))
        record.keep(bytes)
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data(bytes))
        try pipe.fileHandleForWriting.close()
        watchdog.restart("\(name) from a pipe, seed \(fuzzSeed), input \(index)")
        let input = "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)"
        let job = Self.job(input, bench.path("out.mkv"), model)
        let outcome = await Self.outcome(of: job, limit: .seconds(60))
        try pipe.fileHandleForReading.close()
        outcomes[outcome, default: 0] += 1
        let left = bench.contents.filter { $0.hasPrefix("out") }
        #expect(left == (outcome == "enhanced" ? ["out.mkv"] : []), "\(name), input \(index): \(outcome)")
        #expect(["enhanced", "refused"].contains(outcome), "\(name), input \(index): \(outcome)")
        try? FileManager.default.removeItem(atPath: bench.path("out.mkv"))
      }
      watchdog.stop()
      print("streams: \(outcomes), peak memory \(peakMemory() >> 20) MiB")
      #expect(outcomes["enhanced", default: 0] > 0 && outcomes["refused", default: 0] > 0)
    }

    private static func outcome(of job: EnhancementJob, limit: Duration) async -> String {
      let work = Task { try await job.run() }
      let clock = Task {
        try await Task.sleep(for: limit)
        work.cancel()
      }
      defer { clock.cancel() }
      switch await work.result {
      case .success: return "enhanced"
      case .failure(let error):
        if error is CancellationError { return "too slow" }
        let isKnown = error is VideoIOError || error is PipelineError || error is ModelError
        return isKnown ? "refused" : "unexpected \(type(of: error)): \(error)"
      }
    }
  }
}

/// Ends the process if an input takes too long, even if cancelling does not help.
private final class Watchdog: @unchecked Sendable {
  // Unchecked: mutable state is guarded by the lock.
  private let lock = NSLock()
  private var name = ""
  private var deadline = Date.distantFuture
  private var isStopped = false
  private let seconds: Double

  init(seconds: Double) {
    self.seconds = seconds
    Thread.detachNewThread { [self] in
      while true {
        Thread.sleep(forTimeInterval: 1)
        let (late, done) = lock.withLock { (Date() > deadline ? name : nil, isStopped) }
        if done { return }
        if let late { fatalError("no end in sight: \(late)") }
      }
    }
  }

  func restart(_ name: String) {
    lock.withLock {
      self.name = name
      deadline = Date().addingTimeInterval(seconds)
    }
  }

  func stop() { lock.withLock { isStopped = true } }
}
