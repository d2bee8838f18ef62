// SPDX-License-Identifier: Apache-2.0

/// The storage of a writer's segments.
enum SegmentStore: Sendable {
  /// Segments of one run and of the runs that resume it.
  case folder(SegmentFolder)
  /// Segments made by many processes.
  case pieces(PieceFolder)

  /// Data stored in a piece in addition to its packets.
  struct Facts {
    var frameData: Set<UInt32> = []
    var losesCaptions = false
  }

  var path: String {
    switch self {
    case .folder(let folder): folder.path
    case .pieces(let folder): folder.path
    }
  }

  /// Frames per segment.
  var segmentFrames: Int {
    switch self {
    case .folder(let folder): folder.manifest.segmentFrames
    case .pieces(let folder): folder.segmentFrames
    }
  }

  /// Starts replaying a finished segment.
  func replay(_ segment: Int, timeBase: Rational) throws(VideoIOError) -> SegmentReplay {
    switch self {
    case .folder(let folder):
      return try SegmentReplay.open(folder.file(segment), timeBase: timeBase)
    case .pieces(let folder):
      return try folder.replay(segment, timeBase: timeBase)
    }
  }

  /// Starts recording a segment.
  func recorder(_ segment: Int, extradata: [UInt8]) throws(VideoIOError) -> SegmentRecorder {
    switch self {
    case .folder(let folder):
      return try SegmentRecorder.open(
        path: folder.file(segment), extradata: extradata, permissions: folder.permissions)
    case .pieces(let folder):
      return try SegmentRecorder.open(
        path: folder.unfinishedFile(segment), extradata: extradata, permissions: folder.permissions)
    }
  }

  /// Adds a finished segment.
  mutating func commit(
    _ recorder: consuming SegmentRecorder, segment: Int, origins: [Int], facts: Facts
  ) throws(VideoIOError) {
    switch self {
    case .folder(var folder):
      try folder.commit(recorder.finish(origins: origins))
      self = .folder(folder)
    case .pieces(let folder):
      let (first, last) = (recorder.firstFrame?.presentation ?? 0, recorder.lastFrame?.presentation ?? 0)
      let unfinished = recorder.path
      _ = try recorder.finish(origins: origins) { made in
        PieceFolder.trailer(
          PieceRecord(
            plan: folder.plan, segment: segment, frames: made.frames, first: first, last: last,
            bytes: made.bytes, sha256: made.sha256, settings: folder.settings,
            frameData: facts.frameData.sorted(), losesCaptions: facts.losesCaptions))
      }
      try folder.publish(unfinished, as: segment)
    }
  }
}
