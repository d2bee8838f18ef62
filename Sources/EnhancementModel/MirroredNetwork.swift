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
  package init(_ networks: [any WindowNetwork], threads: Int) {
    precondition([2, 4].contains(networks.count), "two or four images")
    architecture = networks[0].architecture
    self.networks = networks
    self.threads = threads
    mirrors = MirrorImage.all[..<networks.count]
  }

  /// See `WindowNetwork`. For interpolation, the residual is that to the blend of the window itself, and every second image
  /// shows the frames in reverse order.
  package func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) throws -> Prediction {
    let parts = try predictions(window, at: instant, conditions, profile)
    let result = Residual(
      gridWidth: parts[0].residual.gridWidth, gridHeight: parts[0].residual.gridHeight,
      channels: parts[0].residual.channels)
    profile.measure("mirror") {
      let sum = MirroredSum(parts, mirrors, scale: architecture.scale)
      Parallel.bands(rows: result.gridHeight, threads: threads) { rows, _ in
        let row = result.gridWidth * result.channels
        sum.mean(rows: rows, into: result.values + rows.lowerBound * row)
      }
    }
    return Prediction(residual: result, alignment: parts[0].alignment)
  }

  /// See `WindowNetwork`.
  package func predictRows(
    _ window: [PlanarFrame], given conditions: WindowConditions, profile: WorkProfile?,
    take: (ResidualRows) -> Void
  ) throws {
    let parts = try predictions(window, at: BetweenMotion.unit / 2, conditions, profile)
    let first = parts[0].residual
    let (width, height, channels) = (first.gridWidth, first.gridHeight, first.channels)
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

  /// The networks' predictions for their images of a window.
  private func predictions(
    _ window: [PlanarFrame], at instant: Int, _ conditions: WindowConditions, _ profile: WorkProfile?
  ) throws -> [Prediction] {
    // A frame that is in the window more than once has one set of images: networks tell frames by their objects.
    var known = frames
    frames = window.map { frame in
      if let made = known.first(where: { $0.source === frame }) { return made }
      let made = (frame, profile.measure("mirror") { mirrors.map { frame.mirrored($0) } })
      known.append(made)
      return made
    }
    let interpolates = architecture.task == .interpolation
    return try networks.enumerated().map { index, network in
      let image = frames.map { $0.images[index] }
      let isReversed = interpolates && index % 2 == 1
      return try network.predict(
        isReversed ? image.reversed() : image, at: isReversed ? BetweenMotion.unit - instant : instant,
        given: conditions, profile: profile)
    }
  }
}

/// Predictions for mirror images of a window.
private struct MirroredSum: Sendable {
  let parts: [Residual]
  let mirrors: ArraySlice<MirrorImage>
  /// By image: for each channel, the one that contains it there.
  let places: [[Int]]
  /// For interpolation: by image, the blend that its residual corrects, times 64 and packed like the residual.
  let blends: [[Int16]]

  init(_ predictions: [Prediction], _ mirrors: ArraySlice<MirrorImage>, scale: Int) {
    parts = predictions.map(\.residual)
    self.mirrors = mirrors
    places = mirrors.map { $0.channels(scale: scale) }
    blends = predictions.compactMap { $0.alignment?.packedBlend }
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
      if !blends.isEmpty { addBlends(row: y, to: &sums) }
      for i in sums.indices { to[i] = Int16(clamping: sums[i] >> shift) }
      to += sums.count
    }
  }
}

extension MirroredSum {
  /// Adds the blends of the images less as many times that of the window itself.
  private func addBlends(row y: Int, to sums: inout [Int32]) {
    let (width, height, channels) = (parts[0].gridWidth, parts[0].gridHeight, parts[0].channels)
    for (index, mirror) in mirrors.enumerated().dropFirst() {
      let row = (mirror.flipsRows ? height - 1 - y : y) * width
      for x in 0..<width {
        let from = (row &+ (mirror.flipsColumns ? width &- 1 &- x : x)) &* channels
        let (own, to) = ((y &* width &+ x) &* channels, x &* channels)
        for c in 0..<channels {
          sums[to &+ c] &+= Int32(blends[index][from &+ places[index][c]]) &- Int32(blends[0][own &+ c])
        }
      }
    }
  }
}

extension FrameAlignment {
  /// 64 x the blend of the warped frames, packed like a residual.
  fileprivate var packedBlend: [Int16] {
    let count = Architecture.frameChannels * warped[0].gridWidth * warped[0].gridHeight
    let parts = warped.map { frame in
      [Int32](unsafeUninitializedCapacity: count) { values, filled in
        frame.pack(
          into: values.baseAddress!, pixelStride: Architecture.frameChannels,
          rowStride: Architecture.frameChannels * frame.gridWidth
        ) { Int32($0) }
        filled = count
      }
    }
    let instant = Int32(motion.instant)
    return (0..<count).map {
      Int16(truncatingIfNeeded: InterpolationPacker.blend(parts[0][$0], parts[1][$0], instant: instant))
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
