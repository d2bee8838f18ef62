// SPDX-License-Identifier: Apache-2.0
import Foundation
import QualityReport
import Training
import VideoIO

/// The first frames of a clip as ground truth, in memory and as a lossless file.
struct RealClip: Sendable {
  let name: String
  let frames: [VideoFrame]
  let info: MediaInfo
  /// The same frames as a file, for external measuring programs.
  let path: String

  /// Reads a clip in 8-bit 4:2:0, reduced to at most 640 samples wide (bicubic).
  /// - Parameters:
  ///   - limit: the most frames to use; 0 for all.
  ///   - output: the lossless file.
  init(_ source: String, frames limit: Int, to output: String, threads: Int) throws {
    let filter =
      "scale=min(640\\,iw):-4:flags=bicubic,crop=trunc(iw/8)*8:trunc(ih/8)*8:0:0,format=yuv420p"
    var reader = try FileFrames(path: source, filter: filter, threads: threads)
    var frames: [VideoFrame] = []
    while limit == 0 || frames.count < limit, let (frame, _) = try reader.next() { frames.append(frame) }
    guard !frames.isEmpty else { throw CompareError(detail: "no frames in \(source)") }
    name = URL(fileURLWithPath: source).lastPathComponent
    info = reader.info
    self.frames = frames
    path = output
    try Self.write(frames, like: info, to: output)
  }

  /// Writes frames losslessly.
  static func write(_ frames: [VideoFrame], like info: MediaInfo, to path: String) throws {
    try? FileManager.default.removeItem(atPath: path)
    var writer = try VideoWriter(
      path: path, like: info, width: frames[0].width, height: frames[0].height, format: frames[0].format,
      settings: EncoderSettings(codec: "ffv1", threads: 1))
    for frame in frames { try writer.write(frame) }
    try writer.finish()
  }

  /// All frames of a file.
  static func frames(of path: String, threads: Int) throws -> [VideoFrame] {
    var reader = try FileFrames(path: path, threads: threads)
    var frames: [VideoFrame] = []
    while let (frame, _) = try reader.next() { frames.append(frame) }
    return frames
  }

  /// Identifies decoded frames: 64-bit FNV-1a over all samples, in hexadecimal.
  static func digest(_ frames: [VideoFrame]) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for frame in frames {
      for plane in 0..<frame.format.planeCount {
        let bytes = frame.planeWidth(plane) * frame.format.bytesPerSample
        frame.withPlane(plane) { buffer, bytesPerRow in
          for row in 0..<frame.planeHeight(plane) {
            for column in 0..<bytes {
              hash = (hash ^ UInt64(buffer[row * bytesPerRow + column])) &* 0x100_0000_01b3
            }
          }
        }
      }
    }
    return String(hash, radix: 16)
  }
}

/// Processor time.
enum ProcessorTime {
  /// Processor seconds of all threads of this process.
  static var seconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
