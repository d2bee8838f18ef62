// SPDX-License-Identifier: Apache-2.0
import Foundation
import Tensors
import Testing

/// Tests all parsers with damaged input. Suites run one after the other, since the time per input is limited.
@Suite(.serialized) struct FuzzTests {}

/// Damages files like disks, networks and attackers do.
struct ByteMutator {
  var random: SplitMix64
  /// Other files, parts of which are inserted.
  let donors: [[UInt8]]

  init(seed: UInt64, donors: [[UInt8]] = []) {
    random = SplitMix64(seed: seed)
    self.donors = donors
  }

  /// Returns a damaged copy.
  /// - Parameter headerLength: bytes at the beginning that are damaged as often as all others together.
  mutating func mutate(_ original: [UInt8], headerLength: Int = 0) -> [UInt8] {
    var bytes = original
    let count = random.chance(0.5) ? 1 : 1 + random.index(12)
    for _ in 0..<count where !bytes.isEmpty { apply(to: &bytes, headerLength: headerLength) }
    return bytes
  }

  private mutating func apply(to bytes: inout [UInt8], headerLength: Int) {
    let reach = headerLength > 0 && random.chance(0.5) ? min(headerLength, bytes.count) : bytes.count
    let place = random.index(reach)
    let length = min(bytes.count - place, 1 + random.index(random.chance(0.8) ? 16 : 4096))
    switch random.index(9) {
    case 0, 1: bytes[place] ^= 1 << UInt8(random.index(8))
    case 2: bytes[place] = [0, 1, 0x7f, 0x80, 0xff, 0x2d, 0x39][random.index(7)]
    case 3: number(at: place, in: &bytes)
    case 4: bytes.removeSubrange(place..<(place + length))
    case 5: bytes.removeSubrange(place...)
    case 6: bytes.insert(contentsOf: bytes[place..<(place + length)], at: random.index(bytes.count))
    case 7:
      // Swap two parts.
      let other = random.index(bytes.count)
      for i in 0..<min(length, bytes.count - max(place, other)) { bytes.swapAt(place + i, other + i) }
    default:
      guard let donor = donors.isEmpty ? nil : donors[random.index(donors.count)], !donor.isEmpty else {
        return
      }
      let from = random.index(donor.count)
      let part = donor[from..<min(donor.count, from + length)]
      bytes.replaceSubrange(place..<(place + min(length, bytes.count - place)), with: part)
    }
  }

  /// An extreme number in place of a length, count or rate.
  private mutating func number(at place: Int, in bytes: inout [UInt8]) {
    let values: [UInt64] = [
      0, 1, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, .max, 1 << 40,
      UInt64(bytes.count), UInt64(bytes.count) + 1,
    ]
    let value = values[random.index(values.count)]
    let width = [2, 4, 8][random.index(3)]
    let isLittle = random.chance(0.5)
    for i in 0..<width where place + i < bytes.count {
      bytes[place + i] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (isLittle ? i : width - 1 - i)))
    }
  }
}

/// Returns the number of inputs from the environment, or that of the short form.
func fuzzCount(_ name: String, short: Int) -> Int {
  ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? short
}

/// The seed of the inputs, which other seeds change.
let fuzzSeed = ProcessInfo.processInfo.environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? 1

/// Keeps the current input in the folder FUZZ_DIR, to find one that crashes the process.
struct FuzzRecord {
  private let path: String?

  init(_ name: String) {
    path = ProcessInfo.processInfo.environment["FUZZ_DIR"].map { $0 + "/" + name }
  }

  func keep(_ bytes: [UInt8]) {
    guard let path else { return }
    // Replacing a file makes ext4 write it to the disk at once, which takes longer than the test.
    try? FileManager.default.removeItem(atPath: path)
    try? Data(bytes).write(to: URL(fileURLWithPath: path))
  }
}

/// Peak memory of this process in bytes; 0 if the system does not report it.
func peakMemory() -> Int {
  guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
    let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
    let number = line.split(separator: " ").dropFirst().first(where: { Int($0) != nil })
  else { return 0 }
  return (Int(number) ?? 0) * 1024
}
