// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import EnhancementPipeline
import Testing
import VideoIO

@Suite struct FrameConversionTests {
  @Test(arguments: FrameEnlargerTests.formats, FrameEnlargerTests.Fill.allCases)
  func agreesWithTheDefinition(format name: String, fill: FrameEnlargerTests.Fill) throws {
    let format = try #require(PixelFormat(name: name))
    var random = SystemRandomNumberGenerator()
    for (width, height) in FrameEnlargerTests.sizes {
      let source = try FrameEnlargerTests.frame(
        width: width, height: height, format: format, fill: fill, using: &random)
      let planar = PlanarFrame(source)
      #expect(planar.width == (width + 1) / 2 * 2 && planar.height == (height + 1) / 2 * 2)
      let luma = Array(UnsafeBufferPointer(start: planar.luma, count: planar.width * planar.height))
      #expect(
        luma == Self.expected(source, 0, width: planar.width, height: planar.height, columns: 1, rows: 1))
      for (index, plane) in planar.chroma.enumerated() {
        let values = Array(UnsafeBufferPointer(start: plane, count: planar.gridWidth * planar.gridHeight))
        let expected =
          format.isGray
          ? [UInt8](repeating: 128, count: values.count)
          : Self.expected(
            source, index + 1, width: planar.gridWidth, height: planar.gridHeight,
            columns: 2 >> format.log2ChromaWidth, rows: 2 >> format.log2ChromaHeight)
        #expect(values == expected, "\(name) \(width)x\(height), plane \(index + 1)")
      }
    }
  }

  /// Returns the means of `columns` x `rows` samples in 8 bits, with edges repeated.
  static func expected(
    _ source: VideoFrame, _ plane: Int, width: Int, height: Int, columns: Int, rows: Int
  ) -> [UInt8] {
    let values = samples(source, plane)
    let (planeWidth, planeHeight) = (source.planeWidth(plane), source.planeHeight(plane))
    let unit = 1 << (source.format.bitDepth - 8)
    return (0..<height).flatMap { y in
      (0..<width).map { x in
        var sum = 0
        for j in 0..<rows {
          for i in 0..<columns {
            sum += Int(
              values[min(y * rows + j, planeHeight - 1) * planeWidth + min(x * columns + i, planeWidth - 1)])
          }
        }
        let parts = columns * rows * unit
        return UInt8(min((2 * sum + parts) / (2 * parts), 255))
      }
    }
  }
}
