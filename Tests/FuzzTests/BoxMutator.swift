// SPDX-License-Identifier: Apache-2.0
import Tensors

extension ByteMutator {
  /// Boxes of MP4 and QuickTime files that only contain boxes.
  private static let holders = ["moov", "trak", "edts", "mdia", "minf", "dinf", "stbl", "udta"]

  /// Returns a copy in which boxes with the same parent are swapped, duplicated, removed, or have an absurd
  /// size, which `mutate` rarely produces. A file without such boxes is unchanged.
  mutating func mutateBoxes(_ original: [UInt8]) -> [UInt8] {
    var bytes = original
    for _ in 0..<(1 + random.index(3)) {
      let families = Self.families(bytes, bytes.indices)
      guard !families.isEmpty else { return bytes }
      let boxes = families[random.index(families.count)]
      let box = boxes[random.index(boxes.count)]
      switch random.index(4) {
      case 0:
        let other = boxes[random.index(boxes.count)]
        let (first, second) = box.lowerBound < other.lowerBound ? (box, other) : (other, box)
        guard first != second else { continue }
        let between = bytes[first.upperBound..<second.lowerBound]
        bytes.replaceSubrange(
          first.lowerBound..<second.upperBound, with: bytes[second] + between + bytes[first])
      case 1: bytes.insert(contentsOf: bytes[box], at: boxes[random.index(boxes.count)].upperBound)
      case 2: bytes.removeSubrange(box)
      default:
        let sizes: [UInt32] = [
          0, 1, 7, 8, 0x7fff_ffff, 0xffff_ffff, UInt32(box.count) + 1, UInt32(box.count) - 1,
        ]
        let size = sizes[random.index(sizes.count)]
        for i in 0..<4 { bytes[box.lowerBound + i] = UInt8(truncatingIfNeeded: size >> UInt32(24 - 8 * i)) }
      }
    }
    return bytes
  }

  /// Returns the groups of boxes with the same parent.
  private static func families(_ bytes: [UInt8], _ range: Range<Int>) -> [[Range<Int>]] {
    var boxes: [Range<Int>] = []
    var result: [[Range<Int>]] = []
    var place = range.lowerBound
    while place + 8 <= range.upperBound {
      let size = bytes[place..<place + 4].reduce(0) { $0 << 8 | Int($1) }
      guard size >= 8, size <= range.upperBound - place else { break }
      boxes.append(place..<place + size)
      if holders.contains(String(decoding: bytes[place + 4..<place + 8], as: UTF8.self)) {
        result += families(bytes, place + 8..<place + size)
      }
      place += size
    }
    return boxes.isEmpty ? result : result + [boxes]
  }
}
