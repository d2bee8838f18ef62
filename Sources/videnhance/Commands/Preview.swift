// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EnhancementPipeline
import Foundation
import Videnhance
import VideoIO

/// Shows what a job would do to a few frames, before it is begun.
struct Preview: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enhance a few frames at the busiest spots: pictures before and after, in seconds.",
    discussion: """
      Examples:
        videnhance preview in.mp4 --task sr --bits 4
        videnhance preview noisy.mkv --task denoise --frames 5 --output look

      The clip is cut into as many stretches as frames are wanted; of a few places in each, the one with most texture and \
      motion is taken. For each there are NN-before.png and NN-after.png at the output's full size, before being the \
      bicubic enlargement, and NN-crop.png: the part that changed most, before on the left, after on the right.
      """)

  @Argument(help: "The video.") var input: String
  @OptionGroup(title: "Network options") var network: NetworkOptions
  @Option(help: "How many frames: 1 to 20.") var frames = 3
  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "Folder for the pictures (default: the video's name and -preview).", valueName: "folder"))
  var output: String?
  @Option(help: "Threads to work on (default: one for each core).") var threads: Int?
  @Flag(help: "Replace pictures of these names in the folder.") var overwrite = false

  func validate() throws {
    if !(1...20).contains(frames) { throw ValidationError("--frames must be 1...20") }
    if let threads, threads < 1 || threads > 1024 { throw ValidationError("--threads must be 1...1024") }
  }

  func run() async throws {
    let folder = output ?? URL(fileURLWithPath: input).deletingPathExtension().path + "-preview"
    if !overwrite, FileManager.default.fileExists(atPath: folder) {
      throw PreviewError(
        detail: "folder \(folder) exists (hint: choose another with --output, or pass --overwrite)")
    }
    let spots = try BusySpots.find(in: input, count: frames, threads: threads ?? 0)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for (index, spot) in spots.enumerated() {
      let (before, after) = try await Interrupt.cancelling { try await enhance(at: spot) }
      let name = folder + String(format: "/%02d-", index + 1)
      try write(before, name + "before.png")
      try write(after, name + "after.png")
      try write(try CropPair.make(before, after), name + "crop.png")
      Console.line(
        "\(name)before.png, -after.png, -crop.png: at \(ProgressLine.clock(spot)) (\(String(format: "%.2f", spot)) s)"
      )
    }
  }

  private func write(_ frame: VideoFrame, _ path: String) throws {
    try Data(try PictureEncoding.png(frame)).write(to: URL(fileURLWithPath: path), options: .atomic)
  }

  /// The frame shown at `seconds`, enlarged without a network, and as the networks make it.
  private func enhance(at seconds: Double) async throws -> (before: VideoFrame, after: VideoFrame) {
    // Windows reach a few frames back.
    let info = try VideoReader(path: input, threads: threads ?? 0).info
    let rate = info.averageFrameRate.isPositive ? info.averageFrameRate.doubleValue : 25
    let lead = min(seconds, 4 / rate)
    var options = EnhancementJob.Options(threads: threads)
    options.start = .microseconds(Int64((seconds - lead) * 1_000_000))
    options.length = .microseconds(Int64((lead + 6 / rate) * 1_000_000))
    var after: VideoFrame?
    var made = EnhancedFrames(of: input, steps: network.steps, options: options).makeAsyncIterator()
    var start: Int64?
    let isInterpolating = network.task.tasks.contains(.interpolation)
    while let frame = try await made.next() {
      start = start ?? frame.presentationTimestamp
      let time = Double(frame.presentationTimestamp - (start ?? 0)) * made.timeBase.doubleValue
      after = frame
      // Interpolation makes the frames between: the first one behind the source's own.
      if time >= lead + (isInterpolating ? 0.25 / rate : -0.25 / rate) { break }
    }
    guard let after else {
      throw PreviewError(detail: "no frames of \(input) at \(ProgressLine.clock(seconds))")
    }
    var reading = VideoReader.Options()
    reading.start = options.start
    reading.length = options.length
    reading.toleratesEarlyEnd = true
    var reader = try VideoReader(path: input, threads: threads ?? 0, options: reading)
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
      throw PreviewError(detail: "no frames of \(input) at \(ProgressLine.clock(seconds))")
    }
    let enlarged = try FrameEnlarger(scale: after.width / before.width, threads: options.threads)
      .enlarge(before, adding: nil)
    return (enlarged, after)
  }
}

/// Why there is nothing to see.
struct PreviewError: Error, CustomStringConvertible {
  var detail: String
  var description: String { "cannot preview: \(detail)" }
}

/// Looks for moments that show what a network does: texture and motion.
enum BusySpots {
  /// Places that are looked at in each stretch.
  private static let places = 3

  /// Seconds from the beginning, one in each of `count` stretches, in order.
  static func find(in path: String, count: Int, threads: Int) throws -> [Double] {
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

  /// Mean difference of neighbours, across and from a frame to the next, in 8-bit levels.
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
    // Multiples of 4, so that chroma of any layout goes along.
    let (width, height) = (min(Self.width, after.width) & ~3, min(Self.height, after.height) & ~3)
    guard width > 0, height > 0 else { return after }
    let (x, y) = place(before, after, width: width, height: height)
    let left = try crop(before, "crop=\(width):\(height):\(x):\(y),pad=iw+\(gap):ih:0:0:white")
    let right = try crop(after, "crop=\(width):\(height):\(x):\(y)")
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

  /// Where a crop differs most.
  private static func place(_ a: VideoFrame, _ b: VideoFrame, width: Int, height: Int) -> (x: Int, y: Int) {
    let depth = a.format.bitDepth
    let (first, second) = (QualityMeter.luma(a, depth: depth), QualityMeter.luma(b, depth: depth))
    var best = (sum: Int64(-1), x: 0, y: 0)
    for y in stride(from: 0, through: a.height - height, by: 32) {
      for x in stride(from: 0, through: a.width - width, by: 32) {
        var sum: Int64 = 0
        for row in stride(from: y, to: y + height, by: 4) {
          for column in stride(from: x, to: x + width, by: 4) {
            sum += Int64(abs(first[row * a.width + column] - second[row * a.width + column]))
          }
        }
        if sum > best.sum { best = (sum, x, y) }
      }
    }
    return (best.x, best.y)
  }
}
