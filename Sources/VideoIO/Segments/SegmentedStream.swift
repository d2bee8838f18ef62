// SPDX-License-Identifier: Apache-2.0

/// The position within a job's segments: finished segments are replayed, later ones recorded.
struct SegmentedStream: ~Copyable {
  /// The storage of finished segments.
  private(set) var store: SegmentStore
  private let timeBase: Rational
  private let extradata: [UInt8]
  private var replay: SegmentReplay?
  private var recorder: SegmentRecorder?
  /// The segment being recorded.
  private var recorded = 0

  init(_ store: SegmentStore, timeBase: Rational, extradata: [UInt8]) {
    self.store = store
    self.timeBase = timeBase
    self.extradata = extradata
    replay = nil
    recorder = nil
  }

  /// Frames per segment.
  var segmentFrames: Int { store.segmentFrames }

  /// Whether a segment is being recorded.
  private(set) var isRecording = false

  /// Replays a finished frame.
  /// - Throws: `VideoIOError.segmentsDamaged` if the recorded frame differs.
  mutating func pass(_ frame: Int, _ time: FrameTime) throws(VideoIOError) {
    guard try next(frame) == time else {
      throw .segmentsDamaged(
        path: store.path, reason: "frame \(frame) of the source has a different time than before")
    }
  }

  /// Returns the time of a finished frame; frames must be requested in order.
  /// - Throws: `VideoIOError.segmentsDamaged` if there is none.
  mutating func next(_ frame: Int) throws(VideoIOError) -> FrameTime {
    if frame % segmentFrames == 0 {
      replay = nil
      let next = try store.replay(frame / segmentFrames, timeBase: timeBase)
      let found = next.extradata
      guard found == extradata else {
        throw .segmentsDamaged(path: store.path, reason: "the encoder differs from the one it started with")
      }
      replay = consume next
    }
    guard let time = try replay?.nextFrame() else {
      throw .segmentsDamaged(path: store.path, reason: "frame \(frame) is missing")
    }
    return time
  }

  /// The next packet recorded with the current frame.
  mutating func nextPacket(streamIndex: Int) throws(VideoIOError) -> EncodedPacket? {
    try replay?.nextPacket(streamIndex: streamIndex)
  }

  /// Starts a segment with a frame.
  mutating func begin(_ frame: Int, extradata found: [UInt8]) throws(VideoIOError) {
    replay = nil
    guard found == extradata else {
      throw .segmentsImpossible(
        path: store.path,
        reason: "the encoder's header changes from segment to segment; choose another encoder")
    }
    guard frame % segmentFrames == 0 else {
      throw .segmentsDamaged(path: store.path, reason: "the source has more frames than before")
    }
    recorded = frame / segmentFrames
    recorder = try store.recorder(recorded, extradata: extradata)
    isRecording = true
  }

  mutating func record(_ time: FrameTime) throws(VideoIOError) { try recorder?.add(time) }

  mutating func record(_ packet: borrowing PacketOwner) throws(VideoIOError) {
    try recorder?.add(packet.raw, timeBase: timeBase)
  }

  /// Flushes the segment to the disk and adds it to the store.
  mutating func commit(origins: [Int], facts: SegmentStore.Facts) throws(VideoIOError) {
    guard isRecording else { return }
    isRecording = false
    guard let recorder = recorder.take() else { return }
    try store.commit(recorder, segment: recorded, origins: origins, facts: facts)
  }
}
