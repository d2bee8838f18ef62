// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import VideoIO

/// Tests that a file is read back before it gets its name, to detect faulty disks.
@Suite struct WrittenFileTests {
  /// Writes 300 frames, damages the unfinished file, and finishes it.
  private func finish(
    _ bench: Workbench, _ name: String, codec: String, spoil: (FileHandle, UInt64) throws -> Void
  )
    throws
  {
    var reader = try VideoReader(path: bench.path("in.mkv"))
    var writer = try VideoWriter(
      path: bench.path(name), like: reader.info, width: 320, height: 240, format: .yuv420p,
      settings: EncoderSettings(codec: codec))
    while let item = try reader.next() { try writer.write(item) }
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: bench.path(name + ".part")))
    try spoil(file, try file.seekToEnd())
    try file.close()
    try writer.finish()
  }

  @Test(arguments: [("out.mkv", "ffv1"), ("out.ts", "mpeg2video"), ("out.nut", "ffv1")])
  func lossesAreFound(name: String, codec: String) throws {
    let bench = try Workbench()
    try bench.ffmpeg(
      "-f lavfi -i testsrc2=size=320x240:rate=25:duration=12 -vf noise=alls=20 -pix_fmt yuv420p -c:v libx264 -qp 20 -preset ultrafast",
      "in.mkv")
    try finish(bench, name, codec: codec) { _, length in #expect(length > 200_000) }
    #expect(bench.contents == ["in.mkv", name])
    try FileManager.default.removeItem(atPath: bench.path(name))
    // Zeros in the first half except for the header, which no system call reports.
    do {
      try finish(bench, name, codec: codec) { file, length in
        try file.seek(toOffset: 4000)
        try file.write(contentsOf: Data(count: Int(length / 2)))
      }
      Issue.record("a file without half of its frames was taken for whole")
    } catch VideoIOError.outputDamaged(let path, let detail) {
      #expect(path == bench.path(name))
      #expect(detail.contains("of 300 frames") || detail.contains("cannot be read"), "\(detail)")
    }
    #expect(bench.contents == ["in.mkv"])
  }
}
