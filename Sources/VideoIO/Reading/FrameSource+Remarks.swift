// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

extension FrameSource {
  /// Warnings so far.
  var warnings: [MediaRemark] {
    var result: [MediaRemark] = []
    func add(_ kind: MediaRemark.Kind, _ line: String) { result.append(MediaRemark(kind, line)) }
    if let line = clock.warning { add(.times, line) }
    if let line = intake.timestamps.warning { add(.times, line) }
    for line in intake.warnings { add(.change, line) }
    // The decoder does not see alpha that is coded as a picture of its own.
    if intake.losesTransparency || video.hasSeparateAlpha && !intake.hasAlpha {
      add(.transparency, "transparency is left out")
    }
    if lacksTimeScale {
      add(
        .times,
        "the time scale of a stream is 0: its speed may be wrong, and edit lists are ignored")
    } else if options.ignoresEditLists {
      add(.times, "the edit list, which leaves no frame, is ignored: all of the media is read")
    }
    if damagedCount > 0, !hasLostFrames {
      let detail = lastDamage.map { ": \($0)" } ?? ""
      add(.damage, "\(damagedCount) damaged parts of the video could not be decoded\(detail)")
    }
    if let firstSkipped {
      add(.damage, "the file is damaged at \(skippedCount) places, which were skipped: \(firstSkipped)")
    }
    if let stamp, let now = FileStamp(path: demuxer.path), now != stamp {
      add(.source, "the file changed while it was read: frames may be damaged or missing")
    }
    for index in unannouncedStreams.sorted() {
      add(.stream(index), "stream \(index) begins within the file and is left out")
    }
    return result
  }

  /// Parts of the source that are left out.
  var leftOut: [MediaRemark] {
    losses.map { MediaRemark(.rest, $0) } + damages.map { MediaRemark(.damage, $0) }
      + encryptedStreams.sorted().map { index in
        let info = source.streams[index].info
        return MediaRemark(
          .stream(index), "stream \(index) (\(info.kind.rawValue), \(info.codecName)), which is encrypted")
      }
  }

  /// Whether the decoder failed on parts of the video, and frames are missing.
  private var hasLostFrames: Bool { lateDamage > 0 && sentPackets > decodedFrames }

  /// What damage has cost, one line each.
  private var damages: [String] {
    // The packet at the cut is damaged itself.
    if isCutOff, damagedCount <= 1, skippedCount == 0 { return [] }
    var lines: [String] = []
    if hasLostFrames {
      let detail = lastDamage.map { ": \($0)" } ?? ""
      lines.append("\(damagedCount) damaged parts of the video, which could not be decoded\(detail)")
    }
    if isDraining, !isEnded, window == nil, let count = demuxer.indexedFrameCount(videoIndex),
      count > videoPackets
    {
      lines.append("\(count - videoPackets) of \(count) frames, which are not where the index says")
    }
    let found = damage.losses(isDamaged: skippedCount > 0 || damagedCount > 0, startTime: source.startTime)
    return lines + found
  }

  /// Notes the times of sound, and packets that the demuxer found incomplete.
  mutating func noteDamage(of index: Int) {
    let raw = packet.raw.pointee
    if index == videoIndex { videoPackets += 1 }
    damage.notePacket(of: index, isCorrupt: raw.flags & AV_PKT_FLAG_CORRUPT != 0)
    guard source.streams[index].info.kind == .audio, raw.pts != noTimestamp else { return }
    let timeBase = source.streams[index].timeBase
    damage.noteSound(
      of: index, at: timeBase.rescale(raw.pts, to: microseconds),
      duration: timeBase.rescale(max(raw.duration, 0), to: microseconds))
  }

  /// What a decoder sets in frames that it had to complete.
  static let concealment =
    FF_DECODE_ERROR_INVALID_BITSTREAM | FF_DECODE_ERROR_CONCEALMENT_ACTIVE | FF_DECODE_ERROR_DECODE_SLICES
}
