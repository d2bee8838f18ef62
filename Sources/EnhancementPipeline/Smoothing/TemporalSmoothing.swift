// SPDX-License-Identifier: Apache-2.0
internal import EnhancementModel
internal import Kernels
internal import VideoIO

/// Averages each enhanced frame with the frames before and after it where the picture does not move.
///
/// A network predicts each frame from a window of its own, so its errors differ from frame to frame: still parts
/// of the picture flicker, and noise that is left changes. Their mean has less of both. The luma of two frames
/// is compared in squares of 12x12 samples around each block of 4x4; with a mean square difference of m, the
/// neighbour's weight relative to the frame's own is
///
///     1 / (1 + (m / change)^2)
///
/// so that motion and cuts leave a frame as it is. The weights are computed in single precision, operation by
/// operation, the means in integers: the result is the same on all machines and for any number of threads.
struct TemporalSmoothing: Sendable {
  /// The mean square difference of a neighbour of half weight, in squared 8-bit levels.
  typealias Change = Float

  /// Threads of the averaging.
  let threads: Int

  private let pool = FramePool()

  init(threads: Int) { self.threads = threads }

  /// Returns what counts as a change for the frames of a network, or nil if they are not smoothed: for denoising
  /// 2.25 times the level above 1 of the noise that was removed (`NoiseLevel`'s code), for networks for real footage
  /// 12 (docs/lab/real-footage.md, "Temporal smoothing").
  static func change(after architecture: Architecture, noiseCode: UInt8?) -> Change? {
    switch architecture.task {
    // A level of 1 is found in clean film as well.
    case .denoising: 2.25 * max(0, NoiseLevel.level(ofCode: noiseCode ?? 128) - 1)
    case .superResolution, .restoration: architecture.takesQuantizers ? 12 : nil
    case .interpolation: nil
    }
  }

  /// Returns the difference of two frames; nil if they have different sizes or formats.
  func difference(of first: VideoFrame, and second: VideoFrame) -> FrameDifference? {
    FrameDifference(of: first, and: second, threads: threads)
  }

  /// Returns `frame` averaged with its neighbours.
  /// - Parameters:
  ///   - neighbours: frames of the same shape, and their differences from `frame`: two at most.
  ///   - change: what counts as a change of the picture.
  /// - Throws: `VideoIOError.invalidPicture`.
  func smooth(
    _ frame: VideoFrame, by neighbours: [(frame: VideoFrame, difference: FrameDifference)], change: Change
  )
    throws(VideoIOError) -> VideoFrame
  {
    guard !neighbours.isEmpty, change > 0 else { return frame }
    let shares = NeighbourShares(neighbours.map(\.difference), change: change)
    var buffer = try FrameBuffer(
      width: frame.width, height: frame.height, format: frame.format, like: frame, pool: pool)
    buffer.withMutablePlanes { planes in
      nonisolated(unsafe) let planes = planes  // Bands write disjoint rows.
      Parallel.bands(rows: shares.rows, threads: threads) { band, _ in
        for index in planes.indices {
          let mean = PlaneMean(
            of: frame, and: neighbours.map(\.frame), plane: index, into: planes[index], shares: shares)
          mean.fill(blockRows: band)
        }
      }
    }
    return buffer.freeze(presentationTimestamp: frame.presentationTimestamp, duration: frame.duration)
  }
}
