// SPDX-License-Identifier: Apache-2.0
import Dispatch
import EnhancementModel
import EnhancementPipeline
import Testing
import VideoIO

@Suite struct FrameEnlargerTests {
  static let formats = [
    "yuv420p", "yuv422p", "yuv440p", "yuv444p", "gray", "yuv420p10le", "yuv422p12le", "yuv444p16le",
    "gray16le",
  ]
  static let sizes = [(1, 1), (2, 2), (3, 1), (1, 7), (5, 4), (9, 13), (34, 22), (10, 70)]

  /// The distribution of samples: random, or only the minimum and maximum, which give the largest overshoot.
  enum Fill: CaseIterable { case anything, extremes }

  @Test(arguments: formats, Fill.allCases)
  func agreesWithTheDefinition(format name: String, fill: Fill) throws {
    let format = try #require(PixelFormat(name: name))
    var random = SystemRandomNumberGenerator()
    for (width, height) in Self.sizes {
      let source = try Self.frame(width: width, height: height, format: format, fill: fill, using: &random)
      for scale in [1, 2, 4] {
        let residual = Self.residual(width: width, height: height, scale: scale, fill: fill, using: &random)
        let result = try FrameEnlarger(scale: scale, threads: 2).enlarge(source, adding: residual)
        #expect(result.width == scale * width && result.height == scale * height && result.format == format)
        #expect(result.presentationTimestamp == 77 && result.duration == 3)
        for plane in 0..<format.planeCount {
          let expected = Self.expected(source, plane, residual, scale: scale)
          #expect(
            samples(result, plane) == expected, "\(name) \(width)x\(height), plane \(plane), scale \(scale)")
        }
      }
    }
  }

  @Test func doesNotDependOnThreads() throws {
    var random = SystemRandomNumberGenerator()
    let source = try Self.frame(width: 30, height: 301, format: .yuv420p, fill: .anything, using: &random)
    let residual = Self.residual(width: 30, height: 301, scale: 2, fill: .anything, using: &random)
    let one = try FrameEnlarger(scale: 2, threads: 1).enlarge(source, adding: residual)
    for threads in [2, 3, 16] {
      let many = try FrameEnlarger(scale: 2, threads: threads).enlarge(source, adding: residual)
      for plane in 0..<3 { #expect(samples(one, plane) == samples(many, plane)) }
    }
  }

  /// Rows may arrive in any order, from several threads, with gaps between grid points.
  @Test(arguments: formats) func acceptsRowsInAnyOrder(format name: String) throws {
    let format = try #require(PixelFormat(name: name))
    var random = SystemRandomNumberGenerator()
    for (width, height) in Self.sizes {
      let source = try Self.frame(
        width: width, height: height, format: format, fill: .anything, using: &random)
      for scale in [1, 2, 4] {
        let residual = Self.residual(
          width: width, height: height, scale: scale, fill: .anything, using: &random)
        let enlarger = FrameEnlarger(scale: scale, threads: 1)
        let whole = try enlarger.enlarge(source, adding: residual)
        let (points, stride) = (residual.gridWidth * residual.gridHeight, residual.channels + 2)
        nonisolated(unsafe) let wide = UnsafeMutablePointer<Int16>.allocate(capacity: points * stride)
        defer { wide.deallocate() }
        for point in 0..<points {
          for c in 0..<residual.channels {
            wide[point * stride + c] = residual.values[point * residual.channels + c]
          }
        }
        let (columns, rows, channels) = (residual.gridWidth, residual.gridHeight, residual.channels)
        let result = try enlarger.enlarge(source) { take in
          withoutActuallyEscaping(take) { take in
            nonisolated(unsafe) let take = take
            DispatchQueue.concurrentPerform(iterations: (rows + 2) / 3) { band in
              let part = 3 * band..<min(3 * band + 3, rows)
              take(
                ResidualRows(
                  rows: part, gridWidth: columns, gridHeight: rows, channels: channels, stride: stride,
                  values: wide + part.lowerBound * columns * stride))
            }
          }
        }
        for plane in 0..<format.planeCount {
          #expect(samples(result, plane) == samples(whole, plane), "\(name) \(width)x\(height), x\(scale)")
        }
      }
    }
  }

  @Test func refusesResidualOfAnotherShape() throws {
    var random = SystemRandomNumberGenerator()
    let source = try Self.frame(width: 8, height: 8, format: .yuv420p, fill: .anything, using: &random)
    let residual = Self.residual(width: 8, height: 10, scale: 2, fill: .anything, using: &random)
    let error = #expect(throws: PipelineError.self) {
      _ = try FrameEnlarger(scale: 2, threads: 1).enlarge(source, adding: residual)
    }
    #expect(error?.description == "the network returned 4x5x24 instead of 4x4x24")
  }

  static func frame(
    width: Int, height: Int, format: PixelFormat, fill: Fill, using random: inout SystemRandomNumberGenerator
  ) throws -> VideoFrame {
    var generator = random
    return try VideoFrame.make(
      width: width, height: height, format: format, presentationTimestamp: 77, duration: 3
    ) { _, bytes, _ in
      let most = UInt16(format.maximumValue)
      for offset in stride(from: 0, to: bytes.count, by: format.bytesPerSample) {
        let value =
          fill == .anything ? UInt16.random(in: 0...most, using: &generator) : Bool.random() ? most : 0
        if format.bytesPerSample == 1 {
          bytes[offset] = UInt8(value)
        } else {
          bytes.storeBytes(of: value, toByteOffset: offset, as: UInt16.self)
        }
      }
    }
  }

  static func residual(
    width: Int, height: Int, scale: Int, fill: Fill, using random: inout SystemRandomNumberGenerator
  ) -> Residual {
    let result = Residual(
      gridWidth: (width + 1) / 2, gridHeight: (height + 1) / 2, channels: 6 * scale * scale)
    let range: ClosedRange<Int16> = fill == .anything ? -900...900 : -32768...32767
    for i in 0..<result.gridWidth * result.gridHeight * result.channels {
      result.values[i] = .random(in: range, using: &random)
    }
    return result
  }

  /// The definition, sample by sample, using the reference implementation of bicubic doubling.
  static func expected(_ source: VideoFrame, _ plane: Int, _ residual: Residual, scale: Int) -> [UInt16] {
    let format = source.format
    let (width, height) = (source.planeWidth(plane), source.planeHeight(plane))
    var base = samples(source, plane).map { Int64($0) * 64 }
    if scale > 1 { base = doubled(samples(source, plane).map(UInt64.init), width: width, height: height) }
    if scale > 2 {
      let middle = base.map { UInt64(max($0, 0)) }
      base = doubled(middle, width: 2 * width, height: 2 * height).map { ($0 + 32) >> 6 }
    }
    let hasResidual = plane == 0 || format.log2ChromaWidth + format.log2ChromaHeight == 2
    let phases = plane == 0 ? 2 * scale : scale
    let first = plane == 0 ? 0 : 4 * scale * scale + (plane - 1) * scale * scale
    let (columns, rows) = (
      format.planeWidth(plane, width: source.width * scale),
      format.planeHeight(plane, height: source.height * scale)
    )
    return (0..<rows).flatMap { y in
      (0..<columns).map { x in
        let at = (y / phases * residual.gridWidth + x / phases) * residual.channels
        let value = hasResidual ? Int64(residual.values[at + first + y % phases * phases + x % phases]) : 0
        let sum = base[y * width * scale + x] + value << (format.bitDepth - 8)
        return UInt16(min(max((sum + 32) >> 6, 0), Int64(format.maximumValue)))
      }
    }
  }

  /// Bicubic doubling in wide integers, tap by tap.
  static func doubled(_ source: [UInt64], width: Int, height: Int) -> [Int64] {
    func taps(_ position: Int, _ count: Int) -> [(Int, Int64)] {
      let (center, toward) = (position / 2, position % 2 == 0 ? -1 : 1)
      return [(0, 111), (toward, 29), (-toward, -9), (2 * toward, -3)]
        .map { (min(max(center + $0.0, 0), count - 1), Int64($0.1)) }
    }
    return (0..<2 * height).flatMap { y in
      (0..<2 * width).map { x in
        var sum: Int64 = 0
        for (row, weight) in taps(y, height) {
          for (column, other) in taps(x, width) {
            sum += weight * other * Int64(source[row * width + column])
          }
        }
        return (sum + 128) >> 8
      }
    }
  }

  @Test(arguments: sizes)
  func definitionAgreesWithBicubicDoubling(width: Int, height: Int) {
    let plane = (0..<width * height).map { _ in UInt8.random(in: 0...255) }
    var result = [Int32](repeating: 0, count: 4 * width * height)
    BicubicDoubling.double(plane, width: width, height: height, stride: width, into: &result)
    #expect(result.map(Int64.init) == Self.doubled(plane.map(UInt64.init), width: width, height: height))
  }
}
