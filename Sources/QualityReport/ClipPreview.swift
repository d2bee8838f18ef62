// SPDX-License-Identifier: Apache-2.0
package import EnhancementPipeline
internal import VideoIO

/// The reason that a preview failed.
package struct PreviewError: Error, CustomStringConvertible {
  package var detail: String
  package var description: String { "cannot preview: \(detail)" }

  package init(detail: String) { self.detail = detail }
}

/// Pictures of a few frames of a clip, before and after enhancing, as players show them.
package struct ClipPreview: Sendable {
  /// The clip.
  package let input: String
  /// The steps to run.
  package let steps: [EnhancementStep]
  /// Whether one of the steps interpolates frames.
  package let isInterpolating: Bool
  /// The part of the clip, the handling of interlaced frames, and the number of threads.
  package let options: EnhancementJob.Options

  /// A picture as a PNG file.
  package struct Picture: Sendable {
    /// `before`, `after` or `crop`.
    package var name: String
    package var bytes: [UInt8]
  }

  package init(
    of input: String, steps: [EnhancementStep], isInterpolating: Bool, options: EnhancementJob.Options
  ) {
    self.input = input
    self.steps = steps
    self.isInterpolating = isInterpolating
    self.options = options
  }

  /// The busiest spot in each of `count` parts.
  package func spots(_ count: Int) throws -> BusySpots {
    try BusySpots(in: input, count: count, options: options)
  }

  /// Returns the frame at `seconds` of the file, upscaled without a network and enhanced, and the area where these differ most.
  package func pictures(at seconds: Double) async throws -> [Picture] {
    let (before, after) = try await enhance(at: seconds)
    return [
      Picture(name: "before", bytes: try PictureEncoding.png(before)),
      Picture(name: "after", bytes: try PictureEncoding.png(after)),
      Picture(name: "crop", bytes: try PictureEncoding.png(CropPair.make(before, after))),
    ]
  }

  private func enhance(at seconds: Double) async throws -> (before: VideoFrame, after: VideoFrame) {
    var options = options
    let begin = options.start?.seconds ?? 0
    let (orientation, rate) = try shape()
    // Windows reach a few frames back.
    let lead = max(0, min(seconds - begin, 4 / rate))
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
    var reader = try SourceFrames(path: input, options: options, threads: options.threads)
    var before: VideoFrame?
    var first: Int64?
    while let frame = try reader.next() {
      first = first ?? frame.presentationTimestamp
      before = frame
      let time = Double(frame.presentationTimestamp - (first ?? 0)) * reader.timeBase.doubleValue
      if time >= lead - 0.25 / rate { break }
    }
    guard let after, let before else {
      throw PreviewError(detail: "no frames of \(input) at \(clockText(seconds))")
    }
    let enlarged = try enlarge(before, like: after)
    return (try enlarged.turned(by: orientation), try after.turned(by: orientation))
  }

  /// Returns the orientation of the clip, and its frames per second after deinterlacing.
  private func shape() throws -> (orientation: PictureOrientation, rate: Double) {
    let source = try SourceFrames(path: input, options: options, threads: options.threads)
    let rate = source.frameRate.isPositive ? source.frameRate.doubleValue : 25
    return (source.info.orientation, rate)
  }

  /// A frame at the size and layout of another, bicubic.
  private func enlarge(_ frame: VideoFrame, like model: VideoFrame) throws -> VideoFrame {
    let scale = model.width / frame.width
    if [1, 2, 4].contains(scale), model.width == scale * frame.width, model.height == scale * frame.height {
      return try FrameEnlarger(scale: scale, threads: options.threads).enlarge(frame, adding: nil)
    }
    var filter = try FrameFilter(
      "scale=\(model.width):\(model.height):flags=bicubic,format=\(model.format.name)", like: frame,
      timeBase: Rational(1, 25))
    guard let made = try (filter.push(frame) + filter.finish()).first else {
      throw PreviewError(detail: "the pictures cannot be scaled")
    }
    return made
  }
}

/// Finds moments that show a network's effect: texture and motion.
package struct BusySpots: Sendable {
  /// Places to examine in each part.
  private static let places = 3
  /// Frames to decode at each place: two for the score, and more for comb detection.
  private static let framesOfPlace = 4

  /// Times in seconds of the file, one for each part, in order.
  package private(set) var times: [Double] = []
  /// Whether the decoded frames are combed although they are flagged as progressive.
  package var isCombed: Bool { combs.isCombed }

  private var combs = CombDetector()

  /// - Parameters:
  ///   - count: the number of parts.
  ///   - options: the part of the clip to examine, and how it is read.
  /// - Throws: the errors of opening it.
  package init(in path: String, count: Int, options: EnhancementJob.Options) throws {
    let begin = options.start?.seconds ?? 0
    let info = try VideoReader(
      path: path, threads: options.threads, options: options.reading(rescues: true)
    ).info
    guard let duration = info.duration, duration > 0 else {
      times = [begin]
      return
    }
    for stretch in 0..<count {
      var best = (score: -1.0, time: 0.0)
      for place in 0..<Self.places {
        let part = (Double(stretch) + (Double(place) + 0.5) / Double(Self.places)) / Double(count)
        let time = begin + part * duration
        guard let score = try? score(of: path, at: time, options: options), score > best.score else {
          continue
        }
        best = (score, time)
      }
      if best.score >= 0 { times.append(best.time) }
    }
    if times.isEmpty { times = [begin] }
  }

  /// Mean difference between horizontal neighbours and between consecutive frames, in 8-bit levels.
  private mutating func score(of path: String, at time: Double, options: EnhancementJob.Options) throws
    -> Double
  {
    let isDeinterlacing = options.deinterlacing != nil
    var options = options
    options.start = .microseconds(Int64(time * 1_000_000))
    options.length = .seconds(1)
    options.deinterlacing = nil
    var reader = try SourceFrames(
      path: path, options: options, threads: options.threads, refusesFields: false)
    var frames: [VideoFrame] = []
    while frames.count < Self.framesOfPlace, let frame = try reader.next() { frames.append(frame) }
    guard let first = frames.first, first.width > 1 else { return -1 }
    if !isDeinterlacing, !first.isInterlaced {
      for (earlier, later) in zip(frames, frames.dropFirst()) { combs.compare(earlier, later) }
    }
    let pictures = frames.prefix(2).map { frame in
      QualityMeter.luma(frame, depth: max(8, frame.format.bitDepth)).map {
        $0 >> Int32(frame.format.bitDepth - 8)
      }
    }
    let (picture, width) = (pictures[0], first.width)
    var sum = 0
    var count = 0
    for i in stride(from: 0, to: picture.count - 1, by: 3) where i % width != width - 1 {
      sum += Int(abs(picture[i + 1] - picture[i]))
      if pictures.count > 1, pictures[1].count == picture.count {
        sum += Int(abs(pictures[1][i] - picture[i]))
      }
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
