// SPDX-License-Identifier: Apache-2.0
import EnhancementModel
import Tensors
import Testing

@Suite struct BitPackingTests {
  @Test(arguments: 2...8)
  func everyValueRoundTrips(_ bits: Int) {
    let half = 1 << (bits - 1)
    let all = (-half..<half).map { Int8($0) }
    #expect(BitPacking.unpack(BitPacking.pack(all, bits: bits), count: all.count, bits: bits) == all)
  }

  @Test(arguments: 2...8)
  func randomValuesOfAnyCountRoundTrip(_ bits: Int) {
    var random = SplitMix64(seed: UInt64(bits))
    let half = 1 << (bits - 1)
    for count in [0, 1, 2, 3, 5, 7, 8, 9, 63, 64, 65, 1000] {
      let values = (0..<count).map { _ in Int8(random.index(2 * half) - half) }
      let packed = BitPacking.pack(values, bits: bits)
      #expect(packed.count == BitPacking.byteCount(count, bits: bits))
      #expect(BitPacking.unpack(packed, count: count, bits: bits) == values, "\(count) values")
    }
  }

  @Test func lowestBitsComeFirst() {
    // 1, -1, 2, -4 in three bits: 001, 111, 010, 100, from right to left: 1000_1011_1001 -> 0xb9, 0x08.
    #expect(BitPacking.pack([1, -1, 2, -4], bits: 3) == [0xb9, 0x08])
    #expect(BitPacking.pack([1, -2, -1, 0], bits: 2) == [0b00_11_10_01])
    #expect(BitPacking.pack([-8, 7, -1], bits: 4) == [0x78, 0x0f])
    #expect(BitPacking.pack([-128, 127], bits: 8) == [0x80, 0x7f])
  }

  @Test(arguments: [(8, 3, 3), (7, 3, 3), (0, 3, 0), (5, 4, 3), (4, 2, 1), (8, 8, 8), (9, 6, 7)])
  func bytesHaveNoGaps(_ count: Int, _ bits: Int, _ bytes: Int) {
    #expect(BitPacking.byteCount(count, bits: bits) == bytes)
  }
}
