// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Kernels

/// Estimates how much of the finest contrast of a source survived blurring, from its frames alone.
///
/// Sharpness is the response of the source's history to detail finer than a Gaussian of one sample: 1 if nothing blurred
/// it, about 0.3 after a Gaussian of 0.9 samples, above 1 if it was sharpened. The estimate is a linear function of 28
/// features, fitted to photographs and film that were blurred and coded (`Benchmarks/lab/sharpness.py`):
///
/// - of the strongest 10 and 30 % of the edges, how much five Gaussians reduce the gradient, in the mean and for the
///   sharpest: a sharp edge loses more than a soft one, as in S. Zhuo and T. Sim, "Defocus map estimation from a single
///   image" (2011); and the least gradient of these edges
/// - the ratios of contrast in adjacent bands of detail
/// - the share of samples that are edges
package enum Sharpness {
  /// The frames to examine, by number from the first of a part of a source.
  package static let examinedFrames = [1, 4, 7, 10]

  /// Standard deviations of the Gaussians, and the samples to each side that they use.
  fileprivate static let gaussians: [(deviation: Float, radius: Int)] = [
    (0.5, 2), (0.8, 3), (1.2, 5), (1.8, 7), (2.7, 11),
  ]
  /// Shares of the strongest edges.
  private static let shares = [0.1, 0.3]
  /// Number of edges below which sharpness is unknown.
  private static let leastEdges = 60

  /// Estimates the sharpness of frames of one source, 0 or more; nil if they have too few edges.
  package static func estimate(_ frames: [PlanarFrame]) -> Float? {
    guard let features = features(of: frames) else { return nil }
    return max(0, zip(features, coefficients).reduce(constant) { $0 + $1.0 * $1.1 })
  }

  /// The 28 features of frames; nil if there are too few edges.
  package static func features(of frames: [PlanarFrame]) -> [Float]? {
    let parts = Parallel.map(frames.count) { FrameEdges(frames[$0]) }
    let edges = parts.flatMap(\.edges).sorted { $0.gradient < $1.gradient }
    guard edges.count >= leastEdges else { return nil }
    let gradients = edges.map(\.gradient)
    var result: [Float] = []
    for share in shares {
      let least = quantile(gradients, 1 - share)
      let strong = edges.drop { $0.gradient < least }
      for index in gaussians.indices {
        let losses = strong.map { $0.losses[index] }.sorted()
        result.append(Float(losses.reduce(0.0) { $0 + Double($1) } / Double(losses.count)))
        result.append(quantile(losses, 0.85))
      }
      result.append(log(least))
    }
    let bands = (0...gaussians.count).map { index in parts.reduce(1e-3) { $0 + $1.bands[index] } }
    result += zip(bands, bands.dropFirst()).map { Float(log($1) - log($0)) }
    let samples = parts.reduce(0) { $0 + $1.samples }
    result.append(Float(log(Double(edges.count) / Double(samples))))
    return result
  }

  /// A quantile of ascending values, linearly interpolated.
  private static func quantile(_ values: [Float], _ share: Double) -> Float {
    let at = share * Double(values.count - 1)
    let index = Int(at)
    let next = min(values.count - 1, index + 1)
    return values[index] + Float(at - Double(index)) * (values[next] - values[index])
  }

  /// The estimate's constant, and the coefficient of each feature.
  private static let constant: Float = -0.5249
  private static let coefficients: [Float] = [
    4.5104, 4.4951, 0.2401, 0.3180, -0.1677, -0.3793, 0.0971,
    -0.1833, -0.0204, -0.0057, 0.4248, -1.3232, 0.8679, -0.8242,
    0.0508, -0.2096, -0.0565, 0.1476, 0.0375, 0.1095, -0.0827,
    -0.2309, -0.1334, 0.1425, -0.2633, 0.0645, -0.0054, -0.0470,
  ]
}

/// The edges of a frame, and its contrast by bands of detail.
private struct FrameEdges: Sendable {
  /// A sample where the gradient has a maximum across the edge.
  struct Edge {
    /// In levels per sample.
    var gradient: Float
    /// By Gaussian, the logarithm of the factor by which it reduces the gradient.
    var losses: SIMD8<Float> = .zero
  }

  private(set) var edges: [Edge] = []
  /// Mean squares of the differences of successive Gaussians, then the variance of what the last leaves.
  private(set) var bands: [Double] = []
  let samples: Int

  /// Least gradient of an edge in levels per sample.
  private static let leastGradient: Float = 5
  /// Least gradient that a Gaussian leaves, to bound its logarithm.
  private static let leastSmoothed: Float = 0.2

  init(_ frame: PlanarFrame) {
    let plane = FloatPlane(centreOf: frame)
    samples = plane.width * plane.height
    let places = plane.maxima(least: Self.leastGradient)
    edges = places.map { Edge(gradient: plane.gradient(at: $0)) }
    var previous = plane
    for (index, gaussian) in Sharpness.gaussians.enumerated() {
      let smooth = plane.blurred(deviation: gaussian.deviation, radius: gaussian.radius)
      bands.append(smooth.meanSquare(from: previous))
      for (edge, place) in places.enumerated() {
        edges[edge].losses[index] = log(
          edges[edge].gradient / max(Self.leastSmoothed, smooth.gradient(at: place)))
      }
      previous = smooth
    }
    bands.append(previous.variance)
  }
}

