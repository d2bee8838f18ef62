// SPDX-License-Identifier: Apache-2.0
import CQuantKernels
import Testing

@Suite struct RequantizeTests {
  /// Compares every 16-bit value, with several steps, with the definition.
  @Test func equalsDefinition() {
    let channels = 24
    let width = 65536 / channels + 1
    let values = (0..<width * channels).map { Int16(truncatingIfNeeded: $0) }
    for isa in supportedIsas {
      for (multiplier, zeroPoint, levels) in [
        (1 as Float, 0 as Int32, 255 as Int32), (0.5, 3, 15), (0.0037, 128, 255), (-0.01, 31, 63),
        (1e6, 7, 7), (0.25, 1, 3),
      ] {
        let expected = values.map {
          let step = Double(Float($0) * multiplier).rounded(.toNearestOrEven)
          return UInt8(min(max(step + Double(zeroPoint), 0), Double(levels)))
        }
        var codes = [UInt8](repeating: 0, count: values.count)
        codes.withUnsafeMutableBufferPointer { buffer in
          var output = ve_codes_output(
            data: buffer.baseAddress, row_stride: buffer.count, wrap: ve_wrap(), multiplier: multiplier,
            zero_point: zeroPoint, levels: levels)
          ve_requantize(values, 0, Int32(width), Int32(channels), &output, 1, 0, 1, isa)
        }
        #expect(codes == expected, "\(name(isa)) \(multiplier) \(zeroPoint) \(levels)")
      }
    }
  }

  @Test func writesOnlyItsRowsAndPixels() {
    let (width, height, channels, padding) = (5, 4, 8, 3)
    let stride = width * channels + padding
    let stream = [Int16](repeating: 9, count: width * channels * height)
    for isa in supportedIsas {
      var first = [UInt8](repeating: 0xA5, count: stride * height)
      var second = first
      first.withUnsafeMutableBufferPointer { first in
        second.withUnsafeMutableBufferPointer { second in
          let outputs = [
            ve_codes_output(
              data: first.baseAddress, row_stride: stride, wrap: ve_wrap(), multiplier: 1, zero_point: 0,
              levels: 255),
            ve_codes_output(
              data: second.baseAddress, row_stride: stride, wrap: ve_wrap(), multiplier: 1, zero_point: 1,
              levels: 7),
          ]
          ve_requantize(
            stream, width * channels * 2, Int32(width), Int32(channels), outputs, 2, 1, 3, isa)
        }
      }
      for i in 0..<stride * height {
        let inside = (1..<3).contains(i / stride) && i % stride < width * channels
        #expect(first[i] == (inside ? 9 : 0xA5))
        #expect(second[i] == (inside ? 7 : 0xA5))
      }
    }
  }
}
