// SPDX-License-Identifier: Apache-2.0
// FrameByFrame IN.mp4 OUT.mp4: upscales a video to a file, then reads the upscaled frames without a file and
// prints their brightness.
import Videnhance

guard CommandLine.arguments.count == 3 else { fatalError("usage: FrameByFrame IN OUT") }
let (input, output) = (CommandLine.arguments[1], CommandLine.arguments[2])

// File to file.
let job = EnhancementJob(input: input, output: output, steps: [.superResolution(scale: 2, bits: .four)])
let summary = try await job.run { progress in print("\(progress.frames) frames") }
print("\(output): \(summary.frames) frames of \(summary.width)x\(summary.height)")

// Frame by frame. Rows may be longer in memory than the frame is wide.
for try await frame in EnhancedFrames(of: input, steps: [.superResolution()]) {
  var sum = 0
  frame.withPlane(0) { luma, bytesPerRow in
    for y in 0..<frame.height {
      for x in 0..<frame.width { sum += Int(luma[y * bytesPerRow + x]) }
    }
  }
  let mean = sum / (frame.width * frame.height)
  print("\(frame.presentationTimestamp): \(frame.width)x\(frame.height), mean luma \(mean)")
}
