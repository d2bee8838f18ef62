// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import VideoIO

/// Equal frames give equal files; `DeterminismTests.sameBytesEveryTime` compares files.
@Suite struct ReproducibilityTests {
  /// x264's instruction sets are limited only on processors with AVX-512, by names that x264 accepts.
  @Test func instructionsOfX264() throws {
    #expect(VideoEncoder.reproducibleInstructions(cpu: 0) == nil)
    // AV_CPU_FLAG_AVX2, AV_CPU_FLAG_AVX512
    #expect(VideoEncoder.reproducibleInstructions(cpu: 0x8000) == nil)
    let names = try #require(VideoEncoder.reproducibleInstructions(cpu: 0x8000 | 0x100000))
    let bench = try Workbench()
    let input = try bench.ffmpeg(
      "-f lavfi -i testsrc2=s=352x64:r=25:d=0.2 -pix_fmt yuv420p -c:v ffv1", "in.mkv")
    #if arch(x86_64)
      // Crashes on processors without AVX2; all with AVX-512 have it.
      let cpu = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
      guard cpu.contains(" avx2 ") else { return }
      let settings = EncoderSettings(codec: "libx264", options: ["x264-params": "asm=\(names)"])
      try copy(input, to: bench.path("out.mkv"), settings: settings)
      #expect(try bench.frameHashes("out.mkv").count == 5)
      // x264 rejects unknown names.
      #expect(throws: VideoIOError.self) {
        let wrong = EncoderSettings(codec: "libx264", options: ["x264-params": "asm=AVX2,FMA9"])
        try copy(input, to: bench.path("wrong.mkv"), settings: wrong)
      }
    #else
      #expect(!input.isEmpty)
    #endif
  }
}
