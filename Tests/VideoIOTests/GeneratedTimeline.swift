// SPDX-License-Identifier: Apache-2.0
import VideoIO

/// A generated recording with faults: the packets of a file, and where each belongs in the recording.
///
/// Two kinds. Timelines of `init(judgeable:)` have faults whose repair is unambiguous: parts with clocks of their own that are
/// joined, wrap or jump, gaps, outliers, packets without a time. Those of `init(wild:)` have any times at all.
struct GeneratedTimeline {
  struct Sample {
    var packet: ClockRepair.Packet
    /// The packet's time in the recording, in microseconds; nil where there is none.
    var truth: Int64?
    /// Whether its time is intact, so that it must be where it belongs.
    var isIntact = true
    /// The number of jumps of the clock before it.
    var part = 0
  }

  /// The packets in file order.
  private(set) var samples: [Sample] = []
  /// The video and audio streams.
  private(set) var leading: Set<Int> = []
  /// Subtitles.
  private(set) var following: Set<Int> = []
  private(set) var closesGaps = false
  /// The number of places at which the repairer may have to look ahead.
  private(set) var faults = 0
  /// How often the clock restarts, wraps or jumps.
  private(set) var jumps = 0
  /// The number of single wrong times.
  private(set) var outliers = 0

  /// The properties of a stream that stay the same throughout the file.
  private struct Stream {
    let index: Int
    let isVideo: Bool
    let step: Int64
    /// How far its times are behind its position in the file.
    let lag: Int64
    /// When it begins and ends, in the first and the last part.
    let delay, end: Int64
    /// The longest deviation from a constant rate.
    let jitter: Int64
    /// Whether packets carry their durations.
    let hasDurations: Bool
    /// Frames from one reference frame to the next where packets have presentation times only; 1 without reordering.
    let group: Int
    let missing: Double
  }

  private struct Part {
    let length: Int64
    /// Clock at its start.
    let clock: Int64
    /// Whether its packets mix with those of the part before, like in broadcasts.
    let isLive: Bool
  }

  // MARK: - With truth

  init(judgeable seed: UInt64) {
    var random = SplitMix(state: seed)
    closesGaps = Bool.random(using: &random)
    let count = [1, 1, 2, 2, 3, 4].randomElement(using: &random)!
    let streams = makeStreams(spread: count == 1 ? 3_000_000 : 700_000, &random)
    leading = Set(streams.map(\.index))
    var parts: [(start: Int64, part: Part)] = []
    var (start, clock) = (Int64(0), Int64.random(in: 0...5_000_000_000, using: &random))
    for number in 0..<count {
      let length = Int64.random(in: 8_000_000...25_000_000, using: &random)
      var isLive = false
      if number > 0 {
        faults += streams.count
        jumps += 1
        let distance = Int64.random(in: 30_000_000...90_000_000_000, using: &random)
        switch Int.random(in: 0...3, using: &random) {
        case 0:
          // A counter of 33 bits at 90 kHz, or of 32 at 1 kHz, begins again.
          clock -= Bool.random(using: &random) ? 95_443_717_689 : 4_294_967_296_000
          isLive = true
        case 1 where closesGaps:
          clock += distance
          isLive = Bool.random(using: &random)
        default: clock -= distance
        }
      }
      parts.append((start, Part(length: length, clock: clock, isLive: isLive)))
      start += length
      clock += length
    }
    var places: [(place: Int64, section: Int, sample: Sample)] = []
    var section = 0
    // Places where it is ambiguous which of two times is wrong.
    var edges = parts.map { $0.start + $0.part.length }
    for (number, (start, part)) in parts.enumerated() {
      if !part.isLive { section += 1 }
      let gap = makeGap(of: part, streams, &random)
      if let gap { edges += [start + gap.from, start + gap.to] }
      for stream in streams {
        let own = times(
          of: stream, length: part.length, isFirst: start == 0, isLast: start == parts[parts.count - 1].start,
          &random)
        for (time, duration) in own where gap?.holds(time, stream.index) != true {
          let packet = ClockRepair.Packet(
            stream: stream.index, time: time + part.clock, duration: duration,
            reordering: stream.group > 1 ? 20 * stream.step : 0)
          places.append(
            (start + time + stream.lag, section, Sample(packet: packet, truth: start + time, part: number)))
        }
      }
      for stream in following {
        for time in stride(from: Int64(500_000), to: part.length - 500_000, by: 3_700_000) {
          let packet = ClockRepair.Packet(stream: stream, time: time + part.clock, duration: 1_500_000)
          places.append((start + time, section, Sample(packet: packet, truth: start + time, part: number)))
        }
      }
    }
    // A stable order, as sorting is not.
    let order = places.indices.sorted {
      (places[$0].section, places[$0].place, $0) < (places[$1].section, places[$1].place, $1)
    }
    samples = order.map { places[$0].sample }
    disturb(streams, edges: edges, &random)
  }

