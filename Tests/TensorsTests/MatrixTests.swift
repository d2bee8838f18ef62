// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Tensors

@Suite struct MatrixTests {
  /// Products equal sums in double precision, for shapes on both sides of vectors and blocks.
  @Test(
    arguments: [(1, 1, 1), (3, 5, 7), (16, 24, 8), (64, 64, 576), (33, 17, 65)], [false, true])
  func productsAreSums(shape: (Int, Int, Int), isTransposed: Bool) {
    let (rows, columns, inner) = shape
    var random = SplitMix64(seed: UInt64(rows + 100 * columns + 10_000 * inner))
    func matrix(_ rows: Int, _ columns: Int) -> Matrix {
      let memory = UnsafeMutablePointer<Float>.allocate(capacity: rows * columns)
      for index in 0..<rows * columns { (memory + index).initialize(to: random.normal()) }
      return Matrix(rows: rows, columns: columns, memory)
    }
    let left = matrix(rows, inner)
    let right = isTransposed ? matrix(columns, inner) : matrix(inner, columns)
    let result = matrix(rows, columns)
    let before = matrix(rows, columns)
    defer { for one in [left, right, result, before] { one.elements.deallocate() } }
    before.copy(result)
    result.setProduct(of: left, with: right, isTransposed: isTransposed, scale: 2, keep: -0.5)
    for y in 0..<rows {
      for x in 0..<columns {
        var sum = 0.0
        for k in 0..<inner {
          let other = isTransposed ? right.elements[x * inner + k] : right.elements[k * columns + x]
          sum += Double(left.elements[y * inner + k]) * Double(other)
        }
        let wanted = 2 * sum - 0.5 * Double(before.elements[y * columns + x])
        let found = Double(result.elements[y * columns + x])
        #expect(abs(found - wanted) < 1e-4 * Double(inner).squareRoot() * 4, "\(y), \(x)")
      }
    }
  }
}
