// SPDX-License-Identifier: Apache-2.0

/// Finds out whether damage in the source cost frames or packets.
///
/// Demuxers skip damaged bytes, often without an error; what is left is a hole in the times of the streams. A hole in one
/// stream is common in sound files and in video of variable rate. It counts only if frames and packets came at regular distances
/// before, and if another stream has a hole at about the same time or there are other signs of damage.
struct DamageWatch: Sendable {
  /// A span of time without a frame or packet, in microseconds.
  private struct Hole {
    var start, end: Int64
    var length: Int64 { end.saturatingMinus(start) }
  }

  /// The last frame or packet of a stream.
  private struct Stream {
    var end: Int64
    /// Frames or packets at regular distances before the next.
    var regular = 0
  }

  private var video: Stream?
  private var sounds: [Int: Stream] = [:]
  private var videoHoles: [Hole] = []
  private var soundHoles: [Hole] = []
  private var clockChanges: [Int64] = []
  private var damagedPictures = 0
  private var corruptPackets = 0
  /// Streams whose last packet was corrupt. The last one of a stream that is cut off always is.
  private var pending: Set<Int> = []
  private var hasFrames = false
  /// Whether the decoder made up parts of the last frame.
  private var wasConcealed = false

  /// Longer ones are pauses of the recording.
  private static let longest: Int64 = 10_000_000
  /// How far apart in time what lies at one place of the file may be.
  private static let nearby: Int64 = 1_000_000
  private static let mostHoles = 1000
  /// How many regular distances make a hole unusual.
  private static let usual = 4

  /// Notes a decoded frame, in the order of presentation.
  /// - Parameters:
  ///   - length: usual duration of a frame in microseconds; not positive if unknown.
  ///   - isConcealed: whether the decoder made up parts of it.
  mutating func noteFrame(at time: Int64, length: Int64, isConcealed: Bool) {
    // The last frame of a file that is cut off is incomplete, too.
    if wasConcealed { damagedPictures += 1 }
    wasConcealed = isConcealed && hasFrames
    hasFrames = true
    guard length > 0, length < Self.longest else { return }
    var stream = video ?? Stream(end: time)
    defer { video = stream }
    let late = min(max(time.saturatingMinus(stream.end), -Self.longest), Self.longest)
    stream.end = time.saturatingPlus(length)
    if late.magnitude * 10 <= length.magnitude * 4 {
      stream.regular += 1
    } else {
      if stream.regular >= Self.usual, late * 10 >= length * 8, late < Self.longest {
        Self.add(Hole(start: time.saturatingMinus(late), end: time), to: &videoHoles)
      }
      stream.regular = 0
    }
  }

  /// Notes a packet of sound with its duration, in microseconds.
  mutating func noteSound(of index: Int, at time: Int64, duration: Int64) {
    guard duration > 0 else { return }
    var stream = sounds[index] ?? Stream(end: time)
    defer { sounds[index] = stream }
    let late = time.saturatingMinus(stream.end)
    stream.end = time.saturatingPlus(duration)
    if late.magnitude <= max(3000, duration.magnitude / 2) {
      stream.regular += 1
    } else {
      if stream.regular >= Self.usual, late > 0, late < Self.longest {
        Self.add(Hole(start: time.saturatingMinus(late), end: time), to: &soundHoles)
      }
      stream.regular = 0
    }
  }

  /// Notes whether the demuxer found a packet incomplete.
  mutating func notePacket(of index: Int, isCorrupt: Bool) {
    if pending.remove(index) != nil { corruptPackets += 1 }
    if isCorrupt { pending.insert(index) }
  }

  /// Notes that the clock was moved, which leaves holes that are not damage.
  mutating func noteClockChange(at time: Int64) {
    if clockChanges.count < Self.mostHoles { clockChanges.append(time) }
  }

  private static func add(_ hole: Hole, to holes: inout [Hole]) {
    if holes.count < mostHoles { holes.append(hole) }
  }

  /// What is missing, one line each.
  /// - Parameters:
  ///   - isDamaged: whether demuxer or decoder reported damage.
  ///   - startTime: the time that is called zero, in microseconds.
  func losses(isDamaged: Bool, startTime: Int64) -> [String] {
    var lines: [String] = []
    if damagedPictures > 0 {
      lines.append("parts of \(damagedPictures) frames, which are damaged in the source")
    }
    func real(_ holes: [Hole]) -> [Hole] {
      holes.filter { hole in
        !clockChanges.contains {
          $0 > hole.start.saturatingMinus(2 * Self.nearby) && $0 < hole.end.saturatingPlus(2 * Self.nearby)
        }
      }
    }
    var (frames, packets) = (real(videoHoles), real(soundHoles))
    if !isDamaged, corruptPackets == 0 {
      let all = frames
      frames = frames.filter { Self.isNear($0, packets) }
      packets = packets.filter { Self.isNear($0, all) }
    }
    for (holes, name) in [(frames, "the video"), (packets, "the sound")] {
      guard let first = holes.first else { continue }
      let length = VideoIOError.text(Double(holes.reduce(Int64(0)) { $0.saturatingPlus($1.length) }) / 1e6)
      let place = VideoIOError.text(Double(first.start.saturatingMinus(startTime)) / 1e6)
      let at = holes.count == 1 ? "at \(place)" : "at \(holes.count) places, the first at \(place)"
      lines.append("\(length) of \(name) \(at), missing in the source")
    }
    return lines
  }

  private static func isNear(_ hole: Hole, _ others: [Hole]) -> Bool {
    others.contains {
      $0.start <= hole.end.saturatingPlus(nearby) && $0.end >= hole.start.saturatingMinus(nearby)
    }
  }
}
