// SPDX-License-Identifier: Apache-2.0
import CQuantKernels
import Testing

@Suite struct InterpolationKernelTests {
  private struct Pyramid {
    let width, height: Int
    let memory: AlignedMemory
    var plane: ve_interp_plane
    var columns: Int { Int(ve_interp_blocks(Int32(width))) }
    var rows: Int { Int(ve_interp_blocks(Int32(height))) }

    init(_ luma: [UInt8], _ width: Int, _ height: Int) {
      (self.width, self.height) = (width, height)
      memory = AlignedMemory(bytes: ve_interp_plane_bytes(Int32(width), Int32(height)))
      plane = ve_interp_plane_prepare(luma, Int32(width), Int32(height), memory.raw)
    }
  }

  /// Searches, and refines in two bands.
  private func motion(_ a: Pyramid, _ b: Pyramid, time: Int32, _ isa: ve_isa) -> [ve_interp_vector] {
    var result = [ve_interp_vector](repeating: ve_interp_vector(), count: a.columns * a.rows)
    var (first, second) = (a.plane, b.plane)
    #expect(ve_interp_search(&first, &second, time, &result, isa) == 0)
    ve_interp_refine(&first, &second, time, &result, Int32(a.rows / 2), Int32(a.rows), isa)
    ve_interp_refine(&first, &second, time, &result, 0, Int32(a.rows / 2), isa)
    ve_interp_disorder(&result, Int32(a.columns), Int32(a.rows))
    return result
  }

  private static let sizes = [(2, 2), (8, 8), (10, 34), (66, 18), (130, 98), (24, 120)]

  @Test(arguments: sizes) func vectorsAreEqualOnEveryInstructionSet(_ width: Int, _ height: Int) {
    for (first, second) in MotionPictures.pairs(width, height) {
      let (a, b) = (Pyramid(first, width, height), Pyramid(second, width, height))
      for time: Int32 in [128, 1, 200] {
        let expected = MotionPictures.digest(motion(a, b, time: time, VE_ISA_SCALAR))
        for isa in supportedIsas {
          #expect(MotionPictures.digest(motion(a, b, time: time, isa)) == expected, "\(name(isa)) at \(time)")
        }
      }
    }
  }

  /// Networks are trained with these vectors and warps: kernels may become faster, but results must not
  /// change.
  @Test func vectorsAndWarpsStayTheSame() {
    let (width, height) = (200, 120)
    let first = MotionPictures.texture(width, height, moved: false)
    let a = Pyramid(first, width, height)
    let b = Pyramid(MotionPictures.texture(width, height, moved: true), width, height)
    for isa in supportedIsas {
      let vectors = motion(a, b, time: 90, isa)
      #expect(MotionPictures.digest(vectors) == 0xa626_a601_9224_0dc0, "\(name(isa))")
      let warped = warp(
        first, Plane(width: width, height: height, log2X: 0, log2Y: 0, depth: 8), vectors, width, height,
        time: 90,
        isSecond: false, isa)
      #expect(MotionPictures.digest(warped) == 0xb955_5b60_8cd0_bc3a, "\(name(isa))")
    }
  }

  private struct Plane {
    let width, height, log2X, log2Y, depth: Int
  }

  private func warp<Sample: FixedWidthInteger>(
    _ samples: [Sample], _ plane: Plane, _ vectors: [ve_interp_vector], _ width: Int, _ height: Int,
    time: Int32,
    isSecond: Bool, _ isa: ve_isa
  ) -> [Sample] {
    var result = [Sample](repeating: 9, count: samples.count)
    samples.withUnsafeBytes { samples in
      var source = ve_interp_source(
        samples: samples.baseAddress, stride: plane.width, width: Int32(plane.width),
        height: Int32(plane.height),
        log2_x: Int32(plane.log2X), log2_y: Int32(plane.log2Y), depth: Int32(plane.depth),
        is_wide: Sample.bitWidth == 16 ? 1 : 0)
      // Bands that begin and end inside cells.
      for rows in [(0, plane.height / 3), (plane.height / 3, plane.height)] {
        ve_interp_warp(
          &source, Int32(width), Int32(height), vectors, time, isSecond ? 1 : 0, &result, plane.width,
          Int32(rows.0), Int32(rows.1), isa)
      }
    }
    return result
  }

