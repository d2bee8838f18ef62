// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The short form of `make soak`: half a minute of a small film.
@Suite struct SoakTests {
  @Test func memoryStaysConstantAndSoundInSync() throws {
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Scripts/soak.sh")
    // AddressSanitizer keeps freed memory for a while (256 MB by default), which looks like growth in a short
    // test.
    let sanitizer = ProcessInfo.processInfo.environment["ASAN_OPTIONS"]
    var environment = [
      "MINUTES": "0.5", "SIZE": "64x48", "EVERY": "0.05", "SLACK": sanitizer == nil ? "2048" : "65536",
    ]
    if let sanitizer { environment["ASAN_OPTIONS"] = sanitizer + ":quarantine_size_mb=16" }
    let run = try Program.Run(
      [script.path, Program.url.path], program: "/bin/bash",
      environment: environment
    ).finish()
    #expect(run.code == 0, "\(run.output) \(run.errors)")
    #expect(run.output.contains("sound off by 0.000 ms") && !run.output.contains("grows"), "\(run.output)")
    #expect(run.output.contains("0.5 minutes of film"))
  }
}
