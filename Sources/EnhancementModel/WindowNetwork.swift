// SPDX-License-Identifier: Apache-2.0
public import Tensors

/// What a network says about a window: residuals to the resampled centre frame, in 1/64 of an 8-bit level, NHWC on the
/// grid. Channels: (2 scale)² luma phases row by row, then scale² phases of U, then of V.
public final class Residual: @unchecked Sendable {
  // Unchecked: written by its maker before it is shared, then only read.

  /// Extents of the grid, and channels of each point.
  public let gridWidth, gridHeight, channels: Int
  /// `gridHeight * gridWidth * channels` values.
  public let values: UnsafeMutablePointer<Int16>

  private let storage: FloatTensor

  /// Uninitialised residuals.
  public init(gridWidth: Int, gridHeight: Int, channels: Int) {
    self.gridWidth = gridWidth
    self.gridHeight = gridHeight
    self.channels = channels
    storage = FloatTensor(height: 1, width: (gridWidth * gridHeight * channels + 1) / 2, channels: 1)
    values = UnsafeMutableRawPointer(storage.pointer).assumingMemoryBound(to: Int16.self)
  }

  /// The first `count` channels of each point.
  func first(_ count: Int) -> Residual {
    let result = Residual(gridWidth: gridWidth, gridHeight: gridHeight, channels: count)
    for point in 0..<gridWidth * gridHeight {
      for c in 0..<count { result.values[point &* count &+ c] = values[point &* channels &+ c] }
    }
    return result
  }
}

/// Some rows of a residual, where they were made.
public struct ResidualRows: @unchecked Sendable {
  // Unchecked: only read.

  /// Which rows of the grid.
  public let rows: Range<Int>
  /// Extents of the whole grid, and channels of each point.
  public let gridWidth, gridHeight, channels: Int
  /// Values from one point to the next; `gridWidth` points are a row.
  public let stride: Int
  /// The values of the first of the rows.
  public let values: UnsafePointer<Int16>

  /// Rows.
  public init(
    rows: Range<Int>, gridWidth: Int, gridHeight: Int, channels: Int, stride: Int,
    values: UnsafePointer<Int16>
  ) {
    self.rows = rows
    self.gridWidth = gridWidth
    self.gridHeight = gridHeight
    self.channels = channels
    self.stride = stride
    self.values = values
  }
}

extension Residual {
  /// All rows, valid as long as this is.
  public var rows: ResidualRows {
    ResidualRows(
      rows: 0..<gridHeight, gridWidth: gridWidth, gridHeight: gridHeight, channels: channels,
      stride: channels,
      values: UnsafePointer(values))
  }
}

/// A network ready to run on windows of frames of one size, in whatever arithmetic.
///
/// Not thread-safe: one call at a time. It may keep what it computed for a frame while the same object is in the windows
/// that follow.
public protocol WindowNetwork: AnyObject {
  /// What it is.
  var architecture: Architecture { get }
  /// Level of the noise in 8-bit levels for networks that remove it; nil (the start) lets every window tell its own.
  /// Others ignore it.
  var noiseLevel: Float? { get set }
  /// The instant between the two frames of a window that networks for interpolation make, of `FrameMotion.unit`; half-way
  /// at the start. Others ignore it.
  var instant: Int { get set }
  /// The motion found in the last window, for networks for interpolation.
  var motion: FrameMotion? { get }
  /// The frames of the last window warped to the instant, for networks for interpolation; valid until the next call.
  var warped: [PlanarFrame] { get }
  /// Where the time of its parts is added up; nil (the start) for nowhere.
  var profile: WorkProfile? { get set }

  /// Residuals for the centre frame of `window`.
  /// - Parameter window: `architecture.window` frames in order of time, all of the size the network was made for.
  func residual(window: [PlanarFrame]) throws -> Residual

  /// The same a few rows at a time, where that saves memory.
  /// - Parameter take: uses rows at once; called by any thread, by several at a time, with disjoint rows.
  func residual(window: [PlanarFrame], take: (ResidualRows) -> Void) throws
}

extension WindowNetwork {
  /// All rows at once, for networks that make them so.
  public func residual(window: [PlanarFrame], take: (ResidualRows) -> Void) throws {
    let whole = try residual(window: window)
    profile.measure("enlarge") { take(whole.rows) }
    withExtendedLifetime(whole) {}
  }

  /// Nothing, for networks that have no use for it.
  public var noiseLevel: Float? {
    get { nil }
    set {}
  }

  /// Half-way, for networks that have no use for it.
  public var instant: Int {
    get { FrameMotion.unit / 2 }
    set {}
  }

  /// None, for networks that have no use for it.
  public var motion: FrameMotion? { nil }

  /// None, for networks that have no use for it.
  public var warped: [PlanarFrame] { [] }

  /// None, for networks whose parts are not told apart.
  public var profile: WorkProfile? {
    get { nil }
    set {}
  }
}

/// A network in floating point (`--bits 32`).
public final class FloatNetwork: WindowNetwork {
  /// What it is.
  public let architecture: Architecture

  /// See `WindowNetwork`.
  public var noiseLevel: Float? {
    get { packer.noiseLevel }
    set { packer.noiseLevel = newValue }
  }
  /// See `WindowNetwork`.
  public var instant: Int {
    get { packer.instant }
    set { packer.instant = newValue }
  }
  /// See `WindowNetwork`.
  public var motion: FrameMotion? { packer.motion }
  /// See `WindowNetwork`.
  public var warped: [PlanarFrame] { packer.warped }
  /// See `WindowNetwork`.
  public var profile: WorkProfile?

  private let weights: NetworkWeights
  private let executor: FloatExecutor
  private let packer: WindowPacker
  private let threads: Int

  /// Prepares a network for frames of `width` x `height` (even) on `threads` threads.
  public init(
    _ weights: NetworkWeights, width: Int, height: Int, threads: Int, precision: FloatPrecision = .float32
  ) throws {
    architecture = weights.architecture
    self.weights = weights
    self.threads = threads
    packer = WindowPacker(weights.architecture, threads: threads)
    setConvolutionThreads(threads)
    executor = try FloatExecutor(
      graph: architecture.graph, batch: 1, height: height / 2, width: width / 2, precision: precision,
      training: false)
    for index in architecture.graph.layers.indices {
      try weights.weights[index].withUnsafeBufferPointer { values in
        try weights.biases[index].withUnsafeBufferPointer { biases in
          // The arrays live in `self.weights`, unmoved, as long as the executor.
          try executor.setWeights(layer: index, values.baseAddress!, bias: biases.baseAddress!)
        }
      }
    }
  }

  /// See `WindowNetwork`.
  public func residual(window: [PlanarFrame]) throws -> Residual {
    // The thread count belongs to the calling thread, and tasks move between threads.
    setConvolutionThreads(threads)
    let codes = profile.measure("motion, packing") { packer.codes(window) }
    let output = try profile.measure("network") {
      try executor.run { slot in
        WindowPacker.floats(codes[slot], architecture.channels(ofSlot: slot), like: window[0])
      }
    }
    let result = Residual(gridWidth: output.width, gridHeight: output.height, channels: output.channels)
    for i in 0..<output.count {
      let units = (output.pointer[i] * ResidualScale.unitsPerRange).rounded(.toNearestOrEven)
      // Clamping would make white spots of it.
      guard units.isFinite else { throw ModelError.notFinite }
      result.values[i] = Int16(max(-32768, min(32767, units)))
    }
    return architecture.isMasked ? BlendMask.apply(result, warped: packer.warped, threads: threads) : result
  }
}
