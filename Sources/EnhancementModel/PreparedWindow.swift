// SPDX-License-Identifier: Apache-2.0
internal import Kernels
internal import LineEngine
package import Tensors

/// Properties of a window besides its frames.
package struct WindowConditions: Sendable, Hashable {
  /// Standard deviation of the noise in 8-bit levels; nil estimates it from the frames. Only used by networks that remove noise.
  package var noiseLevel: Float?
  /// What denoising multiplies the noise level by, 0 ... `mostStrength`.
  package var strength: Float
  /// Mean quantizer of the source in units of `QuantizerMap`, which replaces those of frames that have any.
  ///
  /// Quantizers alternate with the types of frames, and a network that follows them makes still parts of the picture pulse
  /// (docs/lab/real-footage.md).
  package var quantizer: UInt8?

  /// Sharpness of the source (`Sharpness`); nil if unknown.
  package var sharpness: Float?

  /// The highest strength.
  package static let mostStrength: Float = 2

  /// Creates conditions; unknown by default.
  package init(
    noiseLevel: Float? = nil, strength: Float = 1, quantizer: UInt8? = nil, sharpness: Float? = nil
  ) {
    self.noiseLevel = noiseLevel
    self.strength = strength
    self.quantizer = quantizer
    self.sharpness = sharpness
  }
}

/// A window with its motion, which together determine the input codes. Created by `WindowPacker.prepare`.
package struct PreparedWindow {
  /// Packs rows of the grid (starting at a multiple of 4) into one destination per slot; called by several threads at once.
  typealias Fill = (Range<Int>, UnsafeBufferPointer<WindowPacker.Destination>) -> Void

  /// Its frames.
  package let frames: [PlanarFrame]
  /// `NoiseLevel.code` of the network's noise level input; nil for networks without that input.
  package let noiseCode: UInt8?
  /// The two frames of an interpolation window, aligned to the instant.
  package let alignment: FrameAlignment?
  /// See `Fill`.
  let fill: Fill

  private let architecture: Architecture
  private let threads: Int

  init(
    frames: [PlanarFrame], architecture: Architecture, threads: Int, noiseCode: UInt8?,
    alignment: FrameAlignment?, fill: @escaping Fill
  ) {
    self.frames = frames
    self.architecture = architecture
    self.threads = threads
    self.noiseCode = noiseCode
    self.alignment = alignment
    self.fill = fill
  }

  /// Packs the whole window into one destination per slot, each with room for `Architecture.channels(ofSlot:)` codes per point.
  package func pack(into destinations: [WindowPacker.Destination]) {
    destinations.withUnsafeBufferPointer { destinations in
      nonisolated(unsafe) let (fill, targets) = (fill, destinations)  // Each band writes its own rows.
      Parallel.bands(rows: frames[0].gridHeight, multiple: 4, threads: threads) { rows, _ in
        fill(rows, targets)
      }
    }
  }

  /// The window as arrays of codes, one per slot: `[gridHeight, gridWidth, channels(ofSlot:)]`.
  package func codes() -> [[UInt8]] {
    let points = frames[0].gridWidth * frames[0].gridHeight
    let sizes = frames.indices.map { points * architecture.channels(ofSlot: $0) }
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: sizes.reduce(0, +))
    defer { memory.deallocate() }
    let origins = sizes.indices.map { memory + sizes[..<$0].reduce(0, +) }
    pack(
      into: origins.enumerated().map { slot, origin in
        let channels = architecture.channels(ofSlot: slot)
        return WindowPacker.Destination(
          origin: origin, pixelStride: channels, rowStride: channels * frames[0].gridWidth)
      })
    return zip(origins, sizes).map { Array(UnsafeBufferPointer(start: $0, count: $1)) }
  }

  /// The window as float tensors, (code - 128) / 255.
  package func floats() -> [FloatTensor] {
    codes().enumerated().map { slot, codes in
      WindowPacker.floats(codes, architecture.channels(ofSlot: slot), like: frames[0])
    }
  }
}
