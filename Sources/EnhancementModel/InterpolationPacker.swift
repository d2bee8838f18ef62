// SPDX-License-Identifier: Apache-2.0
package import Kernels
internal import LineEngine

/// Two frames aligned to an instant between them.
package struct FrameAlignment: Sendable {
  /// The motion between them, relative to the instant.
  package let motion: BetweenMotion
  /// Both frames warped to the instant.
  package let warped: [PlanarFrame]

  /// Creates an alignment.
  /// - Parameter warped: empty if the network's inputs differ from the pictures to blend.
  package init(motion: BetweenMotion, warped: [PlanarFrame]) {
    self.motion = motion
    self.warped = warped
  }
}

/// Turns the two frames around a new instant into the inputs of interpolation networks, and the blend that these correct.
///
/// Channels of a slot: 0-5 the packed frame warped to the instant, 6-11 the original frame, 12 the matching error at the
/// block's vector, 13 the warped luma minus the other slot's, 14 the weight of this frame in the blend, 15 the spread of the
/// surrounding vectors. Not thread-safe. Caches the search pyramids of the last window only.
package final class InterpolationPacker {
  /// Channels of a slot.
  package static let channels = 16

  private let threads: Int
  private var pyramids: [(frame: PlanarFrame, pyramid: MotionPyramid)] = []

  /// Creates a packer that uses `threads` threads.
  package init(threads: Int = 1) { self.threads = threads }

  /// Warps both frames of a window to an instant, 1 ..< `BetweenMotion.unit`.
  func align(_ window: [PlanarFrame], at instant: Int) -> FrameAlignment {
    // The second frame of a window is the first of the next.
    pyramids = window.map { frame in
      let known = pyramids.first { $0.frame === frame }
      return known
        ?? (frame, MotionPyramid(luma: frame.luma, width: frame.width, height: frame.height))
    }
    let motion = BetweenMotion(
      from: pyramids[0].pyramid, to: pyramids[1].pyramid, instant: instant, threads: threads)
    let (width, height) = (window[0].width, window[0].height)
    let targets = window.map { _ in PlanarFrame(width: width, height: height) }
    // Each band writes its own rows.
    Parallel.bands(rows: height, multiple: 16, threads: threads) { rows, _ in
      for (slot, frame) in window.enumerated() {
        let luma = WarpSource(
          frame.luma, stride: width, width: width, height: height, log2Width: 0, log2Height: 0)
        motion.warp(luma, isSecond: slot == 1, into: targets[slot].luma, stride: width, rows: rows)
        let half = rows.lowerBound / 2..<rows.upperBound / 2
        for plane in 0..<2 {
          let chroma = WarpSource(
            frame.chroma[plane], stride: width / 2, width: width / 2, height: height / 2, log2Width: 1,
            log2Height: 1)
          motion.warp(
            chroma, isSecond: slot == 1, into: targets[slot].chroma[plane], stride: width / 2, rows: half)
        }
      }
    }
    return FrameAlignment(motion: motion, warped: targets)
  }

  /// Returns a function that packs rows of an aligned window into destinations with room for `channels` codes per point.
  static func rows(of window: [PlanarFrame], _ alignment: FrameAlignment) -> PreparedWindow.Fill {
    let (motion, warped, instant) = (alignment.motion, alignment.warped, alignment.motion.instant)
    // Resolves errors of 0 ... 32 levels and differences of 0 ... 16 pixels.
    let blocks = (0..<motion.columns * ((warped[0].height + 7) / 8)).map { index in
      BlockCodes(
        error: UInt8(128 + min(127, motion.error(index) / 4)),
        disorder: UInt8(128 + min(127, motion.disorder(index) / 2)))
    }
    return { rows, targets in
      for slot in 0..<2 {
        let to = targets[slot]
        warped[slot].pack(
          into: to.origin, pixelStride: to.pixelStride, rowStride: to.rowStride, rows: rows
        ) { $0 }
        window[slot].pack(
          into: to.origin + Architecture.frameChannels, pixelStride: to.pixelStride,
          rowStride: to.rowStride, rows: rows
        ) { $0 }
        let share = slot == 0 ? BetweenMotion.unit - instant : instant
        describe(
          warped[slot], against: warped[1 - slot], share: UInt8(clamping: share), blocks, motion.columns, to,
          rows: rows)
      }
    }
  }

  /// The motion codes of a block.
  private struct BlockCodes {
    let error, disorder: UInt8
  }

  /// Channels 12 to 15.
  private static func describe(
    _ frame: PlanarFrame, against partner: PlanarFrame, share: UInt8, _ blocks: [BlockCodes], _ columns: Int,
    _ to: WindowPacker.Destination, rows: Range<Int>
  ) {
    let (own, other) = (frame.luma, partner.luma)
    blocks.withUnsafeBufferPointer { blocks in
      for y in rows {
        let row = 2 * y * frame.width
        for x in 0..<frame.gridWidth {
          let at = to.origin + (y &* to.rowStride &+ x &* to.pixelStride)
          let i = row &+ 2 &* x
          let j = i &+ frame.width
          let mine = Int32(own[i]) &+ Int32(own[i &+ 1]) &+ Int32(own[j]) &+ Int32(own[j &+ 1])
          let theirs = Int32(other[i]) &+ Int32(other[i &+ 1]) &+ Int32(other[j]) &+ Int32(other[j &+ 1])
          let block = blocks[(y / 4) &* columns &+ x / 4]
          at[12] = block.error
          at[13] = UInt8(truncatingIfNeeded: max(0, min(255, 128 &+ ((mine &- theirs &+ 2) >> 2))))
          at[14] = share
          at[15] = block.disorder
        }
      }
    }
  }

  /// 64 x the blend of two warped samples, which the networks correct.
  @inlinable
  package static func blend<Value: FixedWidthInteger>(_ first: Value, _ second: Value, instant: Value)
    -> Value
  {
    (first &* (256 &- instant) &+ second &* instant &+ 2) &>> 2
  }
}
