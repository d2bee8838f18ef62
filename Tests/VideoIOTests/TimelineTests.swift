// SPDX-License-Identifier: Apache-2.0
import Testing
import VideoIO

/// Properties of the repair of clocks, over 10,000 generated files of either kind.
@Suite struct TimelineTests {
  /// The result of repairing a file.
  private struct Repaired: Equatable {
    /// The times after the repair; nil for packets without a time.
    var moved: [Int64?] = []
    /// How often packets were read ahead, and their total number.
    var looks = 0
    var packetsAhead = 0
    var warning: String?
  }

  /// Seeds, in groups that are tested side by side.
  static let groups = stride(from: UInt64(0), to: 10_000, by: 1000).map { $0..<($0 + 1000) }

  /// Repairs a file whose times are all later by `shift`, as `FrameSource` does.
  private func repair(_ timeline: GeneratedTimeline, shift: Int64 = 0) -> Repaired {
    var clock = ClockRepair(leading: timeline.leading, closesGaps: timeline.closesGaps)
    var result = Repaired()
    let packets = timeline.samples.map { sample in
      var packet = sample.packet
      packet.time = packet.time.map { $0.addingReportingOverflow(shift).partialValue }
      return packet
    }
    for (index, packet) in packets.enumerated() {
      var answer = clock.answer(for: packet)
      if case .needs(let own, let count) = answer {
        var (next, found) = (index + 1, 0)
        while next < packets.count, next - index <= count, found < own {
          if packets[next].stream == packet.stream { found += 1 }
          next += 1
        }
        result.looks += 1
        result.packetsAhead += next - index - 1
        answer = clock.answer(
          for: packet,
          following: .init(
            packets: Array(packets[(index + 1)..<next]), reachesEnd: next == packets.count))
      }
      guard case .offset(let offset) = answer else {
        Issue.record("no answer after a look ahead")
        continue
      }
      result.moved.append(packet.time.map { $0.addingReportingOverflow(offset).partialValue })
    }
    result.warning = clock.warning
    return result
  }

  /// How far a repaired file is from the recording, in microseconds.
  private struct Distance {
    /// Between streams, within a part of the recording; `subtitles` between subtitles and any other stream.
    var apart: Int64 = 0
    var subtitles: Int64 = 0
    /// The largest step backwards of a stream whose packets are in order.
    var back: Int64 = 0
    /// The difference in length, counting repaired times as well.
    var stretch: Int64 = 0
  }

  private func distance(_ timeline: GeneratedTimeline, _ moved: [Int64?]) -> Distance {
    var result = Distance()
    var last: [Int: (part: Int, error: Int64, time: Int64)] = [:]
    var (first, end) = ((Int64.max, Int64.max), (Int64.min, Int64.min))
    for (sample, time) in zip(timeline.samples, moved) {
      guard let time, let truth = sample.truth else { continue }
      first.0 = min(first.0, time)
      end.0 = max(end.0, time)
      guard sample.isIntact else { continue }
      first.1 = min(first.1, truth)
      end.1 = max(end.1, truth)
      let stream = sample.packet.stream
      let error = time - truth
      for (other, state) in last where other != stream && state.part == sample.part {
        if timeline.following.contains(stream) {
          result.subtitles = max(result.subtitles, abs(error - state.error))
        } else {
          result.apart = max(result.apart, abs(error - state.error))
        }
      }
      guard timeline.leading.contains(stream) else { continue }
      if sample.packet.reordering == 0, let before = last[stream] {
        result.back = max(result.back, before.time - time)
      }
      last[stream] = (sample.part, error, time)
    }
    result.stretch = abs(end.0 - first.0 - (end.1 - first.1))
    return result
  }

  /// Audio, video and subtitles stay in sync, no stream goes back, nothing is stretched or compressed, correct times are not
  /// changed, and packets are read ahead only at faults.
  @Test(arguments: groups) func faultsAreRepaired(seeds: Range<UInt64>) {
    var untouched = 0
    for seed in seeds {
      let timeline = GeneratedTimeline(judgeable: seed)
      let repaired = repair(timeline)
      let found = distance(timeline, repaired.moved)
      // Streams of a part stay in sync; where parts meet, they may be off by the difference of their ends.
      #expect(found.apart <= 200_000, "seed \(seed)")
      #expect(found.subtitles <= 200_000, "seed \(seed)")
      #expect(found.back <= 100_000, "seed \(seed)")
      // A pause of at most two seconds at the end of a part cannot be detected afterwards.
      #expect(found.stretch <= 1_000_000 + 2_500_000 * Int64(timeline.jumps), "seed \(seed)")
      #expect(repaired.looks <= 2 * timeline.leading.count + timeline.faults, "seed \(seed)")
      if timeline.faults == 0 {
        untouched += 1
        #expect(repaired.moved == timeline.samples.map(\.packet.time), "seed \(seed)")
        #expect(repaired.warning == nil, "seed \(seed)")
      } else if timeline.jumps + timeline.outliers > 0 {
        #expect(repaired.warning != nil, "seed \(seed)")
      }
    }
    #expect(untouched >= 10)
  }

  /// The result depends on the file alone, and not on where its clock begins.
  @Test(arguments: groups) func resultIsTheSameEveryTime(seeds: Range<UInt64>) {
    for seed in seeds where seed % 10 == 0 {
      let timeline = GeneratedTimeline(judgeable: seed)
      let repaired = repair(timeline)
      #expect(repair(GeneratedTimeline(judgeable: seed)) == repaired, "seed \(seed)")
      let shift: Int64 = 7_000_003
      let hasAbsurd = timeline.samples.contains { $0.packet.time.map { $0 > 1 << 53 } ?? false }
      if !hasAbsurd {
        let shifted = repair(timeline, shift: shift)
        #expect(shifted.moved == repaired.moved.map { $0.map { $0 + shift } }, "seed \(seed)")
      }
    }
  }

  /// With any times: no trap, bounded work, the same result every time, and frames with increasing times, none of which are
  /// invented.
  @Test(arguments: groups) func anyTimesAreHandled(seeds: Range<UInt64>) {
    for seed in seeds {
      let timeline = GeneratedTimeline(wild: seed)
      let repaired = repair(timeline)
      #expect(repaired == repair(timeline), "seed \(seed)")
      let reach = ClockRepair(leading: timeline.leading, closesGaps: true).reach
      #expect(repaired.looks <= timeline.samples.count, "seed \(seed)")
      #expect(repaired.packetsAhead <= reach * repaired.looks, "seed \(seed)")
      #expect(repaired.moved.count == timeline.samples.count, "seed \(seed)")
      var times = TimestampRepair(usualDuration: 40_000)
      var last: Int64?
      for (sample, time) in zip(timeline.samples, repaired.moved) where sample.packet.stream == 0 {
        let next = times.next(time, duration: max(sample.packet.duration, 0))
        if let last, next <= last, last != .max { Issue.record("seed \(seed): \(next) after \(last)") }
        last = next
      }
    }
  }
}
