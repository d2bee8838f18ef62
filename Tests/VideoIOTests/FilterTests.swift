// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import VideoIO

/// Tests FFmpeg filters on frames.
@Suite struct FilterTests {
  private func frames(_ count: Int, width: Int = 32, height: Int = 16) throws -> [VideoFrame] {
    try (0..<count).map { index in
      try VideoFrame.make(
        width: width, height: height, format: .yuv420p, presentationTimestamp: Int64(index) * 2, duration: 2
      ) { plane, bytes, _ in
        for position in bytes.indices {
          bytes[position] = UInt8(truncatingIfNeeded: position * 7 + index * 31 + plane)
        }
      }
    }
  }

  private func luma(_ frame: VideoFrame) -> [UInt8] {
    frame.withPlane(0) { bytes, stride in
      (0..<frame.height).flatMap { y in (0..<frame.width).map { x in bytes[y * stride + x] } }
    }
  }

  @Test func flippingTwiceIsIdentity() throws {
    let sources = try frames(3)
    var filter = try FrameFilter("hflip,hflip", like: sources[0], timeBase: Rational(1, 50))
    var results: [VideoFrame] = []
    for frame in sources { results += try filter.push(frame) }
    results += try filter.finish()
    #expect(results.map(luma) == sources.map(luma))
    #expect(results.map(\.presentationTimestamp) == [0, 2, 4])
    #expect(filter.timeBase.inverse.doubleValue == 50)
  }

  /// bwdif delays its output by a frame and returns one frame per field.
  @Test func delayedFramesAreReturnedAtTheEnd() throws {
    let sources = try frames(4)
    var filter = try FrameFilter(
      "bwdif=mode=send_field:deint=all", like: sources[0], timeBase: Rational(1, 50),
      frameRate: Rational(25, 1))
    var count = 0
    for frame in sources { count += try filter.push(frame).count }
    #expect(count < 8)
    count += try filter.finish().count
    #expect(count == 8)
    #expect(filter.frameRate.doubleValue == 50)
  }

  @Test func wrongFiltersAreErrors() throws {
    let frame = try frames(1)[0]
    for text in ["nosuchfilter", "scale=w=", "hflip=x=3", "", "split[a][b]"] {
      let error = #expect(throws: VideoIOError.self) {
        _ = try FrameFilter(text, like: frame, timeBase: Rational(1, 25))
      }
      guard case .cannotFilter(text, _)? = error else {
        Issue.record("\(text): \(String(describing: error))")
        continue
      }
    }
    var filter = try FrameFilter("hflip", like: frame, timeBase: Rational(1, 25))
    let other = try frames(1, width: 64)[0]
    #expect(throws: VideoIOError.self) { _ = try filter.push(other) }
  }
}
