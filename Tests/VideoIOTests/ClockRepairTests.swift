// SPDX-License-Identifier: Apache-2.0
import Testing
import VideoIO

/// Tests clocks that restart, gaps, and implausible times, as in files from recorders, joiners and
/// broadcasts.
@Suite struct ClockRepairTests {
  /// A packet and its true time in the recording.
  private struct Sample {
    var packet: ClockRepair.Packet
    var truth: Int64
  }

  /// The result of repairing a file.
  private struct Repaired {
    var moved: [Int64] = []
    var looks = 0
    var warning: String?
  }

  private static let (video, audio, text) = (0, 1, 2)

  private func repair(_ samples: [Sample], closesGaps: Bool, announcedEnd: Int64? = nil) -> Repaired {
    var clock = ClockRepair(
      leading: [Self.video, Self.audio], closesGaps: closesGaps, announcedEnd: announcedEnd)
    var result = Repaired()
    for (index, sample) in samples.enumerated() {
      var answer = clock.answer(for: sample.packet)
      if case .needs(_, let count) = answer {
        result.looks += 1
        #expect(count <= clock.reach)
        let rest = samples[(index + 1)...]
        answer = clock.answer(
          for: sample.packet,
          following: .init(packets: rest.prefix(count).map(\.packet), reachesEnd: rest.count <= count))
      }
      guard case .offset(let offset) = answer else {
        Issue.record("no answer after a look ahead")
        continue
      }
      result.moved.append((sample.packet.time ?? 0).addingReportingOverflow(offset).partialValue)
    }
    result.warning = clock.warning
    return result
  }

  /// Video at 25 frames per second and sound at 48 kHz, interleaved.
  private func recording(from start: Int64, length: Int64, clock: Int64, lag: Int64 = 0) -> [Sample] {
    var samples: [(place: Int64, sample: Sample)] = []
    for (stream, step) in [(Self.video, Int64(40_000)), (Self.audio, 21_333)] {
      for time in stride(from: 0 as Int64, to: length, by: Int64.Stride(step)) {
        let packet = ClockRepair.Packet(stream: stream, time: time + clock, duration: step)
        samples.append(
          (time + (stream == Self.audio ? lag : 0), Sample(packet: packet, truth: start + time)))
      }
    }
    return samples.sorted { $0.place < $1.place }.map(\.sample)
  }

  /// Returns how far the streams have drifted apart, and the largest step backwards, in microseconds.
  private func judge(_ samples: [Sample], _ moved: [Int64]) -> (apart: Int64, back: Int64) {
    var errors: [Int: Int64] = [:]
    var last: [Int: Int64] = [:]
    var (apart, back) = (Int64(0), Int64(0))
    for (sample, time) in zip(samples, moved) {
      let stream = sample.packet.stream
      errors[stream] = time - sample.truth
      if let other = errors[1 - stream] { apart = max(apart, abs(time - sample.truth - other)) }
      back = max(back, (last[stream] ?? time) - time)
      last[stream] = time
    }
    return (apart, back)
  }

  @Test func steadyClockIsUnchanged() {
    let samples = recording(from: 0, length: 40_000_000, clock: 7)
    let result = repair(samples, closesGaps: true)
    #expect(result.moved == samples.map { $0.packet.time })
    // Only the beginnings of both streams are compared.
    #expect(result.looks == 2 && result.warning == nil)
  }

  /// A pause of the video while sound continues is a gap, not a clock change (HandBrake #192).
  @Test(arguments: [12_000_000, 40_000_000] as [Int64]) func gapInOneStreamIsKept(length: Int64) {
    let samples = recording(from: 0, length: 60_000_000, clock: 1_000_000).filter {
      $0.packet.stream == Self.audio || !(3_000_000..<(3_000_000 + length)).contains($0.truth)
    }
    for closesGaps in [true, false] {
      let result = repair(samples, closesGaps: closesGaps)
      #expect(result.moved == samples.map { $0.packet.time } && result.warning == nil)
    }
  }

