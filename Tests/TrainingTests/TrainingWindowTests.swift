// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite struct TrainingWindowTests {
  /// Returns the residuals of an output plane in sample order, from the grid's channels.
  private func plane(_ window: TrainingWindow, scale: Int, _ index: Int) -> [Int] {
    let phases = index == 0 ? 2 * scale : scale
    let first = [0, 4 * scale * scale, 5 * scale * scale][index]
    let (width, height) = (window.width * phases, window.height * phases)
    return (0..<width * height).map { i in
      let (x, y) = (i % width, i / width)
      let point = (y / phases) * window.width + x / phases
      return Int(window.target[point * 6 * scale * scale + first + (y % phases) * phases + x % phases])
    }
  }

  @Test(arguments: [2, 4]) func upscalePlusResidualEqualsTheTruth(_ scale: Int) {
    var random = SplitMix64(seed: 1)
    let architecture = Architecture.small(window: 3, alignment: .none, scale: scale)
    let low = (0..<3).map { _ in noiseFrame(width: 14, height: 10, &random) }
    let truth = noiseFrame(width: 14 * scale, height: 10 * scale, &random)
    let window = TrainingWindow(frames: low, truth: truth, architecture: architecture)
    #expect(window.width == 7 && window.height == 5)
    #expect(window.target.count == 35 * architecture.outputChannels)
    let planes =
      [(low[1].luma, truth.luma, 14, 10)] + (0..<2).map { (low[1].chroma[$0], truth.chroma[$0], 7, 5) }
    for (index, (small, large, width, height)) in planes.enumerated() {
      let base = TrainingWindow.enlarged(small, width: width, height: height, scale: scale)
      let residual = plane(window, scale: scale, index)
      #expect(base.count == width * height * scale * scale && residual.count == base.count)
      // To the bit: 64ths represent the truth exactly.
      for i in base.indices { #expect(Int(base[i]) + residual[i] == 64 * Int(large[i])) }
      guard index == 0 else { continue }
      #expect(window.base.count == base.count)
      let (side, samples) = (2 * scale, 4 * scale * scale)
      for (i, value) in base.enumerated() {
        let (x, y) = (i % (width * scale), i / (width * scale))
        let at = ((y / side) * window.width + x / side) * samples + (y % side) * side + x % side
        #expect(Int32(window.base[at]) == value)
      }
    }
    #expect(window.frames == WindowPacker(architecture).codes(low))
  }

  @Test func scaleFourEqualsScaleTwoTwice() {
    let plane = (0..<48).map { UInt8(20 + 4 * ($0 % 8)) }
    let enlarged = TrainingWindow.enlarged(plane, width: 8, height: 6, scale: 4)
    #expect(enlarged.count == 16 * 48)
    // A ramp stays a ramp, except at the edges: column x is at (x + 1/2) / 4 - 1/2.
    for x in 8..<24 { #expect(abs(Int(enlarged[10 * 32 + x]) - (64 * 20 + 64 * x - 96)) <= 1) }
  }

  @Test func batchesJoinWindows() {
    var random = SplitMix64(seed: 1)
    let architecture = Architecture.small(window: 3, scale: 2)
    let windows = (0..<2).map { _ in
      TrainingWindow(
        frames: (0..<3).map { _ in noiseFrame(width: 12, height: 8, &random) },
        truth: noiseFrame(width: 24, height: 16, &random), architecture: architecture)
    }
    let (frames, target) = WindowPool.batch(windows)
    #expect(frames.map(\.channels) == [38, 6, 38])
    for (slot, tensor) in frames.enumerated() {
      #expect(tensor.batch == 2 && tensor.height == 4 && tensor.width == 6)
      #expect(Array(tensor.buffer) == windows.flatMap { $0.frames[slot].map(PlanarFrame.centred) })
    }
    let wanted = windows.flatMap { $0.target.map { Double($0) / 64 / 255 } }
    #expect(zip(target.buffer, wanted).allSatisfy { abs(Double($0) - $1) < 1e-6 })
    #expect(target.batch == 2 && target.channels == 24 && target.count == wanted.count)
  }

  @Test func poolsKeepTheirCapacity() {
    var random = SplitMix64(seed: 1)
    func window(_ mark: UInt8) -> TrainingWindow {
      let frame = PlanarFrame(width: 2, height: 2)
      frame.luma.update(repeating: mark, count: 6)
      let truth = PlanarFrame(width: 4, height: 4)
      truth.luma.update(repeating: mark, count: 24)
      return TrainingWindow(frames: [frame], truth: truth, architecture: .small(window: 1))
    }
    func marks(_ pool: WindowPool) -> [UInt8] { pool.windows.map { $0.frames[0][0] } }
    let pool = WindowPool(capacity: 8)
    pool.add((0..<5).map(window), using: &random)
    #expect(marks(pool) == [0, 1, 2, 3, 4])
    pool.add((5..<8).map(window), using: &random)
    #expect(marks(pool) == [0, 1, 2, 3, 4, 5, 6, 7])
    pool.add([window(100)], using: &random)
    #expect(marks(pool).count == 8 && marks(pool).filter { $0 == 100 }.count == 1)
    pool.add((0..<200).map { _ in window(101) }, using: &random)
    #expect(marks(pool) == Array(repeating: 101, count: 8))
  }

  @Test func allEightSymmetriesOccur() {
    var random = SplitMix64(seed: 1)
    let side = 6
    let window = (0..<2).map { _ in noiseFrame(width: side, height: side, &random) }
    var seen = Set<[Bool]>()
    for _ in 0..<200 {
      let symmetry = Symmetry(using: &random)
      guard seen.insert([symmetry.mirrors, symmetry.flips, symmetry.transposes, symmetry.reverses]).inserted
      else {
        continue
      }
      let turned = symmetry.applied(to: window)
      for (index, frame) in turned.enumerated() {
        let source = window[symmetry.reverses ? 1 - index : index]
        for (to, from, side) in [
          (frame.luma, source.luma, side), (frame.chroma[0], source.chroma[0], side / 2),
          (frame.chroma[1], source.chroma[1], side / 2),
        ] {
          for y in 0..<side {
            for x in 0..<side {
              let (a, b) = (symmetry.flips ? side - 1 - y : y, symmetry.mirrors ? side - 1 - x : x)
              #expect(to[y * side + x] == (symmetry.transposes ? from[b * side + a] : from[a * side + b]))
            }
          }
        }
      }
    }
    #expect(seen.count == 16)
  }
}
