// SPDX-License-Identifier: Apache-2.0
import Foundation
import Tensors
import TestSupport
import Testing

@testable import VideoIO

extension FuzzTests {
  /// Plays a finished segment with changed contents and a matching hash in the manifest. Examining it, which passes over
  /// the packets, finds the same as playing it.
  @Suite struct SegmentFuzzTests {
    private static let timeBase = Rational(1, 1000)

    /// Creates a segment of twelve frames with all kinds of packets: without times, with side data, and
    /// empty.
    private static func base(_ path: String) throws -> [UInt8] {
      var random = SplitMix64(seed: 5)
      func noise(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(random.index(256)) } }
      var recorder = try SegmentRecorder.open(path: path, extradata: noise(40))
      for frame in 0..<12 {
        try recorder.add(FrameTime(presentation: Int64(frame * 40), duration: 40))
        for number in 0..<(frame % 3) {
          let encoded = EncodedPacket(
            streamIndex: 0, presentation: Int64(frame * 40),
            decoding: number == 0 ? .min : Int64(frame * 40 - 80),
            duration: 40, timeBase: timeBase, bytes: noise(number * 300), flags: 1,
            sideData: (0..<number).map { .init(type: UInt32($0), bytes: noise(16)) })
          let packet = try PacketOwner()
          try encoded.store(in: packet.raw)
          try recorder.add(packet.raw, timeBase: timeBase)
        }
      }
      _ = try recorder.finish(origins: [])
      return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// Plays a segment like the writer does; returns the number of frames.
    private static func play(_ path: String) throws -> Int {
      var segment = try SegmentReplay.open(path, timeBase: timeBase)
      var frames = 0
      while try segment.nextFrame() != nil {
        frames += 1
        while let kept = try segment.nextPacket(streamIndex: 0) {
          let packet = try PacketOwner()
          try kept.store(in: packet.raw)
        }
      }
      return frames
    }

    @Test func damagedSegmentsArePlayedOrRefused() throws {
      let bench = try Workbench()
      let path = bench.path("0.segment")
      let base = try Self.base(path)
      #expect(try Self.play(path) == 12)
      var mutator = ByteMutator(seed: fuzzSeed, donors: [base])
      let record = FuzzRecord("segment")
      var (played, refused) = (0, 0)
      let count = fuzzCount("FUZZ_SEGMENTS", short: 1_000)
      for index in 0..<count {
        let bytes = mutator.mutate(base, headerLength: 80)
        record.keep(bytes)
        try? FileManager.default.removeItem(atPath: path)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let found = try SegmentReplay.examine(path)
        #expect(found.sha256 == ContentDigest.sha256(bytes), "input \(index)")
        do {
          let frames = try Self.play(path)
          // No more frames than there is space for.
          #expect(frames * 17 <= bytes.count, "input \(index)")
          #expect(found.frames == frames, "input \(index)")
          played += 1
        } catch let error as VideoIOError {
          #expect(found.frames == nil, "input \(index)")
          guard case .segmentsDamaged = error else {
            Issue.record("input \(index): \(error)")
            continue
          }
          refused += 1
        }
      }
      print("\(count) segments: \(refused) refused, \(played) played, peak memory \(peakMemory() >> 20) MiB")
      #expect(played > 0 && refused > count / 10 && played + refused == count)
    }
  }
}
