// SPDX-License-Identifier: Apache-2.0
import EnhancementPipeline
import Foundation
import TestSupport
import Testing
import VideoIO

/// Combed frames are detected by their content: all clips here are flagged as progressive.
@Suite struct CombDetectorTests {
  /// Returns the finding for a clip of an ffmpeg source with `filters` applied.
  private func finding(_ source: String, _ filters: String = "null", seconds: Double = 2) throws
    -> CombDetector.Finding
  {
    let bench = try Workbench()
    let layout = filters.contains("format=") ? "" : " -pix_fmt yuv420p"
    try bench.ffmpeg(
      "-f lavfi -i \(source) -t \(seconds) -vf \(filters),setfield=prog\(layout) -threads 1 -c:v ffv1",
      "in.mkv")
    return try CombDetector.look(at: bench.path("in.mkv"), options: EnhancementJob.Options(threads: 1))
  }

  @Test(arguments: [
    ("testsrc2=size=320x240:rate=50", "interlace"), ("testsrc2=size=320x240:rate=50", "interlace=scan=bff"),
    ("mandelbrot=size=320x240:rate=50:start_scale=3:end_scale=0.1:end_pts=60", "interlace"),
    (
      "color=gray:size=320x240:rate=50",
      "geq=lum='128+100*sin(((X-160)*(X-160)+(Y-120)*(Y-120))/160+N/2)',interlace"
    ),
    // Telecined film: two frames of five combine fields of two film frames.
    ("testsrc2=size=320x240:rate=24", "telecine"),
    ("testsrc2=size=640x480:rate=50", "interlace,format=yuv422p10le"),
  ])
  func combedFramesAreNoticed(source: String, filters: String) throws {
    #expect(try finding(source, filters) == .combed)
  }

  @Test(arguments: [
    ("testsrc2=size=320x240:rate=25", "null"), ("testsrc=size=320x240:rate=25", "null"),
    ("testsrc2=size=96x64:rate=25", "null"), ("mandelbrot=size=320x240:rate=25", "null"),
    ("life=size=320x240:rate=25", "null"), ("color=gray:size=320x240", "noise=alls=40:allf=t"),
    // Motion across the lines, by integer and fractional numbers of lines.
    ("testsrc2=size=320x240:rate=25", "scroll=v=0.0041667"),
    ("testsrc2=size=320x240:rate=25", "scroll=v=0.0097"),
    // Single-row lines, static and moving.
    ("color=gray:size=320x240", "geq=lum='128+100*sin((Y+N)*3.14159)'"),
    ("color=gray:size=320x240", "geq=lum='128+100*sin((Y+N)*1.1+X/40)'"),
    ("color=gray:size=320x240", "geq=lum='128+100*sin(((X-160)*(X-160)+(Y-120)*(Y-120))/160+N)'"),
    ("testsrc2=size=320x240:rate=50", "interlace,bwdif=mode=send_frame:deint=all"),
    ("testsrc2=size=320x2:rate=25", "null"), ("color=black:size=64x64", "null"),
  ])
  func progressiveFramesRaiseNoAlarm(source: String, filters: String) throws {
    #expect(try finding(source, filters) == .progressive)
  }

  @Test func flagsAreTrusted() throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=320x240:rate=50:duration=1 -vf interlace -flags +ildct+ilme -c:v mpeg2video",
      "in.mkv")
    #expect(
      try CombDetector.look(at: bench.path("in.mkv"), options: EnhancementJob.Options(threads: 1)) == .flagged
    )
  }

  /// A job warns once: during the run if there is a listener, else in its summary.
  @Test func jobsWarnOfCombedFrames() async throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=160x120:rate=50:duration=1 -vf interlace,setfield=prog -c:v ffv1", "in.mkv"
    )
    var options = EnhancementJob.Options(threads: 1)
    let summary = try await bicubicJob(
      bench.path("in.mkv"), bench.path("a.mkv"), scale: 1, options: options
    ).run()
    #expect(summary.warnings == [CombDetector.remark])
    options.deinterlacing = .frames
    let clean = try await bicubicJob(
      bench.path("in.mkv"), bench.path("b.mkv"), scale: 1, options: options
    ).run()
    #expect(clean.warnings == [])
  }
}
