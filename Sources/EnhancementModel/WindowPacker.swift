// SPDX-License-Identifier: Apache-2.0
public import Tensors

/// Turns windows of frames into what networks read: one tensor of 8-bit codes a slot, on the grid, 128 meaning zero.
///
/// The centre frame is packed as it is. With `WindowAlignment.block`, a neighbour's blocks are moved by whole-pixel vectors,
/// and the remainder of the motion reaches the network as modulated copies of the samples: without the sub-pixel phase,
/// further frames tell a network little (docs/networks.md). The trainer and all executors use this one definition.
///
/// Not thread-safe. Prepared planes are kept while their frames are in the windows that follow.
public final class WindowPacker {
  /// Whose windows.
  public let architecture: Architecture

  private let threads: Int
  private var planes: [ObjectIdentifier: (frame: PlanarFrame, plane: MotionPlane)] = [:]

  /// A packer that uses `threads` threads.
  public init(_ architecture: Architecture, threads: Int = 1) {
    self.architecture = architecture
    self.threads = threads
  }

  /// Where the codes of a slot go.
  public struct Destination {
    /// Grid point (0, 0).
    public var origin: UnsafeMutablePointer<UInt8>
    /// Bytes from point to point and from row to row.
    public var pixelStride, rowStride: Int

    /// A destination.
    public init(origin: UnsafeMutablePointer<UInt8>, pixelStride: Int, rowStride: Int) {
      self.origin = origin
      self.pixelStride = pixelStride
      self.rowStride = rowStride
    }
  }

  /// Packs a window of `architecture.window` frames of one size; one destination a slot, each with room for
  /// `architecture.channels(ofSlot:)` codes a point.
  public func pack(_ window: [PlanarFrame], into destinations: [Destination]) {
    let middle = window.count / 2
    let isAligned = architecture.alignment == .block && window.count > 1
    for (slot, to) in destinations.enumerated() where slot == middle || !isAligned {
      window[slot].pack(into: to.origin, pixelStride: to.pixelStride, rowStride: to.rowStride) { $0 }
    }
    guard isAligned else { return }
    let reference = prepared(window)
    // Both directions of time side by side; within one, the nearer frame's motion starts the search of the next.
    nonisolated(unsafe) let targets = destinations  // Sides write different slots.
    let sides: @Sendable (Int) -> Void = { [gridHeight = window[0].gridHeight] side in
      var prior: BlockMotion?
      for distance in 1...middle {
        let slot = side == 0 ? middle - distance : middle + distance
        let motion = BlockMotion(
          of: reference[middle], in: reference[slot], prior: prior, priorFactor: distance)
        motion.writeNeighbour(
          reference: reference[middle], neighbour: reference[slot], chroma: window[slot].chroma,
          into: targets[slot].origin, pixelStride: targets[slot].pixelStride, rowStride: targets[slot].rowStride,
          rows: 0..<gridHeight)
        if distance == 1 { prior = motion }
      }
    }
    Bands.run(rows: 2, threads: threads) { rows, _ in
      for side in rows { sides(side) }
    }
  }

  private func prepared(_ window: [PlanarFrame]) -> [MotionPlane] {
    let old = planes
    planes = [:]
    return window.map { frame in
      let key = ObjectIdentifier(frame)
      let entry =
        planes[key] ?? old[key]
        ?? (frame, MotionPlane(luma: frame.luma, width: frame.width, height: frame.height))
      planes[key] = entry
      return entry.1
    }
  }

  /// The window as float tensors, (code - 128) / 255.
  public func floatInputs(_ window: [PlanarFrame]) -> [FloatTensor] {
    let codes = codes(window)
    return codes.indices.map { Self.floats(codes[$0], architecture.channels(ofSlot: $0), like: window[0]) }
  }

  /// Codes of one slot as a float tensor.
  static func floats(_ codes: [UInt8], _ channels: Int, like frame: PlanarFrame) -> FloatTensor {
    let tensor = FloatTensor(height: frame.gridHeight, width: frame.gridWidth, channels: channels)
    codes.withUnsafeBufferPointer { codes in
      for i in 0..<codes.count { tensor.pointer[i] = PlanarFrame.centred(codes[i]) }
    }
    return tensor
  }

  /// The window as arrays of codes, one a slot.
  public func codes(_ window: [PlanarFrame]) -> [[UInt8]] {
    let points = window[0].gridWidth * window[0].gridHeight
    let sizes = window.indices.map { points * architecture.channels(ofSlot: $0) }
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: sizes.reduce(0, +))
    defer { memory.deallocate() }
    let origins = sizes.indices.map { memory + sizes[..<$0].reduce(0, +) }
    pack(
      window,
      into: origins.enumerated().map { slot, origin in
        let channels = architecture.channels(ofSlot: slot)
        return Destination(origin: origin, pixelStride: channels, rowStride: channels * window[0].gridWidth)
      })
    return zip(origins, sizes).map { Array(UnsafeBufferPointer(start: $0, count: $1)) }
  }
}
