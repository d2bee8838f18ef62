// SPDX-License-Identifier: Apache-2.0

/// The type of a plane's samples: `UInt8` or `UInt16`.
package typealias SampleInteger = FixedWidthInteger & UnsignedInteger & SendableMetatype
/// The type of sums of samples: `Int16`, `Int32` or `Int64`.
typealias WideInteger = FixedWidthInteger & SignedInteger & SendableMetatype

/// Bicubic doubling row by row: bit-exact to `BicubicDoubling`, in a form that compilers vectorize and that
/// works on any range of rows.
///
/// `Row` holds horizontally doubled samples times 128. With `offset` (128) subtracted, 8-bit samples fit into
/// 16 bits, which doubles the speed; deeper samples need 32 bits and no offset.
struct RowDoubling<Source: FixedWidthInteger, Row: WideInteger> {
  /// The first row of the plane, and samples from one row to the next.
  let source: UnsafePointer<Source>
  let stride: Int
  /// Extents of the plane.
  let width, height: Int
  /// Subtracted from every sample.
  let offset: Int32

  /// The four horizontally doubled rows that contribute to a row of the result, nearest first, with their
  /// weights.
  struct Taps {
    let c, b, d, a: UnsafePointer<Row>

    /// Returns 111 c + 29 b - 9 d - 3 a.
    @inline(__always)
    func sum<Wide: WideInteger>(_ x: Int, _: Wide.Type) -> Wide {
      111 &* Wide(truncatingIfNeeded: c[x]) &+ 29 &* Wide(truncatingIfNeeded: b[x])
        &- 9 &* Wide(truncatingIfNeeded: d[x]) &- 3 &* Wide(truncatingIfNeeded: a[x])
    }
  }

  /// The contribution of the offset to a `Taps.sum`.
  var offsetInSum: Int32 { offset << 14 }

  /// Calls `body` for each row in `rows` of the doubled plane.
  @inline(__always)
  func forEachRow(_ rows: Range<Int>, _ body: (Int, Taps) -> Void) {
    let length = 2 * width
    withUnsafeTemporaryAllocation(of: Row.self, capacity: 4 * length) { storage in
      let storage = storage.baseAddress!
      var held = SIMD4<Int>(repeating: -1)
      func row(_ y: Int) -> UnsafePointer<Row> {
        let y = min(max(y, 0), height - 1)
        // The four neighbouring rows in use never share a slot.
        let to = storage + (y & 3) * length
        if held[y & 3] != y {
          held[y & 3] = y
          double(source + y * stride, into: to)
        }
        return UnsafePointer(to)
      }
      for y in rows {
        let (center, toward) = (y >> 1, y & 1 == 0 ? -1 : 1)
        body(
          y,
          Taps(c: row(center), b: row(center + toward), d: row(center - toward), a: row(center + 2 * toward)))
      }
    }
  }

  /// Doubles a row horizontally.
  @inline(__always)
  private func double(_ from: UnsafePointer<Source>, into to: UnsafeMutablePointer<Row>) {
    // Intermediate sums may overflow and wrap around; the result fits again.
    let offset = Row(truncatingIfNeeded: offset)
    @inline(__always) func sample(_ x: Int) -> Row { Row(truncatingIfNeeded: from[x]) &- offset }
    @inline(__always) func put(_ x: Int, _ a: Row, _ b: Row, _ c: Row, _ d: Row, _ e: Row) {
      to[2 &* x] = 111 &* c &+ 29 &* b &- 9 &* d &- 3 &* a
      to[2 &* x &+ 1] = 111 &* c &+ 29 &* d &- 9 &* b &- 3 &* e
    }
    func putAtEdge(_ x: Int) {
      let last = width - 1
      put(
        x, sample(max(x - 2, 0)), sample(max(x - 1, 0)), sample(x), sample(min(x + 1, last)),
        sample(min(x + 2, last)))
    }
    for x in 0..<min(2, width) { putAtEdge(x) }
    if width > 4 {
      for x in 2..<width - 2 { put(x, sample(x - 2), sample(x - 1), sample(x), sample(x + 1), sample(x + 2)) }
    }
    for x in max(2, width - 2)..<max(2, width) { putAtEdge(x) }
  }
}
