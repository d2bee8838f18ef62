// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Kernels
import Tensors
import TestSupport
import Testing

@Suite struct WindowPackerTests {
  private let neighbourChannels = NeighbourMotion.neighbourChannels

  private func packed(_ frame: PlanarFrame) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: frame.gridWidth * frame.gridHeight * 6)
    result.withUnsafeMutableBufferPointer {
      frame.pack(into: $0.baseAddress!, pixelStride: 6, rowStride: 6 * frame.gridWidth) { $0 }
    }
    return result
  }

  @Test func packingInterleavesPhasesAndKeepsGaps() {
    let frame = PlanarFrame(width: 6, height: 4)
    for i in 0..<24 { frame.luma[i] = UInt8(i) }
    for i in 0..<6 {
      frame.chroma[0][i] = UInt8(100 + i)
      frame.chroma[1][i] = UInt8(200 + i)
    }
    #expect(frame.gridWidth == 3 && frame.gridHeight == 2)
    var result = [Int32](repeating: -1, count: 2 * 30)
    result.withUnsafeMutableBufferPointer {
      frame.pack(into: $0.baseAddress!, pixelStride: 8, rowStride: 30) { Int32($0) }
    }
    let rows = [
      [[0, 1, 6, 7, 100, 200], [2, 3, 8, 9, 101, 201], [4, 5, 10, 11, 102, 202]],
      [[12, 13, 18, 19, 103, 203], [14, 15, 20, 21, 104, 204], [16, 17, 22, 23, 105, 205]],
    ]
    let gap: [Int32] = [-1, -1]
    for (y, row) in rows.enumerated() {
      let wanted = row.flatMap { $0.map { Int32($0) } + gap } + Array(repeating: -1, count: 6)
      #expect(Array(result[30 * y..<30 * y + 30]) == wanted)
    }
  }

  /// All slots get the mean quantizer of the window, or that of the source, so that pictures do not pulse with the types
  /// of frames. Frames without quantizers, such as another network's, stay unknown.
  @Test func quantizersAreSteady() {
    let architecture = Architecture(
      task: .superResolution, scale: 2, window: 3, alignment: .block, encoderChannels: 16, channels: 64,
      blocks: 1, isConditioned: true)
    func codes(_ values: [UInt8?], _ conditions: WindowConditions = WindowConditions()) -> Set<UInt8> {
      let window = values.map { value in
        let frame = texturedFrame(width: 34, height: 26, seed: 1)
        frame.quantizers = value.map {
          QuantizerMap(columns: 3, rows: 2, values: [$0, $0, $0 + 4, $0, $0, $0 + 2])
        }
        return frame
      }
      let slots = WindowPacker(architecture).prepare(window, given: conditions).codes()
      return Set(
        slots.enumerated().flatMap { slot, codes in
          let channels = architecture.channels(ofSlot: slot)
          return stride(from: channels - 1, to: codes.count, by: channels).map { codes[$0] }
        })
    }
    // 129, (50 + 60 + 70) / 3, and a mean of 1 more.
    #expect(codes([50, 60, 70]) == [UInt8(190)])
    #expect(codes([nil, 60, nil]) == [UInt8(190)])
    #expect(codes([50, 60, 70], WindowConditions(quantizer: 40)) == [UInt8(169)])
    #expect(codes([nil, nil, nil]) == [QuantizerMap.unknown])
    #expect(codes([nil, nil, nil], WindowConditions(quantizer: 40)) == [QuantizerMap.unknown])
  }

  /// Networks that take sharpness get as much more of the detail as the source lacks; everything else stays as it is.
  @Test(arguments: [nil, 1.2, 0.8, 0.5, 0.05] as [Float?]) func missingDetailFollowsSharpness(
    _ sharpness: Float?
  ) {
    let blind = Architecture(
      task: .superResolution, scale: 2, window: 3, alignment: .block, encoderChannels: 16, channels: 64,
      blocks: 1, isConditioned: true)
    var told = blind
    told.hasSharpness = true
    let window = (0..<3).map { _ in
      let frame = texturedFrame(width: 34, height: 26, seed: 1)
      frame.quantizers = QuantizerMap(width: 34, height: 26, value: 60)
      return frame
    }
    let conditions = WindowConditions(sharpness: sharpness)
    let plain = WindowPacker(blind).prepare(window, given: conditions).codes()
    let codes = WindowPacker(told).prepare(window, given: conditions).codes()
    #expect(codes[0] == plain[0] && codes[2] == plain[2])
    let centre = window[1]
    /// The 5 x 5 binomial filter.
    func smoothed(_ x: Int, _ y: Int) -> Int {
      let weights = [1, 4, 6, 4, 1]
      var sum = 128
      for (dy, down) in weights.enumerated() {
        for (dx, across) in weights.enumerated() {
          let (row, column) = (max(0, min(25, y + dy - 2)), max(0, min(33, x + dx - 2)))
          sum += down * across * Int(centre.luma[row * 34 + column])
        }
      }
      return sum / 256
    }
    let gain = ["nil": 0.0, "1.2": 0, "0.8": 2, "0.5": 26, "0.05": 96][
      "\(sharpness.map { "\($0)" } ?? "nil")"]!
    for point in 0..<17 * 13 {
      #expect(Array(codes[1][point * 12..<point * 12 + 8]) == Array(plain[1][point * 8..<point * 8 + 8]))
      for phase in 0..<4 {
        let (x, y) = (2 * (point % 17) + phase % 2, 2 * (point / 17) + phase / 2)
        let detail = Double(Int(centre.luma[y * 34 + x]) - smoothed(x, y))
        let wanted = max(0, min(255, 128 + (detail * gain / 32 + 0.5).rounded(.down)))
        #expect(codes[1][point * 12 + 8 + phase] == UInt8(wanted))
      }
    }
  }

  @Test func codesAreCentred() {
    #expect(PlanarFrame.centred(128) == 0)
    for code in 0...255 {
      #expect(abs(Double(PlanarFrame.centred(UInt8(code))) - Double(code - 128) / 255) < 1e-7)
    }
  }

  @Test func centreIsUnmodified() {
    let window = (0..<5).map { texturedFrame(width: 34, height: 26, seed: 1, x: 1.3 * Double($0)) }
    for alignment in WindowAlignment.allCases {
      let architecture = Architecture.small(window: 5, alignment: alignment)
      let codes = WindowPacker(architecture).codes(window)
      #expect(codes[2] == packed(window[2]))
      #expect(codes.indices.allSatisfy { codes[$0].count == 17 * 13 * architecture.channels(ofSlot: $0) })
      if alignment == .none { #expect(codes == window.map(packed)) }
      let tensors = WindowPacker(architecture).floatInputs(window)
      for (tensor, codes) in zip(tensors, codes) {
        #expect(tensor.buffer.map { $0 } == codes.map(PlanarFrame.centred))
      }
    }
    let alone = WindowPacker(.small(window: 1)).codes([window[0]])
    #expect(alone == [packed(window[0])])
  }

  /// In a texture that pans by whole pixels, blocks are matched exactly: neighbours show the same as the
  /// centre, without a remainder.
  @Test(arguments: [(2, 0), (-4, 2), (0, 6), (3, -1)])
  func wholePixelPansAreAligned(_ x: Int, _ y: Int) {
    let (width, height) = (128, 112)
    let window = (-1...1).map {
      texturedFrame(width: width, height: height, seed: 8, x: Double($0 * x), y: Double($0 * y))
    }
    let codes = WindowPacker(.small(window: 3)).codes(window)
    let isEven = x % 2 == 0 && y % 2 == 0
    var points = 0
    for slot in [0, 2] {
      for row in 12..<44 {
        for column in 12..<52 {
          let point = row * 64 + column
          let here = Array(codes[1][point * 6..<point * 6 + 6])
          let there = Array(codes[slot][point * neighbourChannels..<(point + 1) * neighbourChannels])
          // Half a chroma sample is interpolated.
          #expect(there[..<4] == here[..<4], "slot \(slot), point \(column), \(row)")
          if isEven { #expect(there[4..<6] == here[4..<6]) }
          #expect(there[6...].allSatisfy { $0 == 128 })
          points += 1
        }
      }
    }
    #expect(points == 2 * 32 * 40)
  }

  /// Every channel of a neighbour follows from its block's vector by the formula in VEMotion.h.
  @Test(arguments: [3, 5]) func modulationsFollowTheFormula(_ length: Int) {
    let (width, height) = (72, 40)
    let window = (0..<length).map {
      texturedFrame(width: width, height: height, seed: 5, x: 1.3 * Double($0), y: -0.8 * Double($0))
    }
    let codes = WindowPacker(.small(window: length), threads: 2).codes(window)
    let planes = window.map { MotionPlane(luma: $0.luma, width: width, height: height) }
    let middle = length / 2
    var remainders = Set<Int>()
    for side in [-1, 1] {
      var prior: NeighbourMotion?
      for distance in 1...middle {
        let slot = middle + side * distance
        let motion = NeighbourMotion(
          of: planes[middle], in: planes[slot], prior: prior, priorFactor: distance)
        if distance == 1 { prior = motion }
        for row in 0..<height / 2 {
          for column in 0..<width / 2 {
            let found = motion.displacement((row / 4) * 9 + column / 4)
            let point = (row * width / 2 + column) * neighbourChannels
            let channels = Array(codes[slot][point..<point + neighbourChannels])
            let all = wanted(window[middle], window[slot], column, row, x: found.x, y: found.y)
            // The mismatch of the whole block (channel 36) does not depend on its vector alone.
            #expect(
              all.contains { $0.channels[..<36] == channels[..<36] && $0.channels[36] == channels[37] },
              "slot \(slot), point \(column), \(row)")
            #expect(channels[36] >= 128)
            remainders.formUnion(all.map(\.remainder))
          }
        }
      }
    }
    #expect(remainders.count > 8, "a test of remainders needs remainders")
  }

  /// Returns the channels of a neighbour at a grid point for each split of a displacement in sixteenths into
  /// whole pixels and a remainder of up to eight: the 36 samples and modulations, then the mismatch at the
  /// point.
  private func wanted(
    _ reference: PlanarFrame, _ neighbour: PlanarFrame, _ column: Int, _ row: Int, x: Float, y: Float
  ) -> [(channels: [UInt8], remainder: Int)] {
    func splits(_ displacement: Float) -> [(Int, Int)] {
      let sixteenths = Int((displacement * 16).rounded())
      return (-8...8).filter { (sixteenths - $0) % 16 == 0 }.map { ((sixteenths - $0) / 16, $0) }
    }
    func quotient(_ value: Int, _ by: Int) -> UInt8 {
      UInt8(max(0, min(255, 128 + (Double(value) / Double(by)).rounded(.toNearestOrAwayFromZero))))
    }
    return splits(x).flatMap { dx, rx in
      splits(y).flatMap { dy, ry -> [(channels: [UInt8], remainder: Int)] in
        let luma = [(0, 0), (1, 0), (0, 1), (1, 1)].map { i, j in
          Self.sample(
            neighbour.luma, neighbour.width, neighbour.height, 2 * column + i + dx, 2 * row + j + dy)
        }
        let here = [(0, 0), (1, 0), (0, 1), (1, 1)].map { i, j in
          Self.sample(reference.luma, reference.width, reference.height, 2 * column + i, 2 * row + j)
        }
        let chroma = neighbour.chroma.map { plane in
          // In half samples: the mean of the samples on both sides, which are the same for whole positions.
          let columns = [(2 * column + dx) >> 1, (2 * column + dx + 1) >> 1]
          let rows = [(2 * row + dy) >> 1, (2 * row + dy + 1) >> 1]
          let sum = rows.reduce(0) { sum, j in
            columns.reduce(sum) { $0 + Self.sample(plane, neighbour.gridWidth, neighbour.gridHeight, $1, j) }
          }
          return (sum + 2) / 4
        }
        let samples = luma + chroma
        var channels = samples.map { UInt8($0) }
        for (factor, by) in [(rx, 8), (ry, 8), (rx * ry, 64), (rx * rx, 64), (ry * ry, 64)] {
          channels += samples.map { quotient(($0 - 128) * factor, by) }
        }
        let mismatch = zip(here, luma).reduce(0) { $0 + abs($1.0 - $1.1) }
        return [(channels + [UInt8(128 + min(127, mismatch))], rx)]
      }
    }
  }

  /// Returns a sample, with repeated borders.
  private static func sample(
    _ plane: UnsafeMutablePointer<UInt8>, _ width: Int, _ height: Int, _ x: Int, _ y: Int
  ) -> Int {
    Int(plane[max(0, min(height - 1, y)) * width + max(0, min(width - 1, x))])
  }

  @Test func preparedFramesAreReusedAndDropped() {
    // Consecutive windows, as in a clip, and one that jumps back give the same as a new packer.
    let film = (0..<7).map {
      texturedFrame(width: 34, height: 18, seed: 2, x: 0.9 * Double($0), y: 0.4 * Double($0))
    }
    let packer = WindowPacker(.small(window: 3))
    for first in [0, 1, 2, 3, 4, 0, 2] {
      let window = Array(film[first..<first + 3])
      #expect(packer.codes(window) == WindowPacker(.small(window: 3)).codes(window), "from \(first)")
    }
  }
}
