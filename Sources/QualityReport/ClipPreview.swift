// SPDX-License-Identifier: Apache-2.0
package import EnhancementPipeline
internal import Foundation
internal import VideoIO

/// The reason that a preview failed.
package struct PreviewError: Error, CustomStringConvertible {
  package var detail: String
  package var description: String { "cannot preview: \(detail)" }

  package init(detail: String) { self.detail = detail }
}

/// Pictures of a few frames of a clip, before and after enhancing.
package struct ClipPreview: Sendable {
  /// The clip.
  package let input: String
  /// The steps to run.
  package let steps: [EnhancementStep]
  /// Whether one of the steps interpolates frames.
  package let isInterpolating: Bool
  /// Number of threads; 0 for one per core.
  package let threads: Int

  package init(of input: String, steps: [EnhancementStep], isInterpolating: Bool, threads: Int) {
    self.input = input
    self.steps = steps
    self.isInterpolating = isInterpolating
    self.threads = threads
  }

  /// Times in seconds of the busiest spot in each of `count` parts.
  package func spots(_ count: Int) throws -> [Double] {
    try BusySpots.find(in: input, count: count, threads: threads)
  }

  /// Writes `<name>before.png`, `<name>after.png` and `<name>crop.png` for the frame at `seconds`.
  package func write(at seconds: Double, to name: String) async throws {
    let (before, after) = try await enhance(at: seconds)
    try write(before, name + "before.png")
    try write(after, name + "after.png")
    try write(try CropPair.make(before, after), name + "crop.png")
  }

  private func write(_ frame: VideoFrame, _ path: String) throws {
    try Data(try PictureEncoding.png(frame)).write(to: URL(fileURLWithPath: path), options: .atomic)
  }

  /// The frame at `seconds`, enlarged without a network and enhanced by the networks.
  private func enhance(at seconds: Double) async throws -> (before: VideoFrame, after: VideoFrame) {
    // Windows reach a few frames back.
    let info = try VideoReader(path: input, threads: threads).info
    let rate = info.averageFrameRate.isPositive ? info.averageFrameRate.doubleValue : 25
    let lead = min(seconds, 4 / rate)
    var options = EnhancementJob.Options(threads: threads > 0 ? threads : nil)
    options.start = .microseconds(Int64((seconds - lead) * 1_000_000))
    options.length = .microseconds(Int64((lead + 6 / rate) * 1_000_000))
    var after: VideoFrame?
    var made = EnhancedFrames(of: input, steps: steps, options: options).makeAsyncIterator()
    var start: Int64?
    while let frame = try await made.next() {
      start = start ?? frame.presentationTimestamp
      let time = Double(frame.presentationTimestamp - (start ?? 0)) * made.timeBase.doubleValue
      after = frame
      // For interpolation, take the first interpolated frame after the source's.
      if time >= lead + (isInterpolating ? 0.25 / rate : -0.25 / rate) { break }
    }
    guard let after else {
      throw PreviewError(detail: "no frames of \(input) at \(clockText(seconds))")
    }
    var reading = VideoReader.Options()
    reading.start = options.start
    reading.length = options.length
    reading.toleratesEarlyEnd = true
    var reader = try VideoReader(path: input, threads: threads, options: reading)
    var before: VideoFrame?
    var first: Int64?
    while let item = try reader.next() {
      guard case .frame(let frame) = item else { continue }
      first = first ?? frame.presentationTimestamp
      before = frame
      if Double(frame.presentationTimestamp - (first ?? 0)) * reader.info.timeBase.doubleValue >= lead - 0.25
        / rate
      {
        break
      }
    }
    guard let before else {
      throw PreviewError(detail: "no frames of \(input) at \(clockText(seconds))")
    }
    let scale = after.width / before.width
    guard [1, 2, 4].contains(scale), before.width * scale == after.width,
      before.height * scale == after.height
    else { return (try before.converted(width: after.width, height: after.height), after) }
    return (try FrameEnlarger(scale: scale, threads: options.threads).enlarge(before, adding: nil), after)
  }
}

