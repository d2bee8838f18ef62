// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Foundation
internal import Tensors

/// Slats, railings and meshes, finer than a reduced picture can show. Film and photographs have few of them, and networks
/// that have seen none continue the false pattern that downscaling leaves instead of the true one.
enum RepeatedPattern {
  /// Draws slats or a mesh over all of a photograph's part, or over a convex area of it.
  /// - Parameter side: side of the result in pixels, even.
  static func picture(
    from pictures: [PlanarFrame], side: Int, using random: inout SplitMix64
  ) -> PlanarFrame {
    let result = part(of: pictures[random.index(pictures.count)], side: side, using: &random)
    let first = Slats(side: side, using: &random)
    let second = random.chance(0.25) ? Slats(crossing: first, side: side, using: &random) : nil
    let area = random.chance(0.5) ? nil : Area(side: side, using: &random)
    let strength = random.uniform(0.25...1)
    let level = random.uniform(16...235)
    for y in 0..<side {
      for x in 0..<side {
        let (px, py) = (Float(x) - Float(side) / 2, Float(y) - Float(side) / 2)
        let cover = max(first.cover(px, py), second?.cover(px, py) ?? 0)
        let share = strength * cover * (area?.share(px, py) ?? 1)
        guard share > 0 else { continue }
        let i = y * side + x
        result.luma[i] = UInt8(Float(result.luma[i]) * (1 - share) + level * share + 0.5)
      }
    }
    return result
  }

  private static func part(
    of picture: PlanarFrame, side: Int, using random: inout SplitMix64
  ) -> PlanarFrame {
    let result = PlanarFrame(width: side, height: side)
    let x = 2 * random.index(max(0, picture.width - side) / 2 + 1)
    let y = 2 * random.index(max(0, picture.height - side) / 2 + 1)
    // Photographs smaller than the part are continued by their edges.
    SyntheticMotion.render(
      picture, SyntheticMotion.Transform(a: 1, b: 0, c: Float(x), d: Float(y)), into: result)
    return result
  }

  /// Equal bars, whose distance may change across the picture as in perspective.
  private struct Slats {
    let x, y, period, duty, bend, phase: Float

    init(side: Int, using random: inout SplitMix64) {
      // Mostly upright or level, as in buildings, but seldom exactly.
      let angle =
        random.chance(0.6)
        ? (random.chance(0.5) ? 0 : Float.pi / 2) + random.uniform(-0.08...0.08)
        : random.uniform(0...Float.pi)
      self.init(angle: angle, period: 2 * pow(4, random.uniform()), side: side, using: &random)
    }

    /// Bars across others, of about the same distance.
    init(crossing other: Slats, side: Int, using random: inout SplitMix64) {
      self.init(
        angle: atan2(other.y, other.x) + .pi / 2 + random.uniform(-0.1...0.1),
        period: max(2, other.period * random.uniform(0.8...1.25)), side: side, using: &random)
    }

    private init(angle: Float, period: Float, side: Int, using random: inout SplitMix64) {
      (x, y, self.period) = (cos(angle), sin(angle), period)
      duty = random.uniform(0.3...0.7)
      bend = random.chance(0.5) ? 0 : random.uniform(-0.5...0.5) / Float(side)
      phase = random.uniform()
    }

    /// The fraction of a pixel that a bar covers.
    func cover(_ px: Float, _ py: Float) -> Float {
      let along = px * x + py * y
      let cycles = along * (1 + bend * along) / period + phase
      let fromMiddle = abs(cycles - cycles.rounded(.down) - 0.5)
      let width = period / max(0.25, 1 + 2 * bend * along)
      return max(0, min(1, (duty / 2 - fromMiddle) * width + 0.5))
    }
  }

  /// The part of the plane in front of three to five lines, with edges of one pixel.
  private struct Area {
    let edges: [(x: Float, y: Float, distance: Float)]

    init(side: Int, using random: inout SplitMix64) {
      edges = (0..<(3 + random.index(3))).map { _ in
        let angle = random.uniform(0...(2 * Float.pi))
        return (cos(angle), sin(angle), random.uniform(0.1...0.4) * Float(side))
      }
    }

    func share(_ px: Float, _ py: Float) -> Float {
      edges.reduce(1) { max(0, min($0, $1.distance - $1.x * px - $1.y * py)) }
    }
  }
}
