// SPDX-License-Identifier: Apache-2.0
import Testing
import VideoIO

@Suite struct FramePoolTests {
  private func pooled(_ pool: FramePool?, _ width: Int, _ height: Int, value: UInt8) throws -> VideoFrame {
    var buffer = try FrameBuffer(width: width, height: height, format: .yuv420p, pool: pool)
    for plane in 0..<3 {
      buffer.withMutablePlane(plane) { bytes, _ in
        for index in bytes.indices { bytes[index] = value }
      }
    }
    return buffer.freeze(presentationTimestamp: 0, duration: 0)
  }

  private func addresses(_ frame: VideoFrame) -> [UInt] {
    (0..<3).map { plane in frame.withPlane(plane) { bytes, _ in UInt(bitPattern: bytes.baseAddress) } }
  }

  private func strides(_ frame: VideoFrame) -> [Int] {
    (0..<3).map { plane in frame.withPlane(plane) { _, bytesPerRow in bytesPerRow } }
  }

  @Test func poolsReuseMemoryThatNobodyHolds() throws {
    let pool = FramePool()
    let alone = try pooled(nil, 322, 182, value: 1)
    var held: [VideoFrame] = []
    for value in 0..<4 { held.append(try pooled(pool, 322, 182, value: UInt8(value))) }
    #expect(Set(held.map { addresses($0)[0] }).count == 4)
    for (value, frame) in held.enumerated() {
      #expect(strides(frame) == strides(alone))
      #expect(Set(samples(frame)) == [UInt8(value)])
    }
    let freed = addresses(held.removeLast())
    let next = try pooled(pool, 322, 182, value: 9)
    #expect(addresses(next) == freed)
    #expect(Set(samples(held[1])) == [1] && Set(samples(next)) == [9])
  }

  @Test func poolsFollowTheShapeAndFramesOutliveThem() throws {
    var pool: FramePool? = FramePool()
    let first = try pooled(pool, 64, 32, value: 1)
    let second = try pooled(pool, 64, 32, value: 2)
    let wide = try pooled(pool, 640, 32, value: 3)
    let tall = try pooled(pool, 640, 480, value: 4)
    let again = try pooled(pool, 640, 480, value: 5)
    pool = nil
    for (value, frame) in [first, second, wide, tall, again].enumerated() {
      #expect(Set(samples(frame)) == [UInt8(value + 1)])
    }
    #expect(throws: VideoIOError.invalidPicture(width: 0, height: 1, format: "yuv420p")) {
      _ = try FrameBuffer(width: 0, height: 1, format: .yuv420p, pool: FramePool())
        .freeze(presentationTimestamp: 0, duration: 0)
    }
  }
}
