// SPDX-License-Identifier: Apache-2.0
// FrameByFrame IN.mp4 OUT.mp4: upscales a video to a file, then reads the upscaled frames without a file and
// prints their brightness, and upscales pictures that it makes itself.
import Videnhance

guard CommandLine.arguments.count == 3 else { fatalError("usage: FrameByFrame IN OUT") }
let (input, output) = (CommandLine.arguments[1], CommandLine.arguments[2])
let enhancement = try Enhancement([.superResolution(.x2)])

// File to file.
var encoding = Enhancement.Encoding()
encoding.quality = 18
do {
  let summary = try await enhancement.run(input, to: output, encoding: encoding) { progress in
    print("\(progress.frames) frames")
  }
  print("\(output): \(summary.frames) frames of \(summary.width)x\(summary.height)")
  for warning in summary.warnings { print("warning: \(warning)") }
} catch let error as any VidenhanceError {
  fatalError("\(error)" + (error.hint.map { " (\($0))" } ?? ""))
}

// Frame by frame.
func printBrightness(of picture: VideoPicture) throws {
  var sum = 0
  try picture.forEachRow(ofPlane: 0, samples: UInt8.self) { _, samples in
    for x in samples.indices { sum += Int(samples[x]) }
  }
  let mean = sum / (picture.width * picture.height)
  print("\(picture.time.seconds) s: \(picture.width)x\(picture.height), mean luma \(mean)")
}

for try await picture in enhancement.pictures(of: input) { try printBrightness(of: picture) }

// Pictures of one's own: a slope that moves to the right.
let slope = AsyncStream<VideoPicture> { continuation in
  for index in 0..<3 {
    let picture = try? VideoPicture(
      width: 64, height: 48, layout: .yuv420p, time: MediaTime(value: Int64(index), timescale: 25),
      samples: UInt8.self
    ) { plane, _, samples in
      for x in samples.indices { samples[x] = plane == 0 ? UInt8(16 + 3 * ((x + index) % 64)) : 128 }
    }
    if let picture { continuation.yield(picture) }
  }
  continuation.finish()
}
for try await picture in enhancement.pictures(from: slope) { try printBrightness(of: picture) }
