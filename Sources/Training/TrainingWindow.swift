// SPDX-License-Identifier: Apache-2.0
package import EnhancementModel

/// A teacher's output for a window.
package struct Teaching: Sendable {
  /// Residuals like `TrainingWindow.target`.
  package var output: [Int16]
  /// The input stream of the last layer, in units of the student's stream; empty if not requested.
  package var stream: [Int16]

  /// Creates a teaching.
  package init(output: [Int16], stream: [Int16]) {
    self.output = output
    self.stream = stream
  }
}

/// One training example on the grid: packed 8-bit frames of the window, and the target residual.
package struct TrainingWindow: Sendable {
  /// Extents of the grid.
  package var height, width: Int
  /// `height * width * channels` codes per slot.
  package var frames: [[UInt8]]
  /// `height * width * outputChannels` values in 1/64 of a level: residuals, and if the network has a mask, the second warped
  /// frame minus the first in the mask's channels.
  package var target: [Int16]
  /// Luma of the enlarged source, packed like that of `target` without the other channels, in 1/64 levels; empty for
  /// interpolation, and in the pool of a run without `ContrastLoss`.
  package var base: [Int16] = []
  /// The teachers' outputs, for distillation: computed once per window.
  package var teachings: [Teaching] = []

  /// `NoiseLevel.code` of the network's noise level input; nil for networks without that input.
  package var noiseCode: UInt8? {
    let middle = frames[frames.count / 2]
    let channels = Architecture.frameChannels + 1
    return frames.count % 2 == 1 && middle.count == height * width * channels ? middle[channels - 1] : nil
  }

  /// Packs low-resolution frames and the ground truth of the middle one.
  /// - Parameters:
  ///   - noiseLevel: the network's noise level input; nil estimates it from the frames.
  ///   - sharpness: of the source; nil if unknown.
  package init(
    frames low: [PlanarFrame], truth: PlanarFrame, architecture: Architecture, noiseLevel: Float? = nil,
    sharpness: Float? = nil
  ) {
    let centre = low[low.count / 2]
    height = centre.gridHeight
    width = centre.gridWidth
    let conditions = WindowConditions(noiseLevel: noiseLevel, sharpness: sharpness)
    frames = WindowPacker(architecture).prepare(low, given: conditions).codes()
    (target, base) = Self.residual(of: truth, over: centre, scale: architecture.scale)
  }

  /// Packs two frames for interpolation at `instant` (of `BetweenMotion.unit`) and the ground truth of that instant.
  /// - Parameter margin: pixels at each side (a multiple of 2) that are used for motion search only and cropped.
  package init(
    first: PlanarFrame, second: PlanarFrame, truth: PlanarFrame, instant: Int, architecture: Architecture,
    margin: Int = 0
  ) {
    let inset = margin / 2
    let (wholeWidth, channels) = (first.gridWidth, InterpolationPacker.channels)
    height = first.gridHeight - 2 * inset
    width = wholeWidth - 2 * inset
    let (rows, columns) = (height, width)
    /// The inner part of a packed frame.
    func inner<Element>(_ whole: [Element], _ channels: Int) -> [Element] {
      (0..<rows).flatMap { y -> ArraySlice<Element> in
        let begin: Int = ((y + inset) * wholeWidth + inset) * channels
        return whole[begin..<begin + columns * channels]
      }
    }
    let packed = WindowPacker(architecture).prepare([first, second], at: instant).codes()
    let slots = packed.map { inner($0, channels) }
    frames = slots
    let size = Architecture.frameChannels
    var wanted = [UInt8](repeating: 0, count: wholeWidth * truth.gridHeight * size)
    wanted.withUnsafeMutableBufferPointer {
      truth.pack(into: $0.baseAddress!, pixelStride: size, rowStride: size * wholeWidth) { $0 }
    }
    wanted = inner(wanted, size)
    let parts = architecture.outputChannels / size
    target = (0..<wanted.count / size * parts * size).map { index in
      let (point, channel) = (index / (parts * size), index % (parts * size))
      let at = point * channels + channel % size
      let (a, b) = (Int(slots[0][at]), Int(slots[1][at]))
      if channel >= size { return Int16((b - a) * 64) }
      let base = InterpolationPacker.blend(a, b, instant: instant)
      return Int16(clamping: Int(wanted[point * size + channel]) * 64 - base)
    }
  }

  /// Ground truth minus the bicubic enlargement, packed like a network's output, and luma of the enlargement.
  private static func residual(
    of truth: PlanarFrame, over low: PlanarFrame, scale: Int
  ) -> (residual: [Int16], luma: [Int16]) {
    let channels = 6 * scale * scale
    let lumaChannels = 4 * scale * scale
    var luma = [Int16](repeating: 0, count: low.gridWidth * low.gridHeight * lumaChannels)
    var result = [Int16](repeating: 0, count: low.gridWidth * low.gridHeight * channels)
    let planes: [(UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt8>, width: Int, height: Int)] = [
      (truth.luma, low.luma, low.width, low.height),
      (truth.chroma[0], low.chroma[0], low.width / 2, low.height / 2),
      (truth.chroma[1], low.chroma[1], low.width / 2, low.height / 2),
    ]
    for (index, plane) in planes.enumerated() {
      let base = Self.enlarged(plane.1, width: plane.width, height: plane.height, scale: scale)
      let (w, h) = (plane.width * scale, plane.height * scale)
      // Samples of this plane per grid point and direction.
      let phases = index == 0 ? 2 * scale : scale
      let first = index == 0 ? 0 : lumaChannels + (index - 1) * scale * scale
      for y in 0..<h {
        for x in 0..<w {
          let point = (y / phases) * low.gridWidth + x / phases
          let channel = first + (y % phases) * phases + x % phases
          let difference = Int32(plane.0[y * w + x]) * 64 - base[y * w + x]
          result[point * channels + channel] = Int16(clamping: difference)
          if index == 0 { luma[point * lumaChannels + channel] = Int16(clamping: base[y * w + x]) }
        }
      }
    }
    // The loops use the planes of both, and the extents of one of them.
    withExtendedLifetime((truth, low)) {}
    return (result, luma)
  }

  /// 64 x the bicubic enlargement by 1, 2 or 4 (twice by 2).
  static func enlarged(_ plane: UnsafePointer<UInt8>, width: Int, height: Int, scale: Int) -> [Int32] {
    if scale == 1 { return (0..<width * height).map { Int32(plane[$0]) * 64 } }
    var result = [Int32](repeating: 0, count: 4 * width * height)
    BicubicDoubling.double(plane, width: width, height: height, stride: width, into: &result)
    guard scale == 4 else { return result }
    // The second doubling starts from 1/64 levels, without intermediate rounding.
    let fine = result.map { UInt16(clamping: $0) }
    var twice = [Int32](repeating: 0, count: 16 * width * height)
    BicubicDoubling.double(fine, width: 2 * width, height: 2 * height, stride: 2 * width, into: &twice)
    return twice.map { ($0 + 32) >> 6 }
  }
}
