// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Incremental SHA-256.
///
/// The corresponding C functions are `av_sha_init`, `av_sha_update` and `av_sha_final`.
struct Digest: ~Copyable {
  private let context: OpaquePointer

  init() throws(VideoIOError) {
    guard let context = av_sha_alloc() else { throw .outOfMemory }
    av_sha_init(context, 256)
    self.context = context
  }

  deinit { av_free(UnsafeMutableRawPointer(context)) }

  func add(_ bytes: [UInt8]) { av_sha_update(context, bytes, bytes.count) }

  /// Finishes the digest and returns it in hexadecimal; no bytes can be added afterwards.
  var text: String {
    var result = [UInt8](repeating: 0, count: 32)
    av_sha_final(context, &result)
    let digits = Array("0123456789abcdef")
    return String(result.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }
}

/// SHA-256 of bytes at hand.
package enum ContentDigest {
  /// In hexadecimal digits; empty if memory is exhausted.
  package static func sha256(_ bytes: [UInt8]) -> String {
    guard let digest = try? Digest() else { return "" }
    digest.add(bytes)
    return digest.text
  }
}
