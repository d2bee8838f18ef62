// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import TestSupport
import Testing
import VideoIO

@testable import EnhancementPipeline

@Suite struct TemporalSmoothingTests {
  static let sizes = [(1, 1), (3, 2), (13, 9), (34, 22), (8, 41)]

  /// Three frames of the same noisy picture; in the right half, the last one shows another.
  static func frames(
    _ width: Int, _ height: Int, _ format: PixelFormat, noise: Int, using random: inout SplitMix64
  ) throws -> [VideoFrame] {
    let unit = 1 << (format.bitDepth - 8)
    let pictures = (0..<2).map { _ in
      (0..<format.planeCount).map { _ in
        (0..<width * height).map { _ in Int.random(in: 60...190, using: &random) * unit }
      }
    }
    return try (0..<3).map { number in
      try VideoFrame.make(
        width: width, height: height, format: format, presentationTimestamp: Int64(number), duration: 5
      ) { plane, bytes, bytesPerRow in
        let (columns, rows) = (
          format.planeWidth(plane, width: width), format.planeHeight(plane, height: height)
        )
        for y in 0..<rows {
          for x in 0..<columns {
            let picture = pictures[number == 2 && 2 * x >= columns ? 1 : 0][plane][y * columns + x]
            let value = picture + Int.random(in: -noise * unit...noise * unit, using: &random)
            if format.bytesPerSample == 1 {
              bytes[y * bytesPerRow + x] = UInt8(value)
            } else {
              bytes.storeBytes(of: UInt16(value), toByteOffset: y * bytesPerRow + 2 * x, as: UInt16.self)
            }
          }
        }
      }
    }
  }

  /// The definition.
  static func expected(_ frames: [VideoFrame], change: Float, plane: Int) -> [UInt16] {
    let (frame, format) = (frames[1], frames[1].format)
    let luma = frames.map { samples($0, 0) }
    let depth = min(format.bitDepth, 12)
    func mean(_ other: Int, _ column: Int, _ row: Int) -> Float {
      var (sum, count) = (0, 0)
      for y in max(0, row * 4 - 4)..<min(row * 4 + 8, frame.height) {
        for x in max(0, column * 4 - 4)..<min(column * 4 + 8, frame.width) {
          let place = y * frame.width + x
          let difference = (Int(luma[1][place]) - Int(luma[other][place])) >> (format.bitDepth - depth)
          sum += difference * difference
          count += 1
        }
      }
      return Float(sum) / Float(count << (2 * (depth - 8)))
    }
    let values = frames.map { samples($0, plane) }
    let (width, height) = (frame.planeWidth(plane), frame.planeHeight(plane))
    let shifts = plane == 0 ? (0, 0) : (format.log2ChromaWidth, format.log2ChromaHeight)
    return (0..<width * height).map { place in
      let (column, row) = (((place % width) << shifts.0) / 4, ((place / width) << shifts.1) / 4)
      let inverse = [0, 2].map { other in
        let ratio = mean(other, column, row) / change
        return 1 + ratio * ratio
      }
      let part = 128 / (inverse[0] * inverse[1] + inverse[0] + inverse[1])
      let shares = [inverse[1], inverse[0]].map { Int(($0 * part).rounded(.toNearestOrEven)) }
      let own = Int(values[1][place])
      let sum = shares[0] * (Int(values[0][place]) - own) + shares[1] * (Int(values[2][place]) - own)
      return UInt16(own + ((sum + 64) >> 7))
    }
  }

  static func smoothed(_ frames: [VideoFrame], change: Float, threads: Int = 2) throws -> VideoFrame {
    let smoothing = TemporalSmoothing(threads: threads)
    let neighbours = try [frames[0], frames[2]].map { frame in
      (frame: frame, difference: try #require(smoothing.difference(of: frames[1], and: frame)))
    }
    return try smoothing.smooth(frames[1], by: neighbours, change: change)
  }

  @Test(arguments: FrameEnlargerTests.formats) func agreesWithTheDefinition(format name: String) throws {
    let format = try #require(PixelFormat(name: name))
    var random = SplitMix64(seed: 3)
    for (width, height) in Self.sizes {
      for (noise, change) in [(2, 12), (6, 12), (20, 125), (40, 2)] as [(Int, Float)] {
        let frames = try Self.frames(width, height, format, noise: noise, using: &random)
        let result = try Self.smoothed(frames, change: change)
        #expect(result.presentationTimestamp == 1 && result.duration == 5)
        for plane in 0..<format.planeCount {
          let expected = Self.expected(frames, change: change, plane: plane)
          #expect(
            samples(result, plane) == expected, "\(name) \(width)x\(height), plane \(plane), change \(change)"
          )
        }
      }
    }
  }

