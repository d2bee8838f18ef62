// SPDX-License-Identifier: Apache-2.0
internal import Kernels

/// What a network finds for a window: residuals to the resampled centre frame, in 1/64 of an 8-bit level, NHWC on the
/// grid. Channels: (2 scale)² luma phases row by row, then scale² phases of U, then of V.
public final class Residual: @unchecked Sendable {
  // Unchecked: written by its maker before it is shared, then only read.

  /// Extents of the grid, and channels of each point.
  public let gridWidth, gridHeight, channels: Int
  /// `gridHeight * gridWidth * channels` values.
  public let values: UnsafeMutablePointer<Int16>

  private let memory: AlignedBuffer

  /// Uninitialised residuals.
  public init(gridWidth: Int, gridHeight: Int, channels: Int) {
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

/// What a network makes of a window.
public struct Prediction: Sendable {
  /// What is added to the resampled centre frame, or to the blend of the aligned frames.
  public let residual: Residual
  /// For interpolation, the frames of the window brought to the instant.
  public let alignment: FrameAlignment?

  /// A prediction.
  public init(residual: Residual, alignment: FrameAlignment? = nil) {
    self.residual = residual
    self.alignment = alignment
  }
}

/// A network ready to run on windows of frames of one size, in whatever arithmetic.
///
/// Not thread-safe: one call at a time. It may keep what it computed for a frame while the same object is in the windows
/// that follow.
public protocol WindowNetwork: AnyObject {
  /// What it is.
  var architecture: Architecture { get }

  /// Runs the network.
  /// - Parameters:
  ///   - window: `architecture.window` frames in order of time, all of the size the network was made for.
  ///   - instant: for interpolation, the instant to make between the two frames, 1 ..< `FrameMotion.unit`. Others ignore it.
  ///   - conditions: what is known about the source beside its frames.
  ///   - profile: where the time of the parts is added up.
  func predict(
    _ window: [PlanarFrame], at instant: Int, given conditions: WindowConditions, profile: WorkProfile?
  ) throws -> Prediction

  /// The residual of the centre frame a few rows at a time, where that saves memory.
  /// - Parameter take: uses rows at once; called by any thread, by several at a time, with disjoint rows.
  /// - Precondition: the network is not for interpolation, which corrects no frame of its window.
  func predictRows(
    _ window: [PlanarFrame], given conditions: WindowConditions, profile: WorkProfile?,
    take: (ResidualRows) -> Void
  ) throws
}

extension WindowNetwork {
  /// Runs the network on a window of which nothing else is known; half-way between its frames for interpolation.
  public func predict(_ window: [PlanarFrame]) throws -> Prediction {
    try predict(window, at: FrameMotion.unit / 2, given: WindowConditions(), profile: nil)
  }

  /// All rows at once, for networks that make them so.
  public func predictRows(
    _ window: [PlanarFrame], given conditions: WindowConditions, profile: WorkProfile?,
    take: (ResidualRows) -> Void
  ) throws {
    let whole = try predict(window, at: FrameMotion.unit / 2, given: conditions, profile: profile).residual
    profile.measure("enlarge") { take(whole.rows) }
    withExtendedLifetime(whole) {}
  }
}
