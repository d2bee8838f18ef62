// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel
package import Foundation
package import Tensors
import VideoIO

/// Photographs as sources of sharp camera detail, from which windows of frames are cut along smooth paths.
package final class PhotographStore: Sendable {
  /// Pictures, the shorter side at most `shortSide`.
  package let pictures: [PlanarFrame]

  /// The length to which the shorter side is reduced, which hides the pictures' own compression.
  static let shortSide = 1200
  /// The lengths to which it is reduced for training. Smaller pictures have finer detail, and more of it.
  static let trainingShortSides = [shortSide, 800, 540]

  /// Reads every photograph below `folder` whose shorter side is at least `smallest` pixels.
  /// - Parameter shortSides: the lengths to which the shorter side of each photograph is reduced. The first also takes
  ///   smaller photographs, as they are; the others take only larger ones.
  package init(folder: URL, smallest: Int = 400, shortSides: [Int] = [shortSide]) throws {
    var pictures: [PlanarFrame] = []
    for name in MediaFolder(folder).photographs {
      let path = folder.appendingPathComponent(name).path
      guard let frame = try? Self.read(path), min(frame.width, frame.height) >= smallest else { continue }
      for (index, side) in shortSides.enumerated() where index == 0 || side < min(frame.width, frame.height) {
        guard let picture = try? Self.reduced(frame, shortSide: side) else { continue }
        pictures.append(picture)
      }
    }
    self.pictures = pictures
  }

  private static func read(_ path: String) throws -> VideoFrame? {
    var reader = try VideoReader(path: path)
    while let item = try reader.next() {
      if case .frame(let frame) = item { return frame }
    }
    return nil
  }

  private static func reduced(_ frame: VideoFrame, shortSide: Int) throws -> PlanarFrame {
    let factor = min(1, Double(shortSide) / Double(min(frame.width, frame.height)))
    let width = Int(Double(frame.width) * factor) / 4 * 4
    let height = Int(Double(frame.height) * factor) / 4 * 4
    return PlanarFrame(try frame.converted(width: width, height: height, format: .yuv420p, scaler: .area))
  }
}

extension PlanarFrame {
  /// Copies an 8-bit 4:2:0 frame of even extents.
  convenience init(_ frame: VideoFrame) {
    self.init(width: frame.width, height: frame.height)
    for (index, target) in ([luma] + chroma).enumerated() {
      let width = frame.planeWidth(index)
      frame.withPlane(index) { buffer, bytesPerRow in
        for row in 0..<frame.planeHeight(index) {
          let from = buffer.baseAddress!.assumingMemoryBound(to: UInt8.self) + row * bytesPerRow
          (target + row * width).update(from: from, count: width)
        }
      }
    }
  }
}

