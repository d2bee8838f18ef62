// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import TestSupport
import Testing
import VideoIO

/// Properties of a source estimated from a few frames.
@Suite struct SourceLookTests {
  private func look(_ bench: Workbench, _ name: String) throws -> SourceLook {
    try SourceLook(path: bench.path(name), options: EnhancementJob.Options(threads: 1), threads: 1)
  }

  /// Fields of different times, with and without flags, and progressive frames.
  @Test func combsAreDetectedWithoutFlags() throws {
    let bench = try Workbench()
    let picture = "-f lavfi -i testsrc2=size=320x240:rate=50:duration=1"
    try bench.ffmpeg("\(picture) -vf tinterlace=interleave_top,setfield=prog -c:v ffv1", "combed.mkv")
    try bench.ffmpeg(
      "\(picture) -vf tinterlace=interleave_top -c:v libx264 -x264-params tff=1 -pix_fmt yuv420p", "flags.mkv"
    )
    try bench.ffmpeg("\(picture) -c:v ffv1", "progressive.mkv")
    // Static lines of one row.
    try bench.ffmpeg(
      "-f lavfi -i nullsrc=size=320x240:rate=25:duration=1 -vf format=yuv420p,geq=lum=40+150*mod(Y\\,2):cb=128:cr=128"
        + " -c:v ffv1", "lines.mkv")
    let combed = try look(bench, "combed.mkv")
    #expect(combed.isCombed && !combed.isFlaggedInterlaced)
    #expect(try look(bench, "flags.mkv").isFlaggedInterlaced)
    for name in ["progressive.mkv", "lines.mkv"] {
      let found = try look(bench, name)
      #expect(!found.isCombed && !found.isFlaggedInterlaced, "\(name)")
    }
  }

  @Test func noiseAndSize() throws {
    let bench = try Workbench()
    let picture = "-f lavfi -i testsrc2=size=320x192:rate=25:duration=1"
    try bench.ffmpeg("\(picture) -pix_fmt yuv420p -c:v ffv1", "clean.mkv")
    try bench.ffmpeg("\(picture) -vf noise=alls=30:allf=t,setsar=4/3 -pix_fmt yuv420p -c:v ffv1", "noisy.mkv")
    let (clean, noisy) = (try look(bench, "clean.mkv"), try look(bench, "noisy.mkv"))
    #expect(clean.noise < EnhancementJob.forecastNoise && noisy.noise > EnhancementJob.forecastNoise)
    #expect(clean.shownWidth == 320 && noisy.shownWidth == 427 && noisy.shownHeight == 192)
    #expect(clean.survey.isPristine)
  }
}
