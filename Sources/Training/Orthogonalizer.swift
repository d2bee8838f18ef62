// SPDX-License-Identifier: Apache-2.0
import Tensors

/// Replaces a matrix by one with the same singular vectors whose singular values are near 1, by the iteration of Newton and
/// Schulz (Muon; Jordan et al., 2024).
///
/// Gradients of convolutions have a few large singular values, so steps along them leave the other directions of the weights
/// almost where they are. Orthogonal steps advance in all directions alike.
final class Orthogonalizer: @unchecked Sendable {
  // Unchecked: an optimizer updates from one thread at a time.

  /// Coefficients of the iteration X <- aX + (bXX' + c(XX')²)X. It does not converge to 1, but brings all singular values
  /// except tiny ones to 0.7 to 1.2 within a few iterations, which is as good.
  private static let (a, b, c): (Float, Float, Float) = (3.4445, -4.7750, 2.0315)
  private static let iterations = 5

  /// Memory for two matrices and two squares of the largest size.
  private var scratch = UnsafeMutableBufferPointer<Float>.allocate(capacity: 0)

  deinit { scratch.deallocate() }

  /// Overwrites `elements`, `rows * columns` of them; zeros stay zeros.
  func apply(_ elements: UnsafeMutableBufferPointer<Float>, rows: Int, columns: Int) {
    // XX' is smallest if the rows are the shorter side.
    let isTall = rows > columns
    let (short, long) = isTall ? (columns, rows) : (rows, columns)
    var (current, next, square, polynomial) = matrices(short: short, long: long)
    func place(_ index: Int) -> Int { isTall ? index % columns * rows + index / columns : index }
    let norm = elements.reduce(0) { $0 + $1 * $1 }.squareRoot()
    guard norm > 0 else { return }
    for index in elements.indices { current.elements[place(index)] = elements[index] / norm }
    for _ in 0..<Self.iterations {
      square.setProduct(of: current, with: current, isTransposed: true)
      polynomial.copy(square)
      polynomial.setProduct(of: square, with: square, scale: Self.c, keep: Self.b)
      next.copy(current)
      next.setProduct(of: polynomial, with: current, keep: Self.a)
      swap(&current, &next)
    }
    for index in elements.indices { elements[index] = current.elements[place(index)] }
  }

  private func matrices(short: Int, long: Int) -> (Matrix, Matrix, Matrix, Matrix) {
    let (size, square) = (short * long, short * short)
    if scratch.count < 2 * (size + square) {
      scratch.deallocate()
      scratch = .allocate(capacity: 2 * (size + square))
      scratch.initialize(repeating: 0)
    }
    let start = scratch.baseAddress!
    return (
      Matrix(rows: short, columns: long, start), Matrix(rows: short, columns: long, start + size),
      Matrix(rows: short, columns: short, start + 2 * size),
      Matrix(rows: short, columns: short, start + 2 * size + square)
    )
  }
}
