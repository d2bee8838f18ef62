// SPDX-License-Identifier: Apache-2.0
import CQuantKernels

/// Pictures for motion search.
enum MotionPictures {
  /// A texture of blocks of three sizes; if `moved`, its left half is displaced and its right half has noise.
  static func texture(_ width: Int, _ height: Int, moved: Bool) -> [UInt8] {
    func hash(_ x: UInt32, _ y: UInt32) -> UInt32 {
      (((x &* 73_856_093) ^ (y &* 19_349_663)) &* 2_654_435_761) >> 24
    }
    return (0..<width * height).map { i in
      let isLeft = i % width < width / 2
      let x = UInt32(i % width + 1000 + (moved && isLeft ? 7 : 0))
      let y = UInt32(i / width + 1000 - (moved && isLeft ? 3 : 0))
      let value = (hash(x >> 1, y >> 1) & 63) + (hash(x >> 3, y >> 3) & 127) + (hash(x >> 4, y >> 4) & 31)
      return UInt8(value + (moved && !isLeft ? hash(x, y) & 7 : 0))
    }
  }

  /// Pairs of pictures with much, some and no common content, some with extremes only.
  static func pairs(_ width: Int, _ height: Int) -> [([UInt8], [UInt8])] {
    var random = SystemRandomNumberGenerator()
    func noise(_ levels: [UInt8]) -> [UInt8] {
      (0..<width * height).map { _ in levels.randomElement(using: &random)! }
    }
    let any = noise(Array(0...255))
    let flat = [UInt8](repeating: 77, count: width * height)
    return [
      (texture(width, height, moved: false), texture(width, height, moved: true)),
      (any, noise(Array(0...255))),
      (noise([0, 255]), noise([0, 255])), (any, any), (flat, noise([76, 77, 78])), (any, flat),
    ]
  }

  /// Returns the FNV-1a hash of an array's contents.
  static func digest<Element>(_ values: [Element]) -> UInt64 {
    values.withUnsafeBytes { $0.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 } }
  }
}

/// 64-byte aligned memory for pointers in C structures.
final class AlignedMemory {
  let raw: UnsafeMutableRawPointer

  init(bytes: Int) { raw = .allocate(byteCount: bytes, alignment: 64) }

  deinit { raw.deallocate() }
}