  private mutating func makeStreams(spread: Int64, _ random: inout SplitMix) -> [Stream] {
    var streams: [Stream] = []
    let count = [1, 2, 2, 2, 3, 5].randomElement(using: &random)!
    let isSilent = count == 1 && Bool.random(using: &random)
    for index in 0..<count {
      let isVideo = index == 0 && !isSilent
      let step: Int64 =
        (isVideo ? [16_667, 20_000, 40_000, 41_708, 100_000] : [21_333, 24_000, 26_122]).randomElement(
          using: &random)!
      streams.append(
        Stream(
          index: index, isVideo: isVideo, step: step,
          lag: index == 0 ? 0 : Int64.random(in: -spread...spread, using: &random),
          delay: index == 0
            ? 0
            : Int64.random(in: 0...([300_000, 15_000_000].randomElement(using: &random)!), using: &random),
          end: index == 0 || Bool.random(using: &random)
            ? .max : Int64.random(in: 3_000_000...20_000_000, using: &random),
          jitter: isVideo && Bool.random(using: &random)
            ? Int64.random(in: 0...2_000_000, using: &random) : 0,
          hasDurations: Int.random(in: 0...3, using: &random) > 0,
          group: isVideo && Int.random(in: 0...2, using: &random) == 0
            ? Int.random(in: 2...8, using: &random) : 1,
          missing: Int.random(in: 0...3, using: &random) == 0 ? Double.random(in: 0...0.4, using: &random) : 0
        ))
    }
    if Bool.random(using: &random) { following = [count] }
    return streams
  }

  /// Times and durations of a stream's packets in a part, in decoding order.
  private func times(
    of stream: Stream, length: Int64, isFirst: Bool, isLast: Bool, _ random: inout SplitMix
  ) -> [(time: Int64, duration: Int64)] {
    var shown: [(time: Int64, duration: Int64)] = []
    // Not right before a jump, where it is ambiguous to which side the stream belongs.
    var time = !isFirst ? 0 : stream.delay > length - 3_000_000 ? length : stream.delay
    let length = isLast ? min(length, stream.end) : length
    while time < length {
      // Variable rates: mostly usual steps, some pauses.
      let pause =
        stream.jitter > 0 && Int.random(in: 0...20, using: &random) == 0
        ? Int64.random(in: 0...stream.jitter, using: &random) : 0
      shown.append((time, stream.hasDurations ? stream.step : 0))
      // Now and then two packets have the same time.
      if Int.random(in: 0...200, using: &random) == 0 { shown.append(shown[shown.count - 1]) }
      time += stream.step + pause
    }
    guard stream.group > 1 else { return shown }
    // The last of a group is decoded first.
    return stride(from: 0, to: shown.count, by: stream.group).flatMap { first in
      let group = shown[first..<min(first + stream.group, shown.count)]
      return [group[group.endIndex - 1]] + group.dropLast()
    }
  }

  private struct Gap {
    let from, to: Int64
    /// nil for all streams.
    let stream: Int?
    func holds(_ time: Int64, _ index: Int) -> Bool {
      (stream == nil || stream == index) && from <= time && time < to
    }
  }

  /// A gap within a part, seldom; one of all streams is short where long ones are closed.
  private mutating func makeGap(of part: Part, _ streams: [Stream], _ random: inout SplitMix) -> Gap? {
    guard Int.random(in: 0...2, using: &random) == 0, part.length > 12_000_000 else { return nil }
    let isShared = streams.count == 1 || Bool.random(using: &random)
    // Where the others have not begun or have ended, a gap in one stream is one in all.
    let isAlone = isShared || streams.contains { $0.delay > 300_000 || $0.end < part.length }
    // Pauses of variable rates may be next to it.
    let longest = isAlone && closesGaps ? 5_000_000 : part.length - 6_000_000
    let length = Int64.random(in: 600_000...max(longest, 600_001), using: &random)
    faults += streams.count
    return Gap(
      from: 3_000_000, to: 3_000_000 + length,
      stream: isShared ? nil : streams.randomElement(using: &random)!.index)
  }

