// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import TestSupport
import Testing

/// Enlarges by repeating the samples of the centre frame, which commutes with mirroring.
private final class RepeatingNetwork: WindowNetwork {
  let architecture: Architecture
  /// The windows of all calls.
  private(set) var windows: [[PlanarFrame]] = []

  init(_ architecture: Architecture) { self.architecture = architecture }

  func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) -> Prediction {
    windows.append(window)
    let (frame, scale) = (window[window.count / 2], architecture.scale)
    let result = Residual(
      gridWidth: frame.gridWidth, gridHeight: frame.gridHeight, channels: architecture.outputChannels)
    var to = result.values
    for y in 0..<frame.gridHeight {
      for x in 0..<frame.gridWidth {
        for phase in 0..<4 * scale * scale {
          let (row, column) = (phase / (2 * scale) / scale, phase % (2 * scale) / scale)
          to[phase] = Int16(frame.luma[(2 * y + row) * frame.width + 2 * x + column])
        }
        to += 4 * scale * scale
        for plane in frame.chroma {
          for phase in 0..<scale * scale { to[phase] = Int16(plane[y * frame.gridWidth + x]) }
          to += scale * scale
        }
      }
    }
    return Prediction(residual: result)
  }
}

/// Self-ensembles by mirror images.
@Suite struct MirroredNetworkTests {
  private func window(_ count: Int) -> [PlanarFrame] {
    (0..<count).map { texturedFrame(width: 26, height: 18, seed: 5, x: Double($0) * 1.3) }
  }

  private func architecture(scale: Int) -> Architecture {
    var result = Architecture.small(window: 3, encoderChannels: 16, channels: 32, scale: scale)
    if scale == 1 { result.task = .denoising }
    return result
  }

  private func ensemble(_ count: Int, scale: Int, threads: Int = 1) throws -> MirroredNetwork {
    let model = QuantizedModel.random(architecture(scale: scale), bits: 4, zeroPoints: false, seed: 11)
    return MirroredNetwork(
      try (0..<count).map { _ in try IntegerNetwork(model, width: 26, height: 18, threads: threads) },
      threads: threads)
  }

  /// Samples return to their places.
  @Test(arguments: [1, 2, 4], [2, 4]) func imagesAreMirroredBack(scale: Int, count: Int) throws {
    let single = RepeatingNetwork(architecture(scale: scale))
    let mean = MirroredNetwork(
      (0..<count).map { _ in RepeatingNetwork(architecture(scale: scale)) }, threads: 2)
    let window = window(3)
    let (found, expected) = (try mean.predict(window).residual, try single.predict(window).residual)
    #expect(values(found) == values(expected))
  }

  /// Networks recognise frames that are in a window twice, or in the next window again.
  @Test func framesKeepTheirImages() throws {
    let networks = (0..<4).map { _ in RepeatingNetwork(architecture(scale: 2)) }
    let mean = MirroredNetwork(networks, threads: 1)
    let film = window(2)
    _ = try mean.predict([film[0], film[0], film[1]])
    _ = try mean.predict([film[0], film[1], film[1]])
    for network in networks {
      let (first, second) = (network.windows[0], network.windows[1])
      #expect(first[0] === first[1] && first[1] !== first[2])
      #expect(second[0] === first[0] && second[1] === first[2] && second[2] === first[2])
    }
  }

  /// An ensemble of all images treats each of them alike, which a single network does not.
  @Test(arguments: [1, 2, 4], [2, 4]) func imagesGiveImages(scale: Int, count: Int) throws {
    let window = window(3)
    let known = WindowConditions(noiseLevel: 6)
    func result(_ network: any WindowNetwork, _ mirror: MirrorImage) throws -> [Int16] {
      let residual = try network.predict(
        window.map { $0.mirrored(mirror) }, at: 8, given: known, profile: nil
      ).residual
      let places = mirror.channels(scale: scale)
      return (0..<residual.gridHeight).flatMap { y in
        (0..<residual.gridWidth).flatMap { x in
          let row = mirror.flipsRows ? residual.gridHeight - 1 - y : y
          let column = mirror.flipsColumns ? residual.gridWidth - 1 - x : x
          let point = residual.values + (row * residual.gridWidth + column) * residual.channels
          return places.map { point[$0] }
        }
      }
    }
    let network = try ensemble(count, scale: scale)
    let model = QuantizedModel.random(architecture(scale: scale), bits: 4, zeroPoints: false, seed: 11)
    let single = try IntegerNetwork(model, width: 26, height: 18, threads: 1)
    let expected = try result(network, MirrorImage.all[0])
    for mirror in MirrorImage.all[1..<count] {
      let (found, alone) = (try result(network, mirror), try result(single, mirror))
      #expect(found == expected)
      #expect(try alone != result(single, MirrorImage.all[0]))
    }
  }

  /// An interpolated frame is that of the window turned by 180 degrees and played backwards.
  @Test(arguments: [1, 100, 128]) func instantsGiveImages(instant: Int) throws {
    var architecture = Architecture.small(window: 2, encoderChannels: 16, channels: 32, scale: 1)
    architecture.task = .interpolation
    let model = QuantizedModel.random(architecture, bits: 4, zeroPoints: false, seed: 12)
    func single() throws -> IntegerNetwork { try IntegerNetwork(model, width: 26, height: 18, threads: 1) }
    /// 64 x the interpolated frame, packed.
    func picture(_ network: any WindowNetwork, _ window: [PlanarFrame], _ instant: Int) throws -> [Int] {
      let made = try network.predict(window, at: instant, given: WindowConditions(), profile: nil)
      let warped = try #require(made.alignment).warped.map { frame in
        [Int](unsafeUninitializedCapacity: 6 * 13 * 9) { values, count in
          frame.pack(into: values.baseAddress!, pixelStride: 6, rowStride: 6 * 13) { Int($0) }
          count = 6 * 13 * 9
        }
      }
      return values(made.residual).enumerated().map {
        Int($1) + InterpolationPacker.blend(warped[0][$0], warped[1][$0], instant: instant)
      }
    }
    func turned(_ picture: [Int]) -> [Int] {
      let places = MirrorImage.all[1].channels(scale: 1)
      return (0..<9 * 13).reversed().flatMap { point in places.map { picture[6 * point + $0] } }
    }
    let forward = window(2)
    let backward = forward.map { $0.mirrored(MirrorImage.all[1]) }.reversed() as [PlanarFrame]
    let ensemble = MirroredNetwork([try single(), try single()], threads: 2)
    let found = try picture(ensemble, forward, instant)
    #expect(try turned(picture(ensemble, backward, 256 - instant)) == found)
    #expect(try turned(picture(single(), backward, 256 - instant)) != picture(single(), forward, instant))
  }

  /// Rows delivered by several threads equal the whole residual, for one window after another.
  @Test(arguments: [1, 3]) func rowsEqualTheWhole(threads: Int) throws {
    let (whole, byRows) = (try ensemble(4, scale: 2), try ensemble(4, scale: 2, threads: threads))
    let film = window(5)
    for first in 0..<3 {
      let window = Array(film[first..<first + 3])
      let expected = try whole.predict(window).residual
      let found = Residual(
        gridWidth: expected.gridWidth, gridHeight: expected.gridHeight, channels: expected.channels)
      try byRows.predictRows(window, given: WindowConditions(), profile: nil) { rows in
        let row = rows.gridWidth * rows.channels
        (found.values + rows.rows.lowerBound * row).update(from: rows.values, count: rows.rows.count * row)
      }
      #expect(values(found) == values(expected))
    }
  }
}
