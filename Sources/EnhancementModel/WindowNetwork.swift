// SPDX-License-Identifier: Apache-2.0
internal import Kernels

/// A network's output for a window: residuals to the resampled centre frame, in 1/64 of an 8-bit level, NHWC on the
/// grid. Channels: (2 scale)² luma phases row by row, then scale² phases of U, then of V.
package final class Residual: @unchecked Sendable {
  // Unchecked: written by its creator before it is shared, then only read.

  /// Extents of the grid, and channels per point.
  package let gridWidth, gridHeight, channels: Int
  /// `gridHeight * gridWidth * channels` values.
  package let values: UnsafeMutablePointer<Int16>

  private let memory: AlignedBuffer

  /// Creates uninitialised residuals.
  package init(gridWidth: Int, gridHeight: Int, channels: Int) {
    self.gridWidth = gridWidth
    self.gridHeight = gridHeight
    self.channels = channels
    memory = AlignedBuffer(Int16.self, count: gridWidth * gridHeight * channels)
    values = memory.values(Int16.self)
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

/// Some rows of a residual, in the memory in which they were computed.
package struct ResidualRows: @unchecked Sendable {
  // Unchecked: only read.

  /// The range of grid rows.
  package let rows: Range<Int>
  /// Extents of the whole grid, and channels per point.
  package let gridWidth, gridHeight, channels: Int
  /// Distance from one point to the next in values; a row has `gridWidth` points.
  package let stride: Int
  /// The values of the first row.
  package let values: UnsafePointer<Int16>

  /// Creates rows.
  package init(
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
  /// All rows, valid for the lifetime of this object.
  package var rows: ResidualRows {
    ResidualRows(
      rows: 0..<gridHeight, gridWidth: gridWidth, gridHeight: gridHeight, channels: channels,
      stride: channels,
      values: UnsafePointer(values))
  }
}

/// A network's result for a window.
package struct Prediction: Sendable {
  /// The correction to the resampled centre frame, or to the blend of the aligned frames.
  package let residual: Residual
  /// For interpolation, the frames of the window aligned to the instant.
  package let alignment: FrameAlignment?

  /// Creates a prediction.
  package init(residual: Residual, alignment: FrameAlignment? = nil) {
    self.residual = residual
    self.alignment = alignment
  }
}

/// A network that is ready to run on windows of frames of one size, in any arithmetic.
///
/// Not thread-safe: one call at a time. Implementations may cache data computed for a frame while the same object is in
/// subsequent windows.
package protocol WindowNetwork: AnyObject {
  /// The network's architecture.
  var architecture: Architecture { get }
  /// `NoiseLevel.code` that the network got for its last window; nil for networks without that input.
  var noiseCode: UInt8? { get }

  /// Runs the network.
  /// - Parameters:
  ///   - window: `architecture.window` frames in temporal order, all of the size the network was created for.
  ///   - instant: for interpolation, the instant between the two frames, 1 ..< `BetweenMotion.unit`. Others ignore it.
  ///   - conditions: known properties of the source.
  ///   - profile: accumulates the time of each part.
  func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) throws -> Prediction

  /// Computes the residual of the centre frame a few rows at a time, to save memory.
  /// - Parameter take: consumes rows before it returns; called by several threads concurrently, with disjoint rows.
  /// - Precondition: the network is not for interpolation, which does not correct a frame of its window.
  func predictRows(
    _ window: [PlanarFrame], given conditions: WindowConditions, profile: WorkProfile?,
    take: (ResidualRows) -> Void
  ) throws
}

extension WindowNetwork {
  /// No noise level.
  package var noiseCode: UInt8? { nil }

  /// Runs the network on a window with unknown conditions; for interpolation, half-way between its frames.
  package func predict(_ window: [PlanarFrame]) throws -> Prediction {
    try predict(window, at: BetweenMotion.unit / 2, given: WindowConditions(), profile: nil)
  }

  /// Delivers all rows at once, for networks that compute them that way.
  package func predictRows(
    _ window: [PlanarFrame], given conditions: WindowConditions, profile: WorkProfile?,
    take: (ResidualRows) -> Void
  ) throws {
    let whole = try predict(window, at: BetweenMotion.unit / 2, given: conditions, profile: profile).residual
    profile.measure("enlarge") { take(whole.rows) }
    withExtendedLifetime(whole) {}
  }
}
