// SPDX-License-Identifier: Apache-2.0
import Foundation
import Tensors
import Testing

@testable import VideoIO

extension FuzzTests {
  /// Manifests of unfinished work are untrusted, since others may be able to write to the disk.
  @Suite struct ManifestFuzzTests {
    @Test func damagedManifestsAreReadOrRefused() {
      var manifest = SegmentManifest(
        segmentFrames: 240, encoderThreads: 2, identity: WorkIdentity(["source": "a", "encoder": "b"]))
      for index in 0..<4 {
        manifest.segments.append(
          .init(
            frames: index == 3 ? 17 : 240, bytes: 1000 + index, sha256: String(repeating: "a5", count: 32),
            origins: [index * 100]))
      }
      let base = manifest.json
      #expect(SegmentManifest(json: base) == manifest)
      var mutator = ByteMutator(
        seed: fuzzSeed,
        donors: ["-1", "1e308", "9223372036854775807", "null", "[[[[", "\\ud800"].map { Array($0.utf8) })
      let record = FuzzRecord("manifest.json")
      var (accepted, refused) = (0, 0)
      for _ in 0..<fuzzCount("FUZZ_MANIFESTS", short: 3_000) {
        let bytes = mutator.mutate(base)
        record.keep(bytes)
        guard let read = SegmentManifest(json: bytes) else {
          refused += 1
          continue
        }
        accepted += 1
        // Arithmetic on accepted values must not overflow.
        #expect(read.frameCount >= 0 && read.frameCount <= read.segments.count * read.segmentFrames)
        #expect(read.segments.allSatisfy { $0.bytes > 0 })
      }
      print("manifests: \(refused) refused, \(accepted) accepted")
      #expect(refused > 0 && accepted > 0)
    }
  }
}
