// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite struct SyntheticMotionTests {
  private let picture: PlanarFrame = {
    var random = SplitMix64(seed: 1)
    return noiseFrame(width: 200, height: 160, &random)
  }()

  private func pan(_ x: Float, _ y: Float) -> SyntheticMotion.Transform {
    SyntheticMotion.Transform(a: 1, b: 0, c: x, d: y)
  }

  private func rendered(_ transform: SyntheticMotion.Transform, width: Int = 32, height: Int = 24)
    -> PlanarFrame
  {
    let frame = PlanarFrame(width: width, height: height)
    SyntheticMotion.render(picture, transform, into: frame)
    return frame
  }

  /// Returns whether a frame shows the picture from (x, y) on, sample by sample.
  private func isCrop(_ frame: PlanarFrame, of picture: PlanarFrame, x: Int, y: Int) -> Bool {
    for row in 0..<frame.height {
      for column in 0..<frame.width
      where frame.luma[row * frame.width + column] != picture.luma[(y + row) * picture.width + x + column] {
        return false
      }
    }
    for plane in 0..<2 {
      for row in 0..<frame.gridHeight {
        for column in 0..<frame.gridWidth
        where frame.chroma[plane][row * frame.gridWidth + column]
          != picture.chroma[plane][(y / 2 + row) * picture.gridWidth + x / 2 + column]
        {
          return false
        }
      }
    }
    return true
  }

  @Test func wholePansAreShiftedCopies() {
    for time in -2...2 {
      let (x, y) = (60 + 6 * time, 50 - 4 * time)
      #expect(isCrop(rendered(pan(Float(x), Float(y))), of: picture, x: x, y: y))
    }
    #expect(!isCrop(rendered(pan(60, 50)), of: picture, x: 62, y: 50))
  }

  @Test func fractionsAreInterpolatedByTheCubicKernel() {
    func keys(_ t: Double) -> Double {
      let x = abs(t)
      if x < 1 { return 1.5 * x * x * x - 2.5 * x * x + 1 }
      return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0
    }
    // Positions at the picture's border and beyond repeat its edge.
    for (x, y) in [(40.25, 30.75), (-3.5, -2.25), (180.5, 150.125)] {
      let frame = rendered(pan(Float(x), Float(y)))
      for (column, row) in [(0, 0), (5, 7), (31, 23), (16, 2)] {
        let (sx, sy) = (x + Double(column), y + Double(row))
        var sum = 0.0
        for j in Int(sy.rounded(.down)) - 1...Int(sy.rounded(.down)) + 2 {
          for i in Int(sx.rounded(.down)) - 1...Int(sx.rounded(.down)) + 2 {
            let sample = picture.luma[max(0, min(159, j)) * 200 + max(0, min(199, i))]
            sum += keys(sx - Double(i)) * keys(sy - Double(j)) * Double(sample)
          }
        }
        let wanted = max(0, min(255, sum))
        #expect(abs(Double(frame.luma[row * 32 + column]) - wanted) < 0.51, "\(x), \(y) at \(column), \(row)")
      }
    }
  }

  /// A chroma sample and the luma at twice its position, plus the half pixel between their centres, are at
  /// the same place.
  @Test func chromaFollowsLuma() {
    let transform = SyntheticMotion.Transform(a: 0.97, b: 0.13, c: 31.7, d: -12.4)
    let half = transform.halved
    for (x, y) in [(0, 0), (7, 3), (-5, 20)] as [(Float, Float)] {
      let (lx, ly) = (2 * x + 0.5, 2 * y + 0.5)
      let luma = (
        transform.a * lx - transform.b * ly + transform.c, transform.b * lx + transform.a * ly + transform.d
      )
      let chroma = (half.a * x - half.b * y + half.c, half.b * x + half.a * y + half.d)
      #expect(abs(luma.0 - (2 * chroma.0 + 0.5)) < 1e-4 && abs(luma.1 - (2 * chroma.1 + 0.5)) < 1e-4)
    }
  }

  /// Unless it is enlarged or covered, the middle frame is an unchanged crop of the photograph: interpolation
  /// does not degrade the ground truth.
  @Test func middleFramesAreUnchanged() {
    var exact = 0
    for seed in 0..<40 {
      var random = SplitMix64(seed: UInt64(seed))
      let window = SyntheticMotion.window(from: [picture], count: 3, size: 32, using: &random)
      let middle = window[1]
      search: for y in stride(from: 0, to: picture.height - 32, by: 2) {
        for x in stride(from: 0, to: picture.width - 32, by: 2)
        where middle.luma[0] == picture.luma[y * picture.width + x] && isCrop(middle, of: picture, x: x, y: y)
        {
          exact += 1
          break search
        }
      }
    }
    // About 0.7 keep their size, and half have no foreground.
    #expect(exact >= 7 && exact <= 25, "\(exact) of 40")
  }

  /// The column that the corner of the middle frame comes from, in a picture whose luma is half the column.
  private func cornerColumns(reachesEdges: Bool) -> [Int] {
    let ramp = PlanarFrame(width: 512, height: 512)
    for i in 0..<512 * 512 { ramp.luma[i] = UInt8(i % 512 / 2) }
    for plane in ramp.chroma { plane.update(repeating: 128, count: 256 * 256) }
    return (0..<60).map { seed in
      var random = SplitMix64(seed: UInt64(seed))
      let window = SyntheticMotion.window(
        from: [ramp], count: 24, size: 64, reachesEdges: reachesEdges, using: &random)
      return withExtendedLifetime(window) { 2 * Int(window[12].luma[0]) }
    }
  }

  /// The distance from the edges that suits any motion leaves only the middle of such a picture.
  @Test func framesComeFromAllPartsWhereAsked() {
    let middle = 192...288
    #expect(cornerColumns(reachesEdges: false).filter { !middle.contains($0) }.count < 15)
    let columns = cornerColumns(reachesEdges: true)
    #expect(columns.filter { !middle.contains($0) }.count > 30)
    #expect(columns.contains { $0 < 64 } && columns.contains { $0 > 352 })
  }

  @Test func photographsAreReadAtSeveralSizes() throws {
    let bench = try Workbench()
    for (name, size) in [("large", "1500x1000"), ("small", "640x420"), ("tiny", "300x200")] {
      try bench.ffmpeg("-f lavfi -i testsrc2=size=\(size) -frames:v 1", "\(name).png")
    }
    let sizes = try PhotographStore(folder: bench.directory, shortSides: [1200, 800, 400]).pictures
    #expect(
      sizes.map { [$0.width, $0.height] } == [
        [1500, 1000], [1200, 800], [600, 400], [640, 420], [608, 400],
      ])
    #expect(try PhotographStore(folder: bench.directory).pictures.map(\.height) == [1000, 420])
  }

  @Test func windowsMoveAndRepeatBySeed() {
    var moved = 0
    for seed in 0..<12 {
      var random = SplitMix64(seed: UInt64(seed))
      let window = SyntheticMotion.window(from: [picture], count: 5, size: 32, using: &random)
      #expect(window.count == 5 && window.allSatisfy { $0.width == 32 && $0.height == 32 })
      var again = SplitMix64(seed: UInt64(seed))
      let second = SyntheticMotion.window(from: [picture], count: 5, size: 32, using: &again)
      for (a, b) in zip(window, second) { #expect(isCrop(a, of: b, x: 0, y: 0)) }
      #expect(random.state == again.state)
      if !isCrop(window[0], of: window[4], x: 0, y: 0) { moved += 1 }
    }
    #expect(moved >= 9)
  }

  @Test func flatPicturesStayFlat() {
    let flat = PlanarFrame(width: 120, height: 100)
    flat.luma.update(repeating: 93, count: 120 * 100 * 3 / 2)
    for seed in 0..<10 {
      var random = SplitMix64(seed: UInt64(seed))
      for frame in SyntheticMotion.window(from: [flat], count: 3, size: 32, using: &random) {
        #expect((0..<32 * 32 * 3 / 2).allSatisfy { frame.luma[$0] == 93 })
      }
    }
  }

  @Test func photographsSmallerThanAWindowAreSafe() {
    var random = SplitMix64(seed: 3)
    let tiny = noiseFrame(width: 20, height: 12, &random)
    for _ in 0..<10 {
      let window = SyntheticMotion.window(from: [tiny, picture], count: 3, size: 64, using: &random)
      #expect(window.count == 3)
    }
  }
}
