// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Foundation
import Synchronization
import TestSupport
import Testing
import VideoIO

@Suite struct EnhancementJobTests {
  static let picture = "-f lavfi -i testsrc2=size=98x66:rate=24000/1001:duration=1.2"
  static let sound = "-f lavfi -i sine=frequency=500:duration=1.2"

  @Test(arguments: [
    "yuv420p", "yuv422p", "yuv444p", "yuv440p", "gray", "yuv420p10le", "yuv422p10le", "yuv444p12le",
    "gray16le",
  ])
  func keepsLayoutTimesAndSound(format: String) async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "\(Self.picture) \(Self.sound) -pix_fmt \(format) -c:v ffv1 -c:a flac -colorspace bt709 -color_primaries bt709 "
        + "-color_trc bt709 -color_range tv", "in.mkv")
    let summary = try await bicubicJob(bench.path("in.mkv"), bench.path("out.mkv")).run()
    #expect(summary.frames == 29)
    #expect(summary.leftOut == [])
    #expect(summary.warnings == [])
    #expect(try bench.times("in.mkv") == bench.times("out.mkv"))
    #expect(try bench.packetHash("in.mkv", stream: "a:0") == bench.packetHash("out.mkv", stream: "a:0"))
    let tags = "pix_fmt,color_range,color_space,color_transfer,color_primaries"
    #expect(try bench.entries("in.mkv", tags) == bench.entries("out.mkv", tags))
    #expect(try bench.entries("out.mkv", "width,height") == "width=196\nheight=132\n")
    #expect(bench.contents == ["in.mkv", "out.mkv"])
    // The file contains the enlarger's output of each frame, in order and at full depth.
    for (source, output) in zip(try readFrames(bench.path("in.mkv")), try readFrames(bench.path("out.mkv"))) {
      let expected = try FrameEnlarger(scale: 2, threads: 1).enlarge(source, adding: nil)
      for plane in 0..<source.format.planeCount {
        #expect(samples(output, plane) == samples(expected, plane))
      }
    }
  }

  @Test(arguments: [(1, 1), (2, 2), (3, 5), (17, 9), (65, 33), (33, 2)])
  func takesAnySize(width: Int, height: Int) async throws {
    let bench = try Workbench()
    let source = "-f lavfi -i testsrc2=size=\(width + 8)x\(height + 8):rate=25:duration=0.2"
    try bench.ffmpeg(
      "\(source) -vf format=yuv444p,crop=\(width):\(height):0:0,format=yuv420p -c:v rawvideo", "in.nut")
    for window in [1, 3, 5] {
      let output = bench.path("out\(window).mkv")
      let summary = try await bicubicJob(bench.path("in.nut"), output, window: window).run()
      #expect(summary.frames == 5)
      #expect(summary.width == 2 * width && summary.height == 2 * height)
      let frames = try readFrames(output)
      #expect(frames.allSatisfy { $0.width == 2 * width && $0.height == 2 * height })
    }
  }

  @Test func keepsVariableFrameRate() async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "\(Self.picture) \(Self.sound) -vf setpts=N*N*0.001/TB+1.5/TB -fps_mode vfr -enc_time_base 1/1000 -c:v ffv1 "
        + "-c:a flac", "in.mkv")
    let summary = try await bicubicJob(bench.path("in.mkv"), bench.path("out.mkv")).run()
    #expect(summary.frames == 29)
    #expect(try bench.times("in.mkv") == bench.times("out.mkv"))
  }

  @Test func reportsProgressToTheEnd() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.picture) -c:v ffv1", "in.mkv")
    let seen = Mutex<[EnhancementProgress]>([])
    _ = try await bicubicJob(bench.path("in.mkv"), bench.path("out.mkv")).run { progress in
      seen.withLock { $0.append(progress) }
    }
    let all = seen.withLock { $0 }
    #expect(all.map(\.frames) == Array(1...29))
    let fractions = all.compactMap(\.fraction)
    #expect(fractions == fractions.sorted())
    #expect(try #require(fractions.first) < 0.1 && #require(fractions.last) > 0.99)
  }

  @Test func windowsEndAtSceneCuts() async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=160x90:rate=25 -f lavfi -i mandelbrot=size=160x90:rate=25 -filter_complex "
        + "[0]trim=end_frame=6,setsar=1,format=yuv420p[a];[1]trim=end_frame=6,setsar=1,format=yuv420p[b];"
        + "[a][b]concat=n=2 -c:v ffv1", "in.mkv")
    for findsSceneCuts in [true, false] {
      var options = EnhancementJob.Options()
      options.overwrites = true
      options.findsSceneCuts = findsSceneCuts
      let log = WindowLog()
      let job = EnhancementJob(
        input: bench.path("in.mkv"), output: bench.path("out.mkv"), encoder: EncoderSettings(codec: "ffv1"),
        options: options
      ) { width, height, _ in RecordingNetwork(width: width, height: height, window: 3, log: log) }
      let summary = try await job.run()
      #expect(summary.sceneCuts == (findsSceneCuts ? [6] : []))
      let expected = findsSceneCuts ? [[4, 5, 4], [7, 6, 7]] : [[4, 5, 6], [5, 6, 7]]
      #expect(Array(log.windows[5...6]) == expected)
      #expect(log.windows.count == 12 && log.windows[0] == [1, 0, 1] && log.windows[11] == [10, 11, 10])
    }
  }

  @Test(arguments: [1, 3, 5]) func holdsNoMoreFramesThanReported(window: Int) async throws {
    let bench = try Workbench()
    // Many packets between the frames and a slow network: the queues are always full.
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=64x64:rate=10:duration=6 -f lavfi -i sine=duration=6 -c:v ffv1 -c:a pcm_s16le",
      "in.mkv")
    let job = EnhancementJob(
      input: bench.path("in.mkv"), output: bench.path("out.mkv"), encoder: EncoderSettings(codec: "ffv1")
    ) { width, height, _ in
      FaultyNetwork(width: width, height: height, window: window) { _, _ in usleep(3000) }
    }
    let summary = try await job.run()
    #expect(summary.frames == 60)
    #expect(summary.peakFrames >= window)
    #expect(summary.peakFrames <= EnhancementJob.preparedFrameLimit(window: window))
  }

  @Test func refusesInterlacedVideo() async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=96x64:rate=50:duration=0.5 -vf interlace -flags +ildct+ilme -c:v mpeg2video",
      "in.mpg")
    let error = await #expect(throws: PipelineError.self) {
      try await bicubicJob(bench.path("in.mpg"), bench.path("out.mkv")).run()
    }
    #expect(error?.description == "\(bench.path("in.mpg")) is interlaced (detected at 0.00 s)")
    #expect(error?.hint?.contains("bwdif") == true)
    #expect(bench.contents == ["in.mpg"])
  }

  @Test func failureOfTheNetworkLeavesNoOutput() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.picture) -c:v ffv1", "in.mkv")
    for failing in [0, 1, 13, 28] {
      let job = EnhancementJob(
        input: bench.path("in.mkv"), output: bench.path("out.mkv"), encoder: EncoderSettings(codec: "ffv1")
      ) { width, height, _ in
        FaultyNetwork(width: width, height: height, window: 3) { number, _ in
          if number == failing { throw FaultyNetwork.Failure() }
        }
      }
      await #expect(throws: FaultyNetwork.Failure.self) { try await job.run() }
      #expect(bench.contents == ["in.mkv"])
    }
  }

  @Test func factoryFailureIsReported() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.picture) -c:v ffv1", "in.mkv")
    let job = EnhancementJob(input: bench.path("in.mkv"), output: bench.path("out.mkv")) { _, _, _ in
      throw ModelError.notShipped(name: "x")
    }
    await #expect(throws: ModelError.notShipped(name: "x")) { try await job.run() }
    #expect(bench.contents == ["in.mkv"])
  }

  /// Saturated residuals, as from a network with overflowing sums.
  @Test(arguments: [(Int16(-32768), "black"), (32767, "a single level")])
  func refusesFlatOutput(value: Int16, look: String) async throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.picture) -c:v ffv1", "in.mkv")
    let job = EnhancementJob(
      input: bench.path("in.mkv"), output: bench.path("out.mkv"), encoder: EncoderSettings(codec: "ffv1")
    ) { width, height, _ in
      FaultyNetwork(width: width, height: height, window: 3) { number, residual in
        if number == 7 {
          residual.values.update(
            repeating: value, count: residual.gridWidth * residual.gridHeight * residual.channels)
        }
      }
    }
    let error = await #expect(throws: PipelineError.self) { try await job.run() }
    #expect(
      error?.description
        == "frame 7 of \(bench.path("in.mkv")) came out wrong: it is \(look) where the source is not")
    #expect(bench.contents == ["in.mkv"])
  }

  @Test func acceptsBlackOutputOfBlackSource() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("-f lavfi -i color=black:size=64x48:rate=25:duration=0.4 -c:v ffv1", "in.mkv")
    #expect(try await bicubicJob(bench.path("in.mkv"), bench.path("out.mkv")).run().frames == 10)
  }

  @Test func cancellationLeavesNoOutput() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.picture) \(Self.sound) -c:v ffv1 -c:a flac", "in.mkv")
    for round in 0..<30 {
      let isCancelled = Mutex(false)
      let job = EnhancementJob(
        input: bench.path("in.mkv"), output: bench.path("out.mkv"), encoder: EncoderSettings(codec: "ffv1")
      ) { width, height, _ in
        // The job cannot end before it is cancelled, however busy the machine is.
        FaultyNetwork(width: width, height: height, window: 3) { number, _ in
          usleep(3000)
          while number >= 20, !isCancelled.withLock({ $0 }) { usleep(500) }
        }
      }
      let task = Task { try await job.run() }
      try await Task.sleep(for: .milliseconds(round * 3))
      task.cancel()
      isCancelled.withLock { $0 = true }
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(bench.contents == ["in.mkv"])
    }
  }

  @Test func refusesOutputsBeforeReading() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.picture) -c:v ffv1", "in.mkv")
    try Data("kept".utf8).write(to: URL(fileURLWithPath: bench.path("there.mkv")))
    await #expect(throws: VideoIOError.outputExists(path: bench.path("there.mkv"))) {
      try await bicubicJob("missing.mkv", bench.path("there.mkv")).run()
    }
    await #expect(throws: VideoIOError.outputIsInput(path: bench.path("in.mkv"))) {
      try await bicubicJob(bench.path("in.mkv"), bench.path("in.mkv")).run()
    }
    #expect(bench.contents == ["in.mkv", "there.mkv"])
  }
}