/// The luma of a frame, or of its centre, as real numbers.
private struct FloatPlane {
  let width, height: Int
  private var values: [Float]

  /// Greatest extents: of larger frames, the centre is examined.
  private static let mostSide = 640
  /// Samples at the borders where no edges are sought.
  private static let margin = 5

  init(centreOf frame: PlanarFrame) {
    (width, height) = (min(frame.width, Self.mostSide), min(frame.height, Self.mostSide))
    let (left, top) = ((frame.width - width) / 2, (frame.height - height) / 2)
    values = []
    values.reserveCapacity(width * height)
    for y in top..<top + height {
      for x in left..<left + width { values.append(Float(frame.luma[y * frame.width + x])) }
    }
  }

  /// Sobel's operator, horizontal and vertical, in levels per sample.
  @inline(__always)
  private func slopes(_ values: UnsafePointer<Float>, _ at: Int) -> (across: Float, down: Float) {
    let (above, here, below) = (values + (at - width), values + at, values + (at + width))
    let right = above[1] + 2 * here[1] + below[1]
    let left = above[-1] + 2 * here[-1] + below[-1]
    let under = below[-1] + 2 * below[0] + below[1]
    let over = above[-1] + 2 * above[0] + above[1]
    return ((right - left) / 8, (under - over) / 8)
  }

  /// The gradient's magnitude at a sample that is not at a border.
  func gradient(at place: Int) -> Float {
    values.withUnsafeBufferPointer {
      let (across, down) = slopes($0.baseAddress!, place)
      return (across * across + down * down).squareRoot()
    }
  }

  /// Samples whose gradient is above `least` and has a maximum across the edge.
  func maxima(least: Float) -> [Int] {
    var result: [Int] = []
    guard width > 2 * Self.margin, height > 2 * Self.margin else { return [] }
    values.withUnsafeBufferPointer { values in
      let values = values.baseAddress!
      func squared(_ at: Int) -> Float {
        let (across, down) = slopes(values, at)
        return across * across + down * down
      }
      for y in Self.margin..<height - Self.margin {
        for at in y * width + Self.margin..<(y + 1) * width - Self.margin {
          let (across, down) = slopes(values, at)
          let here = across * across + down * down
          guard here > least * least else { continue }
          let step = abs(across) > abs(down) ? 1 : width
          if here >= squared(at - step) && here > squared(at + step) { result.append(at) }
        }
      }
    }
    return result
  }

  /// The plane after a Gaussian; samples are mirrored at the borders.
  func blurred(deviation: Float, radius: Int) -> FloatPlane {
    var taps = (-radius...radius).map { exp(-Float($0 * $0) / (2 * deviation * deviation)) }
    let sum = taps.reduce(0, +)
    taps = taps.map { $0 / sum }
    var result = self
    result.filter(taps, lines: height, length: width, alongRows: true)
    result.filter(taps, lines: width, length: height, alongRows: false)
    return result
  }

  /// Filters each row, or each column, in place.
  private mutating func filter(_ taps: [Float], lines: Int, length: Int, alongRows: Bool) {
    let radius = taps.count / 2
    /// The sample that stands for `index`.
    func mirrored(_ index: Int) -> Int {
      let folded = index < 0 ? -index - 1 : index >= length ? 2 * length - 1 - index : index
      return max(0, min(length - 1, folded))
    }
    let source = values
    let width = width
    source.withUnsafeBufferPointer { source in
      values.withUnsafeMutableBufferPointer { values in
        if alongRows {
          var row = [Float](repeating: 0, count: length + 2 * radius)
          for y in 0..<lines {
            for x in row.indices { row[x] = source[y * width + mirrored(x - radius)] }
            row.withUnsafeBufferPointer { row in
              let to = values.baseAddress! + y * width
              for x in 0..<length { to[x] = taps[0] * row[x] }
              for tap in 1..<taps.count {
                let weight = taps[tap]
                for x in 0..<length { to[x] += weight * row[x + tap] }
              }
            }
          }
        } else {
          for y in 0..<length {
            let to = values.baseAddress! + y * width
            for x in 0..<lines { to[x] = 0 }
            for tap in taps.indices {
              let (weight, from) = (taps[tap], source.baseAddress! + mirrored(y + tap - radius) * width)
              for x in 0..<lines { to[x] += weight * from[x] }
            }
          }
        }
      }
    }
  }

  /// Mean square of the differences from another plane.
  func meanSquare(from other: FloatPlane) -> Double {
    var sum = 0.0
    for (a, b) in zip(values, other.values) { sum += Double((a - b) * (a - b)) }
    return sum / Double(values.count)
  }

  /// The variance of the samples.
  var variance: Double {
    let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
    return values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(values.count)
  }
}