  /// Also if sound pauses too, in containers whose clocks do not jump; in others, the gap is closed in both
  /// streams.
  @Test func gapInAllStreams() {
    let samples = recording(from: 0, length: 60_000_000, clock: 0).filter {
      !(5_000_000..<35_000_000).contains($0.truth)
    }
    #expect(repair(samples, closesGaps: false).moved == samples.map { $0.packet.time })
    let closed = repair(samples, closesGaps: true)
    #expect(closed.warning == "the clock of the file jumps; 1 jumps were closed")
    #expect(judge(samples, closed.moved).back <= 0)
    #expect((closed.moved.max() ?? 0) < 31_000_000)
  }

  /// Also of recordings that are so short that the clock is back at the jump within the packets looked at.
  @Test(arguments: [1_500_000, 2_000_000, 3_000_000, 5_000_000] as [Int64])
  func restartedClocksAreJoined(length: Int64) {
    let samples =
      recording(from: 0, length: length, clock: 0) + recording(from: length, length: length, clock: 0)
      + recording(from: 2 * length, length: length, clock: 0)
    for closesGaps in [true, false] {
      let result = repair(samples, closesGaps: closesGaps)
      let (apart, back) = judge(samples, result.moved)
      #expect(apart < 50_000 && back <= 0, "\(apart) \(back)")
      #expect(abs((result.moved.max() ?? 0) - 3 * length) < 100_000)
      #expect(result.warning == "the clock of the file jumps; 2 jumps were closed")
    }
  }

  @Test(arguments: [50, 51, 200, 1, 0]) func singleOutlierIsCorrected(place: Int) {
    var samples = recording(from: 0, length: 8_000_000, clock: 0)
    let index = samples.indices.filter { samples[$0].packet.stream == Self.video }[min(place, 198)]
    for error: Int64 in [1_000_000_000, -1_000_000_000, .max / 2] {
      samples[index].packet.time = samples[index].truth + error
      let result = repair(samples, closesGaps: false)
      for (sample, time) in zip(samples, result.moved) { #expect(abs(time - sample.truth) < 50_000) }
      #expect(result.warning == "1 packets had times that fit nowhere")
    }
  }

  @Test func lastTimeIsKeptIfItMatchesTheDuration() {
    var samples = recording(from: 0, length: 4_000_000, clock: 0).filter { $0.packet.stream == Self.video }
    samples[samples.count - 1].packet.time = 34_000_000
    #expect(repair(samples, closesGaps: false, announcedEnd: 34_040_000).moved.last == 34_000_000)
    #expect(repair(samples, closesGaps: false).moved.last == 3_960_000)
  }

  @Test func subtitlesFollow() {
    var samples = recording(from: 0, length: 5_000_000, clock: 100_000_000)
    let second = recording(from: 5_000_000, length: 5_000_000, clock: 3_000_000)
    samples += second.prefix(100)
    samples.append(
      Sample(packet: .init(stream: Self.text, time: 4_500_000, duration: 1_000_000), truth: 6_500_000))
    samples += second.dropFirst(100)
    let result = repair(samples, closesGaps: true)
    let index = samples.firstIndex { $0.packet.stream == Self.text } ?? 0
    #expect(abs(result.moved[index] - 106_500_000) < 50_000)
  }

  @Test func extremesDoNotTrap() {
    let times: [Int64] = [.min, .max, 0, .max, .min, 1 << 59, -(1 << 59), .max - 1, 5, 1 << 52, -(1 << 52)]
    for closesGaps in [true, false] {
      var clock = ClockRepair(leading: [0, 1], closesGaps: closesGaps, announcedEnd: .max)
      for round in 0..<2000 {
        let packets = (0..<8).map { index in
          ClockRepair.Packet(
            stream: (round + index) % 3, time: times[(round * 7 + index * 3) % times.count], duration: .max,
            reordering: index % 2 == 0 ? 72_000_000_000 : 0)
        }
        _ = clock.answer(for: packets[0])
        _ = clock.answer(
          for: packets[0], following: .init(packets: Array(packets[1...]), reachesEnd: round % 2 == 0))
      }
    }
  }
}
