// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing
import VideoIO

/// Tests the use of readers, writers and shared frames in tasks.
@Suite struct ConcurrencyTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  /// A box to move a reader to another task.
  final class ReaderBox: Sendable {
    private let reader: Mutex<VideoReader>

    init(path: String) throws {
      reader = Mutex(try VideoReader(path: path, threads: 1))
    }

    var info: MediaInfo { reader.withLock { $0.info } }

    func next() throws -> MediaItem? { try reader.withLock { try $0.next() } }
  }

  @Test func readersRunSideBySide() async throws {
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=1 -c:v libx264 -bf 2", "in.mp4")
    let path = bench.path("in.mp4")
    let expected = try readAll(path).frames.map(samples)
    try await withThrowingTaskGroup(of: [VideoFrame].self) { group in
      for _ in 0..<4 {
        let box = try ReaderBox(path: path)
        #expect(box.info.width == 96)
        group.addTask {
          var frames: [VideoFrame] = []
          while let item = try box.next() { if case .frame(let frame) = item { frames.append(frame) } }
          return frames
        }
      }
      for try await frames in group { #expect(frames.map(samples) == expected) }
    }
  }

  /// Errors logged by one thread do not appear in another's messages.
  @Test func messagesAreKeptPerThread() async throws {
    try bench.write("no video", "bad.mp4")
    try bench.ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=1 -c:v libx264", "in.mp4")
    let (bad, good) = (bench.path("bad.mp4"), bench.path("in.mp4"))
    let alone = try #require(#expect(throws: VideoIOError.self) { _ = try readAll(bad) })
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<16 {
        group.addTask {
          if index % 2 == 0 {
            #expect(throws: alone) { _ = try readAll(bad) }
          } else {
            #expect(throws: Never.self) { _ = try readAll(good) }
          }
        }
      }
    }
  }
}