  /// Removes times and makes others wrong.
  private mutating func disturb(_ streams: [Stream], edges: [Int64], _ random: inout SplitMix) {
    for stream in streams {
      let own = samples.indices.filter { samples[$0].packet.stream == stream.index }
      // Near the ends of a part it is ambiguous which of two clocks is wrong.
      let safe = own.indices.filter { position in
        guard (12..<max(12, own.count - 12)).contains(position), let truth = samples[own[position]].truth
        else {
          return false
        }
        return edges.allSatisfy { abs($0 - truth) > 2_500_000 } && truth > 2_500_000
      }
      var run = 0..<0
      if stream.missing > 0 {
        for position in safe where Double.random(in: 0..<1, using: &random) < stream.missing {
          samples[own[position]].packet.time = nil
          samples[own[position]].isIntact = false
        }
        // And for some seconds there is none at all.
        if let first = safe.randomElement(using: &random), Bool.random(using: &random) {
          // Without durations, more than ten seconds are a gap.
          let count = stream.hasDurations ? 600 : Int(4_000_000 / (stream.step + stream.jitter))
          run = (first - 60)..<(first + count + 60)
          for position in safe where (first..<(first + count)).contains(position) {
            samples[own[position]].packet.time = nil
            samples[own[position]].isIntact = false
          }
          faults += 2
        }
      }
      guard safe.count > 80 else { continue }
      var last = -100
      for position in safe
      where Int.random(in: 0...150, using: &random) == 0 && position - last > 40 && !run.contains(position) {
        last = position
        let count = [1, 1, 2, 3, 5, 12].randomElement(using: &random)!
        let error = Int64.random(in: 20_000_000...9_000_000_000, using: &random)
        let sign: Int64 = Bool.random(using: &random) ? 1 : -1
        for place in own[position..<(position + count)] {
          guard samples[place].isIntact, let time = samples[place].packet.time else { continue }
          let isAbsurd = Int.random(in: 0...9, using: &random) == 0
          samples[place].packet.time = isAbsurd ? .max / 2 : time + sign * error
          samples[place].isIntact = false
          outliers += 1
          faults += 2
        }
      }
    }
  }

  // MARK: - Without truth

  init(wild seed: UInt64) {
    var random = SplitMix(state: seed ^ 0x5bd1_e995_0000_0000)
    closesGaps = Bool.random(using: &random)
    let count = Int.random(in: 1...4, using: &random)
    leading = Set(0..<count)
    following = [count]
    var clocks = (0...count).map { _ in Int64.random(in: -10_000_000...10_000_000, using: &random) }
    let restlessness = [0.001, 0.02, 0.3].randomElement(using: &random)!
    for _ in 0..<Int.random(in: 50...600, using: &random) {
      let stream = Int.random(in: 0...count, using: &random)
      if Double.random(in: 0..<1, using: &random) < restlessness {
        let size = Int64(1) << Int64.random(in: 10...62, using: &random)
        let change = Int64.random(in: -size...size, using: &random)
        if Bool.random(using: &random) {
          clocks[stream] = clocks[stream].addingReportingOverflow(change).partialValue
        } else {
          for index in clocks.indices {
            clocks[index] = clocks[index].addingReportingOverflow(change).partialValue
          }
        }
      }
      let step = Int64.random(in: 0...50_000, using: &random)
      clocks[stream] = clocks[stream].addingReportingOverflow(step).partialValue
      let isMissing = Int.random(in: 0...15, using: &random) == 0
      let durations: [Int64] = [0, step, step, 40_000, -1, .max, .min]
      samples.append(
        Sample(
          packet: .init(
            stream: stream, time: isMissing ? nil : clocks[stream],
            duration: durations.randomElement(using: &random)!,
            reordering: [0, 0, 800_000, 72_000_000_000].randomElement(using: &random)!), truth: nil))
    }
  }
}

/// A small generator of random numbers, the same on all machines.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