  @Test(arguments: [8, 10, 15, 16]) func warpsAreEqualOnEveryInstructionSet(depth: Int) {
    for (width, height) in [(8, 8), (10, 34), (66, 18), (90, 50)] {
      let count = Int(ve_interp_blocks(Int32(width)) * ve_interp_blocks(Int32(height)))
      // Every fraction, positions far outside the picture, and neighbours that agree.
      let vectors = (0..<count).map { (i: Int) -> ve_interp_vector in
        let isStill = i % 3 == 0
        let (x, y) = (i * 37 % 401 - 200, i * 53 % 301 - 150)
        // Errors with and without a share of the unmoved frame.
        return ve_interp_vector(
          x: isStill ? 0 : Int16(x), y: isStill ? 0 : Int16(y), error: UInt16(i * 29 % 180), disorder: 0)
      }
      for (log2X, log2Y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let plane = Plane(
          width: (width + log2X) >> log2X, height: (height + log2Y) >> log2Y, log2X: log2X, log2Y: log2Y,
          depth: depth)
        let most = UInt16(truncatingIfNeeded: 1 << depth &- 1)
        // Extremes give the largest overshoot.
        let samples = (0..<plane.width * plane.height).map { _ in
          Bool.random() ? UInt16.random(in: 0...most) : most
        }
        for isSecond in [false, true] {
          func warped(_ isa: ve_isa) -> [UInt16] {
            depth == 8
              ? warp(
                samples.map { UInt8($0) }, plane, vectors, width, height, time: 77, isSecond: isSecond, isa
              ).map { UInt16($0) }
              : warp(samples, plane, vectors, width, height, time: 77, isSecond: isSecond, isa)
          }
          let expected = warped(VE_ISA_SCALAR)
          #expect(expected.allSatisfy { $0 <= most })
          for isa in supportedIsas { #expect(warped(isa) == expected, "\(name(isa)) \(log2X) \(log2Y)") }
        }
      }
    }
  }

  /// The weights of a block's nine vectors add up to one, at every position and depth.
  @Test(arguments: [8, 10, 15, 16]) func anyVectorsLeaveFlatPicturesUnchanged(depth: Int) {
    let (width, height) = (64, 48)
    let vectors = (0..<48).map { (i: Int) in
      ve_interp_vector(
        x: Int16(i * 37 % 201 - 100), y: Int16(i * 53 % 141 - 70), error: UInt16(i * 29 % 180), disorder: 0)
    }
    for (log2X, log2Y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
      let plane = Plane(
        width: width >> log2X, height: height >> log2Y, log2X: log2X, log2Y: log2Y, depth: depth)
      let most = UInt16(truncatingIfNeeded: 1 << depth &- 1)
      let flat = [UInt16](repeating: most, count: plane.width * plane.height)
      for isa in supportedIsas {
        let isUnchanged =
          depth == 8
          ? warp(flat.map { UInt8($0) }, plane, vectors, width, height, time: 77, isSecond: true, isa)
            .allSatisfy { $0 == 255 }
          : warp(flat, plane, vectors, width, height, time: 77, isSecond: true, isa) == flat
        #expect(isUnchanged, "\(name(isa)) \(log2X) \(log2Y)")
      }
    }
  }

  /// On a slope, the mean change shows how far samples were moved: blocks without a match keep 10/64 of the unmoved frame,
  /// unless all vectors around them agree.
  @Test func blocksWithoutAMatchKeepAShareOfTheUnmovedFrame() {
    let (width, height) = (96, 64)
    let slope = (0..<width * height).map { UInt8(2 * ($0 % width)) }
    let plane = Plane(width: width, height: height, log2X: 0, log2Y: 0, depth: 8)
    func meanChange(error: UInt16, isUniform: Bool) -> Double {
      let vectors = (0..<96).map { i in
        ve_interp_vector(x: isUniform || i % 2 == 0 ? 256 : 320, y: 0, error: error, disorder: 0)
      }
      let result = warp(
        slope, plane, vectors, width, height, time: 128, isSecond: false, VE_ISA_SCALAR)
      // Away from the edges.
      let changes = (16..<48).flatMap { y in
        (32..<64).map { x in Int(slope[y * width + x]) - Int(result[y * width + x]) }
      }
      return Double(changes.reduce(0, +)) / Double(changes.count)
    }
    let matched = meanChange(error: 0, isUniform: false)
    #expect(abs(matched - 18) < 0.6)
    #expect(abs(meanChange(error: 31, isUniform: false) - matched) < 0.01)
    #expect(abs(meanChange(error: 1000, isUniform: false) - matched * 54 / 64) < 0.6)
    #expect(abs(meanChange(error: 1000, isUniform: true) - 16) < 0.01)
  }
}
