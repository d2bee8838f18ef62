// SPDX-License-Identifier: Apache-2.0

/// Upscales one plane and adds the residual. `Row`: see `RowDoubling`.
struct PlaneEnlargement<
  Sample: SampleInteger, Row: WideInteger
>: @unchecked Sendable {
  // Unchecked: each thread writes its own rows, and the source is only read.

  let source: SourcePlane<Sample>
  let target: UnsafeMutablePointer<Sample>
  /// Samples from one row of the target to the next, and columns of the target (at most scale times the
  /// source's).
  let targetStride, width: Int
  /// Bits per sample.
  let depth: Int
  let residual: ResidualPlane?

  /// Fills rows of the target.
  func fill(rows: Range<Int>, scale: Int) {
    let length = max(residual?.width ?? 0, width)
    withUnsafeTemporaryAllocation(of: Int16.self, capacity: length) { added in
      let added = added.baseAddress!
      added.update(repeating: 0, count: length)
      switch scale {
      case 1: copy(rows, added)
      case 2: double(rows, added)
      default: doubleTwice(rows, added)
      }
    }
  }

  private var doubling: RowDoubling<Sample, Row> {
    RowDoubling(
      source: source.samples, stride: source.stride, width: source.width, height: source.height,
      offset: Row.bitWidth == 16 ? 128 : 0)
  }

  private func copy(_ rows: Range<Int>, _ added: UnsafeMutablePointer<Int16>) {
    for y in rows {
      let from = source.row(y)
      finish(y, added) { Int32(truncatingIfNeeded: from[$0]) &<< 6 }
    }
  }

  private func double(_ rows: Range<Int>, _ added: UnsafeMutablePointer<Int16>) {
    let doubling = doubling
    let offset = doubling.offsetInSum + 128
    doubling.forEachRow(rows) { y, taps in
      finish(y, added) { (taps.sum($0, Int32.self) &+ offset) &>> 8 }
    }
  }

  /// Doubles twice for a scale of 4. The intermediate result has 1/64 precision, to lose little; values below
  /// zero are clipped in between, as in training.
  private func doubleTwice(_ rows: Range<Int>, _ added: UnsafeMutablePointer<Int16>) {
    let first = doubling
    let (middleWidth, middleHeight) = (2 * source.width, 2 * source.height)
    let middleRows = max(rows.lowerBound / 2 - 2, 0)..<min((rows.upperBound - 1) / 2 + 3, middleHeight)
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: middleRows.count * middleWidth) { middle in
      let middle = middle.baseAddress!
      let offset = first.offsetInSum + 128
      first.forEachRow(middleRows) { y, taps in
        let to = middle + (y - middleRows.lowerBound) * middleWidth
        for x in 0..<middleWidth { to[x] = max((taps.sum(x, Int32.self) &+ offset) &>> 8, 0) }
      }
      let second = RowDoubling<Int32, Int32>(
        source: middle - middleRows.lowerBound * middleWidth, stride: middleWidth, width: middleWidth,
        height: middleHeight, offset: 0)
      second.forEachRow(rows) { y, taps in
        // With more than 10 bits, samples in 64ths would overflow 32 bits.
        if depth <= 10 {
          finish(y, added) { (((taps.sum($0, Int32.self) &+ 128) &>> 8) &+ 32) &>> 6 }
        } else {
          finish(y, added) {
            Int32(truncatingIfNeeded: (((taps.sum($0, Int64.self) &+ 128) &>> 8) &+ 32) &>> 6)
          }
        }
      }
    }
  }

  /// Writes row `y`: `base` (64 x sample) plus the residual, rounded and clipped.
  @inline(__always)
  private func finish(_ y: Int, _ added: UnsafeMutablePointer<Int16>, _ base: (Int) -> Int32) {
    residual?.gather(y, into: added)
    let to = target + y * targetStride
    let shift = Int32(depth - 8)
    let most = Int32(truncatingIfNeeded: (1 << depth) - 1)
    for x in 0..<width {
      let value = (base(x) &+ (Int32(added[x]) &<< shift) &+ 32) &>> 6
      to[x] = Sample(truncatingIfNeeded: max(0, min(value, most)))
    }
  }
}
