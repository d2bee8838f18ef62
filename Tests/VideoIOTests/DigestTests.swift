// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import VideoIO

@Suite struct DigestTests {
  /// Examples of FIPS 180-2.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func equalsTheStandard(text: String, sha256: String) {
    #expect(ContentDigest.sha256(Array(text.utf8)) == sha256)
  }

  /// A sequence is its numbers and pictures, not the other files of its folder.
  @Test func fingerprintsOfSequences() throws {
    let bench = try Workbench()
    func write(_ name: String, _ text: String) throws {
      try Data(text.utf8).write(to: URL(fileURLWithPath: bench.path(name)))
    }
    for number in [8, 9, 10] { try write("\(number).png", "picture \(number)") }
    let pattern = bench.path("%d.png")
    let first = try SourceFingerprint(path: pattern)
    #expect(first.size == 28)
    try write("010.png", "other")
    try write("a11.png", "other")
    #expect(try SourceFingerprint(path: pattern) == first)
    try write("9.png", "picture 0")
    let changed = try SourceFingerprint(path: pattern)
    #expect(changed != first && changed.size == first.size)
    try write("11.png", "")
    #expect(try SourceFingerprint(path: pattern) != changed)
    #expect(throws: VideoIOError.self) { try SourceFingerprint(path: bench.path("b%d.png")) }
  }

  @Test func partsGiveTheSameAsTheWhole() throws {
    let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }
    let whole = ContentDigest.sha256(bytes)
    for length in [1, 63, 64, 65, 4096] {
      let digest = try Digest()
      for start in stride(from: 0, to: bytes.count, by: length) {
        digest.add(Array(bytes[start..<min(start + length, bytes.count)]))
      }
      #expect(digest.text == whole, "\(length)")
    }
  }
}
