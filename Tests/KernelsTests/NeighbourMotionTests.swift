// SPDX-License-Identifier: Apache-2.0
import Foundation
import Kernels
import Tensors
import Testing

@Suite struct NeighbourMotionTests {
  /// Returns a smooth texture of many waves, with its origin at (x, y).
  private func texture(width: Int, height: Int, x: Double, y: Double) -> [UInt8] {
    var random = SplitMix64(seed: 4)
    let waves = (0..<24).map { _ in
      (
        fx: Double(random.uniform(-0.9...0.9)), fy: Double(random.uniform(-0.9...0.9)),
        phase: Double(random.uniform(0...6.28)), size: Double(random.uniform(3...9))
      )
    }
    return (0..<width * height).map { i in
      let (px, py) = (Double(i % width) + x, Double(i / width) + y)
      let sum = waves.reduce(0.0) { $0 + $1.size * sin($1.fx * px + $1.fy * py + $1.phase) }
      return UInt8(max(0, min(255, 128 + sum)))
    }
  }

  @Test(arguments: [(0.0, 0.0), (3.0, -2.0), (0.4, 0.25), (-6.3, 4.7), (17.4, -11.2), (-30.0, 22.6)])
  func findsAPan(_ x: Double, _ y: Double) {
    let (width, height) = (160, 120)
    let reference = MotionPlane(
      luma: texture(width: width, height: height, x: 0, y: 0), width: width, height: height)
    // The neighbour shows at p what the reference shows at p + (x, y): the reference's pixel q is at q - (x,
    // y).
    let neighbour = MotionPlane(
      luma: texture(width: width, height: height, x: x, y: y), width: width, height: height)
    let motion = NeighbourMotion(of: reference, in: neighbour)
    var errors: [Double] = []
    for row in 5..<10 {
      for column in 5..<15 {
        let found = motion.displacement(row * 20 + column)
        errors.append(hypot(Double(found.x) + x, Double(found.y) + y))
      }
    }
    errors.sort()
    #expect(errors[errors.count / 2] < 0.15, "median error \(errors[errors.count / 2])")
    #expect(errors[errors.count * 9 / 10] < 0.35, "worst tenth \(errors[errors.count * 9 / 10])")
  }

  @Test func equalFramesDoNotMove() {
    let luma = texture(width: 96, height: 64, x: 0, y: 0)
    let plane = MotionPlane(luma: luma, width: 96, height: 64)
    let motion = NeighbourMotion(of: plane, in: plane)
    for block in 0..<12 * 8 {
      let found = motion.displacement(block)
      #expect(found.x == 0 && found.y == 0)
    }
  }

  @Test func anySizeIsSafe() {
    for (width, height) in [(2, 2), (4, 2), (10, 6), (18, 34)] {
      let luma = texture(width: width, height: height, x: 1, y: 2)
      let plane = MotionPlane(luma: luma, width: width, height: height)
      let motion = NeighbourMotion(of: plane, in: plane)
      let chroma = UnsafeMutablePointer<UInt8>.allocate(capacity: width * height)
      chroma.initialize(repeating: 128, count: width * height)
      defer { chroma.deallocate() }
      var result = [UInt8](repeating: 7, count: width / 2 * height / 2 * NeighbourMotion.neighbourChannels)
      result.withUnsafeMutableBufferPointer {
        motion.writeNeighbour(
          reference: plane, neighbour: plane, chroma: [chroma, chroma], into: $0.baseAddress!,
          pixelStride: NeighbourMotion.neighbourChannels,
          rowStride: width / 2 * NeighbourMotion.neighbourChannels,
          rows: 0..<height / 2)
      }
      // Unchanged samples, no remainder, a perfect match.
      #expect(result[0] == luma[0] && result[3] == luma[width + 1] && result[4] == 128)
      #expect(result[6..<38].allSatisfy { $0 == 128 })
    }
  }
}
