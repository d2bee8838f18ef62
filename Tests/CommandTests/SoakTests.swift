// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The short form of `make soak`: half a minute of small film.
@Suite struct SoakTests {
  @Test func memoryAndDescriptorsStayAndSoundIsInPlace() throws {
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Scripts/soak.sh")
    // AddressSanitizer keeps freed memory for a while, which looks like growth in so short a time.
    let isSanitized = ProcessInfo.processInfo.environment["ASAN_OPTIONS"] != nil
    let run = try Program.Run(
      [script.path, Program.url.path], program: "/bin/bash",
      environment: [
        "MINUTES": "0.5", "SIZE": "64x48", "EVERY": "0.05", "SLACK": isSanitized ? "65536" : "2048",
      ]
    ).finish()
    #expect(run.code == 0, "\(run.output) \(run.errors)")
    #expect(run.output.contains("sound off by 0.000 ms") && !run.output.contains("grows"), "\(run.output)")
    #expect(run.output.contains("0.5 minutes of film"))
  }
}