/// Finds moments that show a network's effect: texture and motion.
package enum BusySpots {
  /// Places to examine in each part.
  private static let places = 3

  /// Times in seconds, one for each of `count` parts, in order.
  package static func find(in path: String, count: Int, threads: Int) throws -> [Double] {
    let info = try VideoReader(path: path, threads: threads).info
    guard let duration = info.duration, duration > 0 else { return [0] }
    var spots: [Double] = []
    for stretch in 0..<count {
      var best = (score: -1.0, time: 0.0)
      for place in 0..<places {
        let part = (Double(stretch) + (Double(place) + 0.5) / Double(places)) / Double(count)
        let time = part * duration
        guard let score = try? score(of: path, at: time, threads: threads), score > best.score else {
          continue
        }
        best = (score, time)
      }
      if best.score >= 0 { spots.append(best.time) }
    }
    return spots.isEmpty ? [0] : spots
  }

  /// Mean difference between horizontal neighbours and between consecutive frames, in 8-bit levels.
  private static func score(of path: String, at time: Double, threads: Int) throws -> Double {
    var options = VideoReader.Options()
    options.start = .microseconds(Int64(time * 1_000_000))
    options.length = .seconds(1)
    options.toleratesEarlyEnd = true
    var reader = try VideoReader(path: path, threads: threads, options: options)
    var pictures: [[Int32]] = []
    var width = 0
    while pictures.count < 2, let item = try reader.next() {
      guard case .frame(let frame) = item else { continue }
      width = frame.width
      pictures.append(
        QualityMeter.luma(frame, depth: max(8, frame.format.bitDepth)).map {
          $0 >> Int32(frame.format.bitDepth - 8)
        })
    }
    guard let picture = pictures.first, width > 1 else { return -1 }
    var sum = 0
    var count = 0
    for i in stride(from: 0, to: picture.count - 1, by: 3) where i % width != width - 1 {
      sum += Int(abs(picture[i + 1] - picture[i]))
      if pictures.count > 1 { sum += Int(abs(pictures[1][i] - picture[i])) }
      count += 1
    }
    return Double(sum) / Double(max(count, 1))
  }
}

/// Two pictures side by side, where they differ most.
enum CropPair {
  private static let width = 320
  private static let height = 240
  /// Samples between the pictures.
  private static let gap = 8

  static func make(_ before: VideoFrame, _ after: VideoFrame) throws -> VideoFrame {
    guard before.format == after.format, before.width == after.width, before.height == after.height else {
      throw PreviewError(detail: "the pictures differ in shape")
    }
    // Multiples of 4, to suit any chroma subsampling.
    let place = try DifferenceCrop(
      of: before, after, width: Self.width, height: Self.height, alignment: 4)
    let (width, height) = (place.width, place.height)
    guard width > 0, height > 0 else { return after }
    let left = try crop(before, place.filter + ",pad=iw+\(gap):ih:0:0:white")
    let right = try crop(after, place.filter)
    let format = after.format
    return try VideoFrame.make(width: 2 * width + gap, height: height, format: format, like: after) {
      plane, bytes, bytesPerRow in
      for (part, offset) in [(left, 0), (right, width + gap)] {
        let columns = part.planeWidth(plane) * format.bytesPerSample
        let start = format.planeWidth(plane, width: offset) * format.bytesPerSample
        part.withPlane(plane) { source, sourceBytesPerRow in
          for row in 0..<part.planeHeight(plane) {
            UnsafeMutableRawBufferPointer(
              rebasing: bytes[(row * bytesPerRow + start)..<(row * bytesPerRow + start + columns)]
            )
            .copyMemory(
              from: UnsafeRawBufferPointer(
                rebasing: source[(row * sourceBytesPerRow)..<(row * sourceBytesPerRow + columns)]))
          }
        }
      }
    }
  }

  private static func crop(_ frame: VideoFrame, _ filters: String) throws -> VideoFrame {
    var chain = try FrameFilter(
      filters + ",format=\(frame.format.name)", like: frame, timeBase: Rational(1, 25))
    guard let made = (try chain.push(frame) + chain.finish()).first else {
      throw PreviewError(detail: "the pictures cannot be cut")
    }
    return made
  }
}
