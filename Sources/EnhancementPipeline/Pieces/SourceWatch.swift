// SPDX-License-Identifier: Apache-2.0
internal import Synchronization
internal import VideoIO

/// Hashes the frames read from a file, to verify that other processes read the same frames.
final class SourceWatch: Sendable {
  private let state: Mutex<State>

  private struct State {
    /// Number of the next frame.
    var next: Int
    let first: Int
    var times: [FrameTime] = []
    /// For each frame, the sum of the hashes of all preceding frames.
    var sums: [UInt64] = [0]
  }

  /// Creates a watch for frames numbered from `first`.
  init(first: Int = 0) { state = Mutex(State(next: first, first: first)) }

  func note(_ frame: VideoFrame) {
    let hash = Self.hash(frame)
    state.withLock { state in
      state.times.append(
        FrameTime(presentation: frame.presentationTimestamp, duration: frame.duration))
      // Include the number, to detect frames in another order.
      let mixed = (hash ^ UInt64(truncatingIfNeeded: state.next)) &* 0x9e37_79b9_7f4a_7c15
      state.sums.append(state.sums[state.sums.count - 1] &+ (mixed ^ mixed >> 29))
      state.next += 1
    }
  }

  /// Times of the frames so far.
  var times: [FrameTime] { state.withLock { $0.times } }

  /// Returns a hash of a range of frames as 16 hexadecimal digits; nil if some have not been read.
  func signature(_ frames: ClosedRange<Int>) -> String? {
    state.withLock { state in
      let (first, last) = (frames.lowerBound - state.first, frames.upperBound - state.first + 1)
      guard first >= 0, last < state.sums.count else { return nil }
      let digits = String(state.sums[last] &- state.sums[first], radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
  }

  /// Hashes all samples.
  private static func hash(_ frame: VideoFrame) -> UInt64 {
    var hash: UInt64 = 0x2545_f491_4f6c_dd1d
    for plane in 0..<frame.format.planeCount {
      let rowBytes = frame.planeWidth(plane) * frame.format.bytesPerSample
      frame.withPlane(plane) { bytes, bytesPerRow in
        for row in 0..<frame.planeHeight(plane) {
          hash = Self.hash(
            UnsafeRawBufferPointer(rebasing: bytes[row * bytesPerRow..<row * bytesPerRow + rowBytes]), hash)
        }
      }
    }
    return hash
  }

  private static func hash(_ bytes: UnsafeRawBufferPointer, _ seed: UInt64) -> UInt64 {
    // Two independent chains hide the latency of multiplication.
    var (a, b) = (seed, seed ^ UInt64(bytes.count))
    var position = 0
    while position + 16 <= bytes.count {
      let first = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
      let second = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position + 8, as: UInt64.self))
      a = (a ^ first) &* 0x9fb2_1c65_1e98_df25
      b = (b ^ second) &* 0xd6e8_feb8_6659_fd93
      a ^= a >> 32
      b ^= b >> 32
      position += 16
    }
    while position < bytes.count {
      a = (a ^ UInt64(bytes[position])) &* 0x0000_0100_0000_01b3
      position += 1
    }
    return a ^ (b << 17 | b >> 47)
  }
}
