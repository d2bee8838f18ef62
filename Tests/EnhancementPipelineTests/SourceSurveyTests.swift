// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import TestSupport
import Testing
import VideoIO

@Suite struct SourceSurveyTests {
  private static let picture = "-f lavfi -i testsrc2=size=160x96:rate=25:duration=0.8"

  private func survey(_ bench: Workbench, _ encoder: String, _ name: String) throws -> SourceSurvey {
    try bench.ffmpeg("\(Self.picture) -pix_fmt yuv420p \(encoder)", name)
    return try SourceSurvey(path: bench.path(name), options: VideoReader.Options(), threads: 1)
  }

  /// Decoders with several threads export the quantizers of finished pictures only.
  @Test func quantizersDoNotDependOnThreads() throws {
    let bench = try Workbench()
    let known = try survey(bench, "-c:v libx264 -crf 24", "a.mp4")
    for threads in [2, 4, 8, 2, 4, 8, 2, 4, 8] {
      let path = bench.path("a.mp4")
      let again = try SourceSurvey(path: path, options: VideoReader.Options(), threads: threads)
      #expect(again == known, "\(threads) threads")
    }
  }

  @Test func mastersArePristine() throws {
    let bench = try Workbench()
    for (encoder, name) in [
      ("-c:v ffv1", "a.mkv"), ("-c:v huffyuv", "b.avi"), ("-c:v prores -pix_fmt yuv422p10le", "c.mov"),
    ] {
      let found = try survey(bench, encoder, name)
      #expect(found.isMaster && found.isPristine, "\(found)")
    }
  }

  @Test func quantizersDecideForLossyCodecs() throws {
    let bench = try Workbench()
    let fine = try survey(bench, "-c:v libx264 -qp 12", "fine.mkv")
    let coarse = try survey(bench, "-c:v libx264 -qp 32", "coarse.mkv")
    let lossless = try survey(bench, "-c:v libx264 -qp 0", "lossless.mkv")
    #expect(fine.isPristine && lossless.isPristine && !coarse.isPristine)
    #expect(try #require(fine.quantizer) < 14 && #require(coarse.quantizer) > 28)
    #expect(fine.description.hasPrefix("h264, mean quantizer "))
    // The decoder exports no quantizers, so the source is not considered pristine.
    let unknown = try survey(bench, "-c:v mjpeg -q:v 5 -pix_fmt yuvj420p", "unknown.avi")
    #expect(unknown.quantizer == nil && !unknown.isPristine)
  }

  /// Black frames at the beginning say nothing about a film.
  @Test func flatBeginningsAreSkipped() throws {
    let bench = try Workbench()
    let black = "-f lavfi -i color=black:size=160x96:rate=25:duration=1"
    let encoder = "-pix_fmt yuv420p -c:v libx264 -b:v 60k -maxrate 60k -bufsize 60k"
    try bench.ffmpeg("\(black) \(Self.picture) -filter_complex [0:v][1:v]concat \(encoder)", "late.mkv")
    try bench.ffmpeg("\(black) -pix_fmt yuv420p -c:v libx264 -qp 20", "black.mkv")
    func survey(_ name: String) throws -> SourceSurvey {
      try SourceSurvey(path: bench.path(name), options: VideoReader.Options(), threads: 1)
    }
    let late = try survey("late.mkv")
    #expect(try #require(late.quantizer) > 30 && !late.isPristine)
    // If there is nothing else, the flat frames count.
    #expect(try abs(#require(survey("black.mkv").quantizer) - 20) < 4)
  }

  /// Blur lowers the sharpness of a source, and a soft title does not stand for a sharp film.
  @Test func sharpnessIsThatOfMostPlaces() throws {
    let bench = try Workbench()
    let picture = "-f lavfi -i testsrc2=size=320x240:rate=2:duration=40"
    func survey(_ filter: String, _ name: String) throws -> SourceSurvey {
      try bench.ffmpeg("\(picture) -vf \(filter),format=yuv420p -c:v libx264 -qp 18", name)
      return try SourceSurvey(path: bench.path(name), options: VideoReader.Options(), threads: 1)
    }
    let sharp = try #require(try survey("null", "sharp.mkv").sharpness)
    let soft = try survey("gblur=1.2", "soft.mkv")
    #expect(try #require(soft.sharpness) < sharp - 0.3)
    #expect(soft.description.contains(", sharpness 0."))
    let title = try #require(try survey("gblur=1.2:enable='lt(t,8)'", "title.mkv").sharpness)
    #expect(abs(title - sharp) < 0.1)
  }

  /// A network gets the mean quantizer of the file, wherever the work begins.
  @Test func networksGetTheMeanQuantizer() async throws {
    let bench = try Workbench()
    let known = try #require(try survey(bench, "-c:v libx264 -crf 30", "in.mkv").quantizerValue)
    for start in [0, 400] {
      let log = QuantizerLog()
      var step = EnhancementStep { width, height, _ in
        QuantizerNetwork(width: width, height: height, log: log)
      }
      step.takesQuantizer = true
      var options = EnhancementJob.Options(threads: 1)
      options.start = .milliseconds(start)
      _ = try await EnhancementJob(
        input: bench.path("in.mkv"), output: bench.path("out\(start).mkv"),
        encoder: EncoderSettings(codec: "ffv1"), options: options, steps: [step]
      ).run()
      #expect(log.quantizers == [known])
    }
  }

  /// The step is chosen once, from the beginning of the file, for every part of it; restored frames are
  /// pristine.
  @Test func stepsAreAdaptedToTheSource() async throws {
    let bench = try Workbench()
    try bench.ffmpeg("\(Self.picture) -c:v libx264 -qp 34", "in.mkv")
    func step(pristine: Int, real: Int, restores: Bool = false) -> EnhancementStep {
      @Sendable func bicubic(_ scale: Int) -> EnhancementStep {
        EnhancementStep { width, height, _ in
          BicubicNetwork(width: width, height: height, scale: scale, window: 1)
        }
      }
      var result = bicubic(real)
      result.restores = restores
      result.adapted = { bicubic($0.isPristine ? pristine : real) }
      return result
    }
    var options = EnhancementJob.Options(threads: 1)
    options.start = .milliseconds(400)
    let encoder = EncoderSettings(codec: "ffv1")
    let one = try await EnhancementJob(
      input: bench.path("in.mkv"), output: bench.path("one.mkv"), encoder: encoder, options: options,
      steps: [step(pristine: 4, real: 2)]
    ).run()
    #expect(one.width == 320 && one.source?.isPristine == false)
    let two = try await EnhancementJob(
      input: bench.path("in.mkv"), output: bench.path("two.mkv"), encoder: encoder, options: options,
      steps: [step(pristine: 4, real: 2, restores: true), step(pristine: 2, real: 4)]
    ).run()
    #expect(two.width == 640)
  }
}
