// SPDX-License-Identifier: Apache-2.0
internal import Kernels

/// A self-ensemble: the mean of a network's residuals for a window and for mirror images of it, mirrored back.
///
/// The errors of a network differ between the images and partly cancel out (Timofte et al., "Seven ways to improve
/// example-based single image super resolution", CVPR 2016). Each image costs as much as the network alone.
package final class MirroredNetwork: WindowNetwork {
  /// The network's architecture.
  package let architecture: Architecture
  /// See `WindowNetwork`.
  package var noiseCode: UInt8? { networks[0].noiseCode }

  /// One for each image, since each caches data of its frames.
  private let networks: [any WindowNetwork]
  private let mirrors: ArraySlice<MirrorImage>
  private let threads: Int
  /// The frames of the last window, with an image for each network.
  private var frames: [(source: PlanarFrame, images: [PlanarFrame])] = []

  /// Creates an ensemble.
  /// - Parameter networks: two or four with the same weights, for the images of `MirrorImage.all`.
  /// - Precondition: they are not for interpolation.
  package init(_ networks: [any WindowNetwork], threads: Int) {
    precondition([2, 4].contains(networks.count), "two or four images")
    architecture = networks[0].architecture
    precondition(architecture.task != .interpolation, "no ensembles for interpolation")
    self.networks = networks
    self.threads = threads
    mirrors = MirrorImage.all[..<networks.count]
  }

  /// See `WindowNetwork`.
  package func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) throws -> Prediction {
    let parts = try residuals(window, conditions, profile)
    let result = Residual(
      gridWidth: parts[0].gridWidth, gridHeight: parts[0].gridHeight, channels: parts[0].channels)
    let sum = MirroredSum(parts, mirrors, scale: architecture.scale)
    profile.measure("mirror") {
      Parallel.bands(rows: result.gridHeight, threads: threads) { rows, _ in
        let row = result.gridWidth * result.channels
        sum.mean(rows: rows, into: result.values + rows.lowerBound * row)
      }
    }
    return Prediction(residual: result)
  }

  /// See `WindowNetwork`.
  package func predictRows(
    _ window: [PlanarFrame], given conditions: WindowConditions, profile: WorkProfile?,
    take: (ResidualRows) -> Void
  ) throws {
    let parts = try residuals(window, conditions, profile)
    let (width, height, channels) = (parts[0].gridWidth, parts[0].gridHeight, parts[0].channels)
    let sum = MirroredSum(parts, mirrors, scale: architecture.scale)
    profile.measure("mirror, enlarge") {
      withoutActuallyEscaping(take) { take in
        nonisolated(unsafe) let take = take  // Each band delivers its own rows.
        Parallel.bands(rows: height, threads: threads) { rows, _ in
          let memory = AlignedBuffer(Int16.self, count: rows.count * width * channels)
          defer { withExtendedLifetime(memory) {} }
          let values = memory.values(Int16.self)
          sum.mean(rows: rows, into: values)
          take(
            ResidualRows(
              rows: rows, gridWidth: width, gridHeight: height, channels: channels, stride: channels,
              values: values))
        }
      }
    }
  }

  /// The networks' residuals for their images of a window.
  private func residuals(
    _ window: [PlanarFrame], _ conditions: WindowConditions, _ profile: WorkProfile?
  ) throws -> [Residual] {
    frames = window.map { frame in
      frames.first { $0.source === frame }
        ?? (frame, profile.measure("mirror") { mirrors.map { frame.mirrored($0) } })
    }
    return try networks.enumerated().map { index, network in
      try network.predict(
        frames.map { $0.images[index] }, at: BetweenMotion.unit / 2, given: conditions, profile: profile
      ).residual
    }
  }
}

/// Residuals for mirror images of a window.
private struct MirroredSum: Sendable {
  let parts: [Residual]
  let mirrors: ArraySlice<MirrorImage>
  /// By image: for each channel, the one that contains it there.
  let places: [[Int]]

  init(_ parts: [Residual], _ mirrors: ArraySlice<MirrorImage>, scale: Int) {
    self.parts = parts
    self.mirrors = mirrors
    places = mirrors.map { $0.channels(scale: scale) }
  }

  /// Writes rows of the mean, each part mirrored back; halves are rounded up.
  func mean(rows: Range<Int>, into result: UnsafeMutablePointer<Int16>) {
    let (width, height, channels) = (parts[0].gridWidth, parts[0].gridHeight, parts[0].channels)
    let (half, shift) = (Int32(parts.count / 2), Int32(parts.count.trailingZeroBitCount))
    var sums = [Int32](repeating: 0, count: width * channels)
    var to = result
    for y in rows {
      for i in sums.indices { sums[i] = half }
      for (index, mirror) in mirrors.enumerated() {
        let row = parts[index].values + (mirror.flipsRows ? height - 1 - y : y) * width * channels
        places[index].withUnsafeBufferPointer { places in
          for x in 0..<width {
            let from = row + (mirror.flipsColumns ? width &- 1 &- x : x) &* channels
            for c in 0..<channels { sums[x &* channels &+ c] &+= Int32(from[places[c]]) }
          }
        }
      }
      for i in sums.indices { to[i] = Int16(truncatingIfNeeded: sums[i] >> shift) }
      to += sums.count
    }
  }
}

/// A mirror image.
package struct MirrorImage: Sendable, Hashable {
  /// Whether the picture is upside down, and whether left and right are exchanged.
  package var flipsRows, flipsColumns: Bool

  /// All of them. The picture itself is the first; the one turned by 180 degrees is the second, as it differs most.
  package static let all = [(false, false), (true, true), (true, false), (false, true)].map {
    MirrorImage(flipsRows: $0, flipsColumns: $1)
  }

  /// For each channel of a residual at `scale`, the channel that contains it in the image.
  package func channels(scale: Int) -> [Int] {
    func phases(_ side: Int, from first: Int) -> [Int] {
      (0..<side * side).map { phase in
        let (row, column) = (phase / side, phase % side)
        return first + (flipsRows ? side - 1 - row : row) * side + (flipsColumns ? side - 1 - column : column)
      }
    }
    let (luma, chroma) = (4 * scale * scale, scale * scale)
    return phases(2 * scale, from: 0) + phases(scale, from: luma) + phases(scale, from: luma + chroma)
  }
}

extension PlanarFrame {
  /// The mirror image; the frame itself if nothing is flipped. Its quantizers are not mirrored, as only their mean counts.
  package func mirrored(_ mirror: MirrorImage) -> PlanarFrame {
    guard mirror.flipsRows || mirror.flipsColumns else { return self }
    let result = PlanarFrame(width: width, height: height)
    func copy(
      _ source: UnsafePointer<UInt8>, into target: UnsafeMutablePointer<UInt8>, _ width: Int, _ height: Int
    ) {
      for y in 0..<height {
        let from = source + (mirror.flipsRows ? height - 1 - y : y) * width
        let to = target + y * width
        if mirror.flipsColumns {
          for x in 0..<width { to[x] = from[width &- 1 &- x] }
        } else {
          to.update(from: from, count: width)
        }
      }
    }
    copy(luma, into: result.luma, width, height)
    for plane in 0..<2 { copy(chroma[plane], into: result.chroma[plane], gridWidth, gridHeight) }
    result.quantizers = quantizers
    return result
  }
}
