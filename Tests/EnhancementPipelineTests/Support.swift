// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import TestSupport
import VideoIO

/// Creates a job with a network that adds nothing, encoded losslessly.
func bicubicJob(
  _ input: String, _ output: String, scale: Int = 2, window: Int = 3,
  options: EnhancementJob.Options = .init()
) -> EnhancementJob {
  EnhancementJob(input: input, output: output, encoder: EncoderSettings(codec: "ffv1"), options: options) {
    width, height, _ in BicubicNetwork(width: width, height: height, scale: scale, window: window)
  }
}

/// Returns a step that changes nothing.
func identityStep() -> EnhancementStep {
  var step = EnhancementStep { try zeroNetwork(.denoising, width: $0, height: $1, threads: $2) }
  step.smooths = false
  return step
}

/// Returns all frames of a file.
func readFrames(_ path: String) throws -> [VideoFrame] {
  var reader = try VideoReader(path: path)
  var frames: [VideoFrame] = []
  while let item = try reader.next() {
    if case .frame(let frame) = item { frames.append(frame) }
  }
  return frames
}

/// Returns the samples of a plane, row by row without gaps.
func samples(_ frame: VideoFrame, _ plane: Int) -> [UInt16] {
  let (width, height) = (frame.planeWidth(plane), frame.planeHeight(plane))
  return frame.withPlane(plane) { bytes, bytesPerRow in
    (0..<height).flatMap { y in
      (0..<width).map { x in
        frame.format.bytesPerSample == 1
          ? UInt16(bytes[y * bytesPerRow + x])
          : bytes.loadUnaligned(fromByteOffset: y * bytesPerRow + 2 * x, as: UInt16.self)
      }
    }
  }
}
