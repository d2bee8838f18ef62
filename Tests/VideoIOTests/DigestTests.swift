// SPDX-License-Identifier: Apache-2.0
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
