// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `--to`, `--height`, `--width` and arbitrary values of `--scale`.
@Suite struct TargetSizeTests {
  private func run(_ bench: Workbench, _ more: [String]) throws -> Outcome {
    let model = try bench.makeModel()
    let words = [
      bench.path("in.mkv"), bench.path("out.mkv"), "--bits", "32", "--model-file", model, "--quiet",
    ]
    return try Program.Run(words + more).finish()
  }

  @Test(arguments: [
    (["--height", "96"], "144x96"), (["--width", "240"], "240x160"), (["--to", "100p"], "150x100"),
    (["--scale", "1.5"], "144x96"), (["--scale", "3"], "288x192"), (["--scale", "2"], "192x128"),
  ]) func makesTheSize(options: [String], size: String) throws {
    let bench = try Workbench()
    _ = try bench.makeVideo()
    // Without B-frames, packets are in presentation order.
    let done = try run(bench, options + ["--codec", "ffv1"])
    #expect(done.code == 0 && done.errors == "", "\(done.errors)")
    let parts = size.split(separator: "x")
    #expect(try bench.entries("out.mkv", "width,height") == "width=\(parts[0])\nheight=\(parts[1])\n")
    #expect(try bench.times("out.mkv") == bench.times("in.mkv"))
  }

  /// The shipped networks: scale two, and scale four if that is not enough.
  @Test func shippedNetworksMakeIt() throws {
    let bench = try Workbench()
    let video = try bench.makeVideo(size: "64x48", seconds: 0.12)
    for (options, size) in [
      (["--height", "90"], "120x90"), (["--scale", "2.5", "--source", "clean"], "160x120"),
      (["--scale", "4", "--model", "fast"], "256x192"),
    ] {
      let done = try Program.Run([video, bench.path("out.mkv"), "--overwrite"] + options).finish()
      #expect(done.code == 0 && done.errors.contains(": 3 frames, \(size), "), "\(done.errors)")
    }
  }

  @Test(arguments: ["real", "clean", "auto"]) func fourTimesTheSize(source: String) throws {
    let bench = try Workbench()
    let video = try bench.makeVideo(size: "64x48", seconds: 0.12)
    let done = try Program.Run([video, bench.path("out.mkv"), "--scale", "4", "--source", source]).finish()
    #expect(done.code == 0 && done.errors.contains(": 3 frames, 256x192, "), "\(done.errors)")
  }

  /// Restoration keeps the size, also in a chain with other tasks, and improves blurred film.
  @Test(arguments: [
    ("restore", "66x50"), ("restore,sr", "132x100"), ("denoise,restore", "66x50"),
  ]) func restorationKeepsTheSize(tasks: String, size: String) throws {
    let bench = try Workbench()
    let video = try bench.makeVideo(size: "66x50", seconds: 0.12)
    let done = try Program.Run([video, bench.path("out.mkv"), "--task", tasks]).finish()
    #expect(done.code == 0 && done.errors.contains(": 3 frames, \(size), "), "\(done.errors)")
  }

  @Test func restorationImprovesSoftFilm() throws {
    let bench = try Workbench()
    let truth = try bench.ffmpeg(
      "-f lavfi -i smptebars=s=320x180:r=10,rotate=t/3,format=yuv420p -t 0.5 -c:v ffv1", "truth.mkv")
    let soft = try bench.ffmpeg("-i \(truth) -vf gblur=sigma=0.9 -c:v libx264 -crf 24", "soft.mkv")
    let output = bench.path("out.mkv")
    let done = try Program.Run([soft, output, "--task", "restore", "--source", "real", "--codec", "ffv1"])
      .finish()
    #expect(done.code == 0, "\(done.errors)")
    /// Mean squared error of luma.
    func error(_ path: String) throws -> Double {
      let lines = try runProgram(
        "ffmpeg",
        ["-v", "error", "-nostdin", "-i", path, "-i", truth, "-lavfi"]
          + ["[0]format=gray[a];[1]format=gray[b];[a][b]psnr=stats_file=-", "-f", "null", "-"]
      ).split(separator: "\n")
      let errors = lines.flatMap { $0.split(separator: " ") }.compactMap { word in
        word.hasPrefix("mse_y:") ? Double(word.dropFirst(6)) : nil
      }
      try #require(errors.count == 5)
      return errors.reduce(0, +) / 5
    }
    #expect(try error(output) < 0.95 * error(soft))
  }

  @Test func existingSizesAreReported() throws {
    let bench = try Workbench()
    let video = try bench.makeVideo()
    let done = try run(bench, ["--to", "64p"])
    #expect(done.code == 1)
    #expect(
      done.errors == "videnhance: \(video) is 96x64 already, which --to 64p would not enlarge "
        + "(hint: choose a larger size, or a task that keeps it, such as --task denoise)\n")
    #expect(!bench.contents.contains { $0.hasPrefix("out") })
    // The size is the one that players show, in which sizes are given.
    try bench.ffmpeg("-i \(video) -c copy -aspect 2:1", "wide.mkv")
    let wide = try Program.run(bench.path("wide.mkv"), bench.path("out.mkv"), "--width", "100")
    #expect(wide.code == 1 && wide.errors.contains("wide.mkv is 128x64 already"), "\(wide.errors)")
  }

  @Test(arguments: [
    (["--to", "1080p", "--scale", "2"], "contradict each other"),
    (["--width", "640", "--height", "480"], "contradict each other"),
    (["--to", "1080p", "--task", "denoise"], "--to is for --task sr"),
    (["--scale", "1"], "--scale must be above 1"), (["--scale", "nan"], "--scale must be above 1"),
    (["--scale", "99"], "up to 16"), (["--height", "3"], "--height must be"),
    (["--to", "1080"], "'1080' (hint: did you mean --to 1080p?)"), (["--to", "big"], "from 16p to 16384p"),
    (["--to", "1280x720"], "did you mean --to 720p?"),
    (["--to", "720p", "--height", "720"], "each sets the size of the output"),
    (["--model", "fast", "--task", "denoise"], "--model fast is for --task sr, restore or interp"),
    (["--model", "best", "--task", "denoise,interp"], "--model best is for --task sr or restore"),
  ]) func wrongSizesAreRefused(options: [String], words: String) throws {
    let run = try Program.Run(["in.mkv", "out.mkv"] + options).finish()
    #expect(run.code == 64 && run.errors.contains(words), "\(run.errors)")
  }
}
