// SPDX-License-Identifier: Apache-2.0

/// The position within a job's segments: finished segments are replayed, later ones recorded.
struct SegmentedStream: ~Copyable {
  /// The folder of the segments.
  private(set) var folder: SegmentFolder
  private let timeBase: Rational
  private let extradata: [UInt8]
  private var replay: SegmentReplay?
  private var recorder: SegmentRecorder?

  init(_ folder: SegmentFolder, timeBase: Rational, extradata: [UInt8]) {
    self.folder = folder
    self.timeBase = timeBase
    self.extradata = extradata
    replay = nil
    recorder = nil
  }

  /// Frames per segment.
  var segmentFrames: Int { folder.manifest.segmentFrames }

  /// Whether a segment is being recorded.
  private(set) var isRecording = false

  /// Replays a finished frame.
  /// - Throws: `VideoIOError.segmentsDamaged` if the recorded frame differs.
  mutating func pass(_ frame: Int, _ time: FrameTime) throws(VideoIOError) {
    let index = frame / segmentFrames
    if frame % segmentFrames == 0 {
      replay = nil
      let next = try SegmentReplay.open(folder.file(index), timeBase: timeBase)
      let found = next.extradata
      guard found == extradata else {
        throw .segmentsDamaged(path: folder.path, reason: "the encoder is another one than when it began")
      }
      replay = consume next
    }
    guard let kept = try replay?.nextFrame(), kept == time else {
      throw .segmentsDamaged(
        path: folder.path, reason: "frame \(frame) of the source has another time than it had")
    }
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
        path: folder.path,
        reason: "the encoder's header changes from segment to segment; choose another encoder")
    }
    guard frame % segmentFrames == 0 else {
      throw .segmentsDamaged(path: folder.path, reason: "the source has more frames than it had")
    }
    recorder = try SegmentRecorder.open(
      path: folder.file(frame / segmentFrames), extradata: extradata, permissions: folder.permissions)
    isRecording = true
  }

  mutating func record(_ time: FrameTime) throws(VideoIOError) { try recorder?.add(time) }

  mutating func record(_ packet: borrowing PacketOwner) throws(VideoIOError) {
    try recorder?.add(packet.raw, timeBase: timeBase)
  }

  /// Flushes the segment to disk and adds it to the manifest.
  mutating func commit(origins: [Int]) throws(VideoIOError) {
    guard isRecording else { return }
    isRecording = false
    guard let segment = try recorder.take()?.finish(origins: origins) else { return }
    try folder.commit(segment)
  }
}
