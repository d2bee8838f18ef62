// SPDX-License-Identifier: Apache-2.0
import Foundation
import Kernels
import TestSupport
import Testing

/// Tests that the same source, model and options give the same pictures on any machine, regardless of the
/// number of threads, the instruction set, and the division of the work.
@Suite struct DeterminismTests {
  @Test(arguments: [
    ["--task", "sr", "--bits", "4"], ["--task", "sr", "--bits", "8", "--scale", "4"],
    ["--task", "sr", "--model", "fast", "--bits", "6"], ["--task", "denoise", "--bits", "3"],
    ["--task", "interp", "--model", "balanced", "--bits", "2", "--factor", "3"], ["--task", "interp,sr"],
  ])
  func framesDoNotDependOnTheMachine(options: [String]) throws {
    let bench = try Workbench()
    // Extents that are not multiples of any tile; two scenes.
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=62x46:rate=25 -f lavfi -i mandelbrot=size=62x46:rate=25 -filter_complex "
        + "[0]trim=end_frame=4,setsar=1,format=yuv420p[a];[1]trim=end_frame=4,setsar=1,format=yuv420p[b];"
        + "[a][b]concat=n=2,noise=alls=12:allf=t:all_seed=7 -c:v ffv1", "in.mkv")
    var ways: [(name: String, more: [String], environment: [String: String])] = []
    // The best instruction set first. The division of the work does not depend on it, so the slower ones run on few threads.
    for isa in InstructionSet.supported.reversed() {
      for threads in isa == InstructionSet.supported.last ? [1, 2, 3, 8] : [isa == .scalar ? 2 : 1, 3] {
        ways.append(
          ("\(isa.name), \(threads) threads", ["--threads", "\(threads)"], ["VIDENHANCE_ISA": isa.name]))
      }
    }
    ways.append(("scalar by option", ["--isa", "scalar"], [:]))
    ways.append(("segments", ["--segment-frames", "5"], [:]))
    var first: String?
    for way in ways {
      let run = try Program.Run(
        [bench.path("in.mkv"), bench.path("out.mkv"), "--codec", "ffv1", "--quiet", "--overwrite"] + options
          + way.more, environment: way.environment
      ).finish()
      #expect(run.code == 0, "\(way.name): \(run.errors)")
      let frames = try runProgram(
        "ffmpeg", ["-v", "error", "-nostdin", "-i", bench.path("out.mkv"), "-f", "framemd5", "-"])
      #expect(frames.split(separator: "\n").filter { !$0.hasPrefix("#") }.count >= 8, "\(way.name)")
      if let first { #expect(frames == first, "\(way.name)") }
      first = first ?? frames
    }
  }

  /// Equal files, whatever was in memory before: every run finds it filled with another byte. At these widths x264's functions
  /// for AVX-512 read beyond their rows; Matroska would have random numbers.
  @Test(arguments: [(176, "mp4"), (360, "mkv")]) func sameBytesEveryTime(width: Int, ending: String) throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=\(width)x34:r=25:d=1.2 -f lavfi -i sine=d=1.2 -vf noise=alls=8:allf=t:all_seed=3,format=yuv420p"
        + " -c:v ffv1 -c:a pcm_s16le", "in.mkv")
    let model = try bench.makeModel()
    var files: Set<Data> = []
    for fill in ["0", "1", "85", "170", "255"] {
      let output = bench.path("\(fill).\(ending)")
      let run = try Program.Run(
        [bench.path("in.mkv"), output, "--bits", "32", "--model-file", model, "--threads", "2", "--quiet"],
        environment: ["MALLOC_PERTURB_": fill]
      ).finish()
      #expect(run.code == 0, "\(run.errors)")
      files.insert(try Data(contentsOf: URL(fileURLWithPath: output)))
    }
    #expect(files.count == 1 && files.first?.isEmpty == false)
  }
}