  @Test func doesNotDependOnThreads() throws {
    var random = SplitMix64(seed: 4)
    let frames = try Self.frames(70, 301, .yuv420p10, noise: 4, using: &random)
    let one = try Self.smoothed(frames, change: 12, threads: 1)
    for threads in [2, 3, 16] {
      let many = try Self.smoothed(frames, change: 12, threads: threads)
      for plane in 0..<3 { #expect(samples(one, plane) == samples(many, plane)) }
    }
  }

  /// A cut leaves a frame as it is, as does noise that was not removed.
  @Test func changesAreKept() throws {
    var random = SplitMix64(seed: 5)
    let first = try Self.frames(64, 48, .yuv420p, noise: 3, using: &random)
    let second = try Self.frames(64, 48, .yuv420p, noise: 3, using: &random)
    let cut = try Self.smoothed([first[0], second[0], first[1]], change: 12)
    let clean = try Self.smoothed(first, change: 0)
    let still = try Self.smoothed([first[0], first[1], first[0]], change: 12)
    for plane in 0..<3 {
      #expect(samples(cut, plane) == samples(second[0], plane))
      #expect(samples(clean, plane) == samples(first[1], plane))
      #expect(samples(still, plane) != samples(first[1], plane))
    }
  }

  @Test func framesOfOtherShapesAreNotCompared() throws {
    var random = SplitMix64(seed: 6)
    let small = try Self.frames(16, 16, .yuv420p, noise: 3, using: &random)[0]
    for other in [
      try Self.frames(18, 16, .yuv420p, noise: 3, using: &random)[0],
      try Self.frames(16, 16, .yuv420p10, noise: 3, using: &random)[0],
    ] { #expect(TemporalSmoothing(threads: 1).difference(of: small, and: other) == nil) }
  }

  /// Networks for real footage and for denoising are smoothed; what the latter count as noise follows its level.
  @Test func theTaskDecides() {
    var conditioned = Architecture.balancedSuperResolution
    conditioned.isConditioned = true
    func change(_ architecture: Architecture, _ level: Float? = nil) -> Float? {
      TemporalSmoothing.change(after: architecture, noiseCode: level.map(NoiseLevel.code))
    }
    #expect(change(.balancedSuperResolution) == nil && change(.balancedInterpolation) == nil)
    #expect(change(conditioned) == 12 && change(conditioned, 20) == 12)
    #expect(
      change(.balancedDenoising) == 0 && change(.balancedDenoising, 0) == 0
        && change(.balancedDenoising, 1) == 0
        && change(.balancedDenoising, 11) == 22.5)
  }
}

@Suite struct SmoothingQueueTests {
  private func entries(_ count: Int, pictures: Range<Int>) throws -> [SmoothingQueue.Entry] {
    var random = SplitMix64(seed: 7)
    return try (0..<count).map { number in
      let inputs = FrameInputs(first: [max(0, number - 2), number], last: [number + 2, number])
      guard pictures.contains(number) else {
        return SmoothingQueue.Entry(
          frame: StageFrame(skipped: Int64(number), duration: 5, startsScene: number == 3, inputs: inputs))
      }
      let video = try TemporalSmoothingTests.frames(16, 16, .yuv420p, noise: 2, using: &random)[0].retimed(
        presentationTimestamp: Int64(number), duration: 5)
      return SmoothingQueue.Entry(
        frame: StageFrame(video, startsScene: number == 3, inputs: inputs), change: 12)
    }
  }

  private func run(_ entries: [SmoothingQueue.Entry], made: Range<Int>) throws -> [StageFrame] {
    var queue = SmoothingQueue(threads: 1, made: made, profile: nil)
    var result: [StageFrame] = []
    for entry in entries { if let frame = try queue.push(entry) { result.append(frame) } }
    if let frame = try queue.finish() { result.append(frame) }
    #expect(try queue.finish() == nil)
    return result
  }

  @Test func orderTimesAndInputsAreKept() throws {
    for pictures in [0..<6, 0..<0] {
      let result = try run(try entries(6, pictures: pictures), made: pictures)
      #expect(result.map(\.presentationTimestamp) == [0, 1, 2, 3, 4, 5])
      #expect(result.map(\.duration) == [5, 5, 5, 5, 5, 5])
      #expect(result.map(\.startsScene) == [false, false, false, true, false, false])
      // A frame needs what its neighbours need.
      #expect(result.map(\.inputs.first) == [[0, 0], [0, 0], [0, 1], [0, 2], [1, 3], [2, 4]])
      #expect(result.map(\.inputs.last) == [[3, 1], [4, 2], [5, 3], [6, 4], [7, 5], [7, 5]])
      #expect(result.allSatisfy { ($0.video != nil) == !pictures.isEmpty })
    }
  }

  /// A part of a film gives the same frames as the whole.
  @Test(arguments: [0..<2, 2..<4, 3..<4, 4..<6]) func partsAreThoseOfTheWhole(made: Range<Int>) throws {
    let all = try entries(6, pictures: 0..<6)
    let whole = try run(all, made: 0..<Int.max)
    let needed = SmoothingQueue.needed(for: made)
    #expect(needed == max(0, made.lowerBound - 1)..<made.upperBound + 1)
    let few = all.indices.map { number in
      needed.contains(number)
        ? all[number]
        : SmoothingQueue.Entry(frame: StageFrame(skipped: Int64(number), duration: 5))
    }
    for (number, frame) in try run(few, made: made).enumerated() {
      #expect((frame.video != nil) == made.contains(number))
      guard let part = frame.video, let full = whole[number].video else { continue }
      #expect(samples(part, 0) == samples(full, 0) && samples(part, 1) == samples(full, 1))
    }
  }

  @Test func missingPicturesAreErrors() throws {
    let all = try entries(6, pictures: 2..<5)
    #expect(throws: PipelineError.missingFrame(1)) { try run(all, made: 2..<4) }
    #expect(throws: PipelineError.missingFrame(5)) { try run(all, made: 3..<5) }
    #expect(throws: PipelineError.missingFrame(5)) { try run(all, made: 5..<6) }
  }
}