/// Windows of frames cut from a photograph along a smooth path: pan, rotation, zoom, and half the time a moving piece of
/// a second photograph in front.
package enum SyntheticMotion {
  /// Creates `count` frames of `size` x `size`, `size` even. The middle frame contains the photographs' original samples,
  /// except in windows that zoom and at the edge of the moving piece.
  /// - Parameter reachesEdges: whether frames come from all parts of the photographs, instead of keeping a distance from
  ///   their edges that suits any motion.
  package static func window(
    from pictures: [PlanarFrame], count: Int, size: Int, reachesEdges: Bool = false,
    using random: inout SplitMix64
  ) -> [PlanarFrame] {
    let picture = pictures[random.index(pictures.count)]
    let path = Path(in: picture, count: count, size: size, reachesEdges: reachesEdges, using: &random)
    let over =
      random.chance(0.5) ? Foreground(pictures: pictures, size: size, count: count, using: &random) : nil
    return (0..<count).map { index in
      let t = Float(index - count / 2)
      let frame = PlanarFrame(width: size, height: size)
      let transform = path.transform(at: t)
      render(picture, transform, into: frame)
      over?.draw(on: frame, at: t)
      return frame
    }
  }

  /// A similarity transform of output to source coordinates: x' = a x - b y + c, y' = b x + a y + d (pixel centres at
  /// whole numbers).
  struct Transform {
    var a, b, c, d: Float

    /// The transform in coordinates of a plane of half the extents.
    var halved: Transform {
      // The centre of chroma sample k is at luma coordinate 2k + 1/2, both in output and in source.
      Transform(a: a, b: b, c: (c + 0.5 * (a - b) - 0.5) / 2, d: (d + 0.5 * (a + b) - 0.5) / 2)
    }
  }

  private struct Path {
    let centreX, centreY, velocityX, velocityY, turn, zoom, start, half: Float

    init(
      in picture: PlanarFrame, count: Int, size: Int, reachesEdges: Bool, using random: inout SplitMix64
    ) {
      let speed = [0, 1, 2, 4, 8][random.index(5)] * random.uniform(0.3...1)
      let direction = random.uniform(0...(2 * Float.pi))
      velocityX = speed * cos(direction)
      velocityY = speed * sin(direction)
      turn = random.chance(0.5) ? random.uniform(-0.007...0.007) : 0
      zoom = random.chance(0.5) ? 1 + random.uniform(-0.004...0.004) : 1
      start = random.chance(0.3) ? random.uniform(0.75...1.3) : 1
      let corner = Float(size) / 2
      half = corner
      // Half a side, enlarged by zoom and rotation, and half the way.
      let margin =
        reachesEdges
        ? 0.58 * Float(size) * start + speed * Float(count) / 2
        : 0.75 * Float(size) * max(1, start) + 12 * Float(count)
      // Align to whole chroma samples, so that the middle frame of a path without zoom is not interpolated: the ground
      // truth must be sharp.
      func place(_ extent: Int) -> Float {
        let middle =
          Float(extent) > 2 * margin
          ? margin + (Float(extent) - 2 * margin) * random.uniform() : Float(extent) / 2
        return corner + 2 * ((middle - corner) / 2).rounded()
      }
      centreX = place(picture.width)
      centreY = place(picture.height)
    }

    func transform(at t: Float) -> Transform {
      let scale = start * pow(zoom, t)
      let a = cos(turn * t) * scale
      let b = sin(turn * t) * scale
      return Transform(
        a: a, b: b, c: centreX + velocityX * t - (a - b) * half, d: centreY + velocityY * t - (a + b) * half)
    }
  }

  /// A soft-edged convex piece of another photograph, moving in a straight line.
  private struct Foreground {
    let picture: PlanarFrame
    let originX, originY, velocityX, velocityY: Float
    /// The piece is the intersection of half-planes n·p < distance around the frame's centre.
    let edges: [(x: Float, y: Float, distance: Float)]

    init(pictures: [PlanarFrame], size: Int, count: Int, using random: inout SplitMix64) {
      picture = pictures[random.index(pictures.count)]
      // Whole chroma samples, as in `Path`.
      originX = 2 * (random.uniform() * Float(max(1, picture.width - size)) / 2).rounded(.down)
      originY = 2 * (random.uniform() * Float(max(1, picture.height - size)) / 2).rounded(.down)
      velocityX = random.uniform(-6...6)
      velocityY = random.uniform(-6...6)
      let shiftX = random.uniform(-0.3...0.3) * Float(size)
      let shiftY = random.uniform(-0.3...0.3) * Float(size)
      edges = (0..<(3 + random.index(5))).map { _ in
        let angle = random.uniform(0...(2 * Float.pi))
        let distance = random.uniform(0.08...0.35) * Float(size)
        return (cos(angle), sin(angle), distance + cos(angle) * shiftX + sin(angle) * shiftY)
      }
    }

    func draw(on frame: PlanarFrame, at t: Float) {
      let transform = Transform(a: 1, b: 0, c: originX - velocityX * t, d: originY - velocityY * t)
      let layer = PlanarFrame(width: frame.width, height: frame.height)
      SyntheticMotion.render(picture, transform, into: layer)
      blend(layer.luma, on: frame.luma, width: frame.width, height: frame.height, step: 1, at: t)
      for plane in 0..<2 {
        blend(
          layer.chroma[plane], on: frame.chroma[plane], width: frame.width / 2, height: frame.height / 2,
          step: 2, at: t)
      }
    }

    private func blend(
      _ layer: UnsafeMutablePointer<UInt8>, on target: UnsafeMutablePointer<UInt8>, width: Int, height: Int,
      step: Float, at t: Float
    ) {
      for y in 0..<height {
        for x in 0..<width {
          let px = (Float(x) + 0.5 - Float(width) / 2) * step - velocityX * t
          let py = (Float(y) + 0.5 - Float(height) / 2) * step - velocityY * t
          var inside: Float = 1
          for edge in edges { inside = min(inside, edge.distance - edge.x * px - edge.y * py) }
          // A soft edge of one pixel.
          let share = max(0, inside + (inside < 1 ? 0.5 : 0))
          guard share > 0 else { continue }
          let i = y * width + x
          target[i] = UInt8(Float(target[i]) + (Float(layer[i]) - Float(target[i])) * min(1, share) + 0.5)
        }
      }
    }
  }

  /// Resamples all three planes, bicubic (a = -1/2) with replicated edges.
  static func render(_ picture: PlanarFrame, _ transform: Transform, into frame: PlanarFrame) {
    resample(
      picture.luma, picture.width, picture.height, transform, into: frame.luma, frame.width, frame.height)
    for plane in 0..<2 {
      resample(
        picture.chroma[plane], picture.width / 2, picture.height / 2, transform.halved,
        into: frame.chroma[plane],
        frame.width / 2, frame.height / 2)
    }
  }

  /// Bicubic taps at 64 phases.
  private static let taps: [SIMD4<Float>] = (0..<65).map { phase in
    let t = Float(phase) / 64
    let (t2, t3) = (t * t, t * t * t)
    let before: Float = t2 - 0.5 * (t3 + t)
    let here: Float = 1.5 * t3 - 2.5 * t2 + 1
    let next: Float = 2 * t2 - 1.5 * t3 + 0.5 * t
    let after: Float = 0.5 * (t3 - t2)
    return SIMD4(before, here, next, after)
  }

  private static func resample(
    _ source: UnsafePointer<UInt8>, _ sourceWidth: Int, _ sourceHeight: Int, _ transform: Transform,
    into result: UnsafeMutablePointer<UInt8>, _ width: Int, _ height: Int
  ) {
    taps.withUnsafeBufferPointer { taps in
      for y in 0..<height {
        for x in 0..<width {
          let fx = transform.a * Float(x) - transform.b * Float(y) + transform.c
          let fy = transform.b * Float(x) + transform.a * Float(y) + transform.d
          let (bx, by) = (fx.rounded(.down), fy.rounded(.down))
          let wx = taps[Int((fx - bx) * 64 + 0.5)]
          let wy = taps[Int((fy - by) * 64 + 0.5)]
          let ix = Int(bx)
          let iy = Int(by)
          var sum: Float = 0
          if ix >= 1, iy >= 1, ix + 2 < sourceWidth, iy + 2 < sourceHeight {
            let corner: Int = (iy - 1) * sourceWidth + ix - 1
            var from = source + corner
            for j in 0..<4 {
              let row = SIMD4<Float>(SIMD4<UInt8>(from[0], from[1], from[2], from[3]))
              sum += wy[j] * (row * wx).sum()
              from += sourceWidth
            }
          } else {
            for j in 0..<4 {
              let from = source + min(max(iy - 1 + j, 0), sourceHeight - 1) * sourceWidth
              for i in 0..<4 {
                let sample = Float(from[min(max(ix - 1 + i, 0), sourceWidth - 1)])
                sum += wy[j] * wx[i] * sample
              }
            }
          }
          result[y &* width &+ x] = UInt8(max(0, min(255, sum + 0.5)))
        }
      }
    }
  }
}
