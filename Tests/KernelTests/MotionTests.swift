// SPDX-License-Identifier: Apache-2.0
import CQuantKernels
import Testing

@Suite struct MotionTests {
  private struct Planes {
    let width, height: Int
    let luma: [UInt8]
    let memory: AlignedMemory
    var plane: ve_motion_plane

    init(_ luma: [UInt8], _ width: Int, _ height: Int) {
      (self.luma, self.width, self.height) = (luma, width, height)
      memory = AlignedMemory(bytes: ve_motion_plane_bytes(Int32(width), Int32(height)))
      plane = ve_motion_plane_prepare(luma, Int32(width), Int32(height), memory.raw)
    }
  }

  /// Returns the bytes of the vectors, since C structures are not Equatable.
  private func search(_ a: Planes, _ b: Planes, prior: [ve_motion_vector]?, _ isa: ve_isa)
    -> [ve_motion_vector]
  {
    let count = Int(ve_motion_blocks(Int32(a.width)) * ve_motion_blocks(Int32(a.height)))
    var result = [ve_motion_vector](repeating: ve_motion_vector(), count: count)
    var (reference, neighbour) = (a.plane, b.plane)
    if let prior {
      ve_motion_search(&reference, &neighbour, prior, 2, &result, isa)
    } else {
      ve_motion_search(&reference, &neighbour, nil, 1, &result, isa)
    }
    return result
  }

  private func neighbour(
    _ a: Planes, _ b: Planes, _ vectors: [ve_motion_vector], pixelStride: Int, rows: Range<Int>, _ isa: ve_isa
  ) -> [UInt8] {
    let (columns, height) = (a.width / 2, a.height / 2)
    var result = [UInt8](repeating: 0xA5, count: columns * height * pixelStride)
    let chroma = Array(b.luma.prefix(columns * height))
    var (reference, other) = (a.plane, b.plane)
    chroma.withUnsafeBufferPointer { chroma in
      [chroma.baseAddress, chroma.baseAddress].withUnsafeBufferPointer { planes in
        ve_motion_neighbour(
          &reference, &other, planes.baseAddress, vectors, &result, pixelStride, pixelStride * columns,
          Int32(rows.lowerBound), Int32(rows.upperBound), isa)
      }
    }
    return result
  }

  private static let sizes = [(2, 2), (4, 2), (10, 6), (18, 34), (22, 8), (64, 64), (130, 98), (8, 120)]

  @Test(arguments: sizes) func vectorsAreEqualOnEveryInstructionSet(_ width: Int, _ height: Int) {
    for (first, second) in MotionPictures.pairs(width, height) {
      let (a, b) = (Planes(first, width, height), Planes(second, width, height))
      let expected = search(a, b, prior: nil, VE_ISA_SCALAR)
      let further = search(b, a, prior: expected, VE_ISA_SCALAR)
      for isa in supportedIsas {
        let found = search(a, b, prior: nil, isa)
        #expect(MotionPictures.digest(found) == MotionPictures.digest(expected), "\(name(isa))")
        let next = search(b, a, prior: expected, isa)
        #expect(MotionPictures.digest(next) == MotionPictures.digest(further), "\(name(isa)) with a prior")
      }
    }
  }

  @Test(arguments: sizes) func packingIsEqualOnEveryInstructionSet(_ width: Int, _ height: Int) {
    for (first, second) in MotionPictures.pairs(width, height) {
      let (a, b) = (Planes(first, width, height), Planes(second, width, height))
      var vectors = search(a, b, prior: nil, VE_ISA_SCALAR)
      // Remainders and errors of all sizes, regardless of the search.
      for i in vectors.indices {
        vectors[i].rx = Int8(i * 5 % 17 - 8)
        vectors[i].ry = Int8(i * 7 % 17 - 8)
        vectors[i].error = UInt16(truncatingIfNeeded: i * 977)
      }
      for (pixelStride, rows) in [(38, 0..<height / 2), (40, height / 6..<height / 2)] {
        let expected = neighbour(a, b, vectors, pixelStride: pixelStride, rows: rows, VE_ISA_SCALAR)
        for isa in supportedIsas {
          let packed = neighbour(a, b, vectors, pixelStride: pixelStride, rows: rows, isa)
          #expect(packed == expected, "\(name(isa)) \(pixelStride)")
        }
      }
    }
  }

  /// Networks are trained with these vectors: kernels may become faster, but results must not change.
  @Test func vectorsStayTheSame() {
    let (width, height) = (200, 120)
    let a = Planes(MotionPictures.texture(width, height, moved: false), width, height)
    let b = Planes(MotionPictures.texture(width, height, moved: true), width, height)
    for isa in supportedIsas {
      #expect(MotionPictures.digest(search(a, b, prior: nil, isa)) == 0xec4c_d013_6230_e9bd, "\(name(isa))")
    }
  }

  /// The largest products of gradients and differences, which sums must hold.
  @Test func extremesDoNotOverflow() {
    let (width, height) = (64, 48)
    let stripes = (0..<width * height).map { UInt8($0 % 8 < 4 ? 0 : 255) }
    let (a, b) = (Planes(stripes, width, height), Planes(stripes.map { 255 - $0 }, width, height))
    let expected = search(a, b, prior: nil, VE_ISA_SCALAR)
    for isa in supportedIsas {
      #expect(MotionPictures.digest(search(a, b, prior: nil, isa)) == MotionPictures.digest(expected))
    }
    // The stripes have moved by half their period, possibly plus whole periods.
    let middle = expected[3 * 8 + 4]
    #expect(abs(Int(middle.dx)) % 8 == 4 && middle.dy == 0 && middle.error == 0, "\(middle)")
  }
}
