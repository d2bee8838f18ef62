// SPDX-License-Identifier: Apache-2.0
internal import CDNNL

/// A row-major matrix in memory that the caller owns.
package struct Matrix {
  /// Extents.
  package let rows, columns: Int
  /// `rows * columns` elements.
  package let elements: UnsafeMutablePointer<Float>

  /// Wraps memory.
  package init(rows: Int, columns: Int, _ elements: UnsafeMutablePointer<Float>) {
    (self.rows, self.columns, self.elements) = (rows, columns, elements)
  }

  /// Overwrites the elements with those of a matrix of equal extents.
  package func copy(_ other: Matrix) {
    precondition(other.rows == rows && other.columns == columns)
    elements.update(from: other.elements, count: rows * columns)
  }

  /// Sets this matrix to `scale * left * right + keep * self`, with the transpose of `right` if `isTransposed`. It must not
  /// share memory with either operand.
  package func setProduct(
    of left: Matrix, with right: Matrix, isTransposed: Bool = false, scale: Float = 1, keep: Float = 0
  ) {
    let (inner, outer) = isTransposed ? (right.columns, right.rows) : (right.rows, right.columns)
    precondition(left.rows == rows && left.columns == inner && outer == columns)
    let status = ve_dnn_multiply(
      Int64(rows), Int64(columns), Int64(inner), scale, left.elements, right.elements, isTransposed, keep,
      elements)
    precondition(status == 0, "oneDNN multiplies matrices of any size")
  }
}
