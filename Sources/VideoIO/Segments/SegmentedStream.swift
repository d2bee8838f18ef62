// SPDX-License-Identifier: Apache-2.0

/// The place within a job's segments: what was finished is played back, what follows is recorded.
struct SegmentedStream: ~Copyable {
  /// Where finished segments are kept.
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

  /// Frames in a segment.
  var segmentFrames: Int { folder.manifest.segmentFrames }

  /// Whether a segment is begun and not finished.
  private(set) var isRecording = false

  /// Takes the place of a finished frame.
  /// - Throws: `VideoIOError.segmentsDamaged` if the frame there is another one.
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

  /// The next packet that came with the frame passed.
  mutating func nextPacket(streamIndex: Int) throws(VideoIOError) -> EncodedPacket? {
    try replay?.nextPacket(streamIndex: streamIndex)
  }

  /// Begins a segment with a frame.
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

  /// Puts the segment on the disk and into the manifest.
  mutating func commit(origins: [Int]) throws(VideoIOError) {
    guard isRecording else { return }
    isRecording = false
    guard let segment = try recorder.take()?.finish(origins: origins) else { return }
    try folder.commit(segment)
  }
}
