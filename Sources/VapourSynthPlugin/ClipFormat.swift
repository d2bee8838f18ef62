// SPDX-License-Identifier: Apache-2.0
internal import CVapourSynth
internal import Foundation
internal import VideoIO

/// Frame format of a clip, with conversion of frames from and to the pipeline.
struct ClipFormat {
  /// VapourSynth's and this package's descriptions of the format.
  let host: CVSVideoFormat
  let pixels: PixelFormat
  /// Size of luma.
  let width, height: Int

  /// - Throws: `FilterError` for unsupported formats.
  init(_ info: CVSVideoInfo, _ host: Host) throws {
    guard info.width > 0, info.height > 0, info.format.colorFamily != 0 else {
      throw FilterError("frames of the clip differ in format or size; pass a clip where they do not")
    }
    guard let pixels = Self.pixels(info.format) else {
      let name = host.name(of: info.format) ?? "this format"
      throw FilterError(
        "\(name) is not supported; convert to YUV 4:2:0, 4:2:2, 4:4:0 or 4:4:4 or gray with 8, 9, 10, 12, 14 or 16 bits,"
          + " for example by resize.Bicubic(format=vs.YUV420P8)")
    }
    self.host = info.format
    self.pixels = pixels
    width = Int(info.width)
    height = Int(info.height)
  }

  private static func pixels(_ format: CVSVideoFormat) -> PixelFormat? {
    guard format.sampleType == CVS_INTEGER else { return nil }
    let layout: String
    switch (Int(format.colorFamily), format.subSamplingW, format.subSamplingH) {
    case (CVS_GRAY, _, _): layout = "gray"
    case (CVS_YUV, 1, 1): layout = "yuv420p"
    case (CVS_YUV, 1, 0): layout = "yuv422p"
    case (CVS_YUV, 0, 1): layout = "yuv440p"
    case (CVS_YUV, 0, 0): layout = "yuv444p"
    default: return nil
    }
    return PixelFormat(name: format.bitsPerSample == 8 ? layout : "\(layout)\(format.bitsPerSample)le")
  }

  /// Copies a frame of the clip for the pipeline.
  func read(_ frame: OpaquePointer, _ host: Host) throws -> VideoFrame {
    let sources = (0..<pixels.planeCount).compactMap { host.plane($0, of: frame) }
    guard sources.count == pixels.planeCount else {
      throw FilterError("frames of the clip are not in the memory of the processor")
    }
    return try VideoFrame.make(width: width, height: height, format: pixels) { index, target, bytesPerRow in
      let (samples, stride) = sources[index]
      let count = pixels.planeWidth(index, width: width) * pixels.bytesPerSample
      for row in 0..<pixels.planeHeight(index, height: height) {
        memcpy(target.baseAddress! + row * bytesPerRow, samples + row * stride, count)
      }
    }
  }

  /// Copies a frame of the pipeline to a new frame of VapourSynth, with the properties of another.
  func write(_ frame: VideoFrame, like source: OpaquePointer, _ host: Host) throws -> OpaquePointer {
    let result = host.makeFrame(self.host, width: frame.width, height: frame.height, like: source)
    guard let result else { throw FilterError("no memory for a frame of \(frame.width)x\(frame.height)") }
    for index in 0..<pixels.planeCount {
      guard let (samples, stride) = host.writablePlane(index, of: result) else { continue }
      let count = frame.planeWidth(index) * pixels.bytesPerSample
      frame.withPlane(index) { bytes, bytesPerRow in
        for row in 0..<frame.planeHeight(index) {
          memcpy(samples + row * stride, bytes.baseAddress! + row * bytesPerRow, count)
        }
      }
    }
    return result
  }
}
