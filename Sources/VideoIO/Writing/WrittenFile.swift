// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// A record of what was written to a container, compared when the file is read back.
struct WrittenFile {
  /// The record of one stream.
  struct Stream {
    var kind: AVMediaType
    /// Number of nonempty packets.
    var packets = 0
    /// Minimum and maximum presentation time, in `timeBase`.
    var first = Int64.max
    var last = Int64.min
    var timeBase: Rational

    mutating func note(_ packet: UnsafePointer<AVPacket>) {
      if packet.pointee.size > 0 { packets += 1 }
      guard packet.pointee.pts != noTimestamp else { return }
      first = min(first, packet.pointee.pts)
      last = max(last, packet.pointee.pts)
    }

    /// The first time in seconds; 0 if there is none.
    var start: Double { first <= last ? Double(first) * timeBase.doubleValue : 0 }

    /// The difference between the last and the first time, in seconds.
    var span: Double { last > first ? Double(last.saturatingMinus(first)) * timeBase.doubleValue : 0 }
  }

  /// The streams by index in the file.
  var streams: [Int: Stream] = [:]
  var videoIndex: Int?

  /// Demuxers for known containers, and whether packets keep their times in them.
  private static let known: [String: (reader: String, keepsTimes: Bool)] = [
    "matroska": ("matroska", true), "webm": ("matroska", true), "mp4": ("mov", true), "mov": ("mov", true),
    "ipod": ("mov", true), "3gp": ("mov", true), "3g2": ("mov", true), "nut": ("nut", true),
    "flv": ("flv", true),
    "mpegts": ("mpegts", true), "avi": ("avi", false), "ogg": ("ogg", false),
    "yuv4mpegpipe": ("yuv4mpegpipe", false),
  ]

  /// FFmpeg's demuxer for a container; nil if none is known here.
  static func reader(of container: String) -> UnsafePointer<AVInputFormat>? {
    known[container].flatMap { av_find_input_format($0.reader) }
  }

  /// The result of reading the file back.
  struct Finding {
    /// Why the file is unusable; nil if it is fine.
    var fault: String?
    /// Indices of the audio, subtitle and data streams that are missing.
    var missing: Set<Int> = []
    /// By how many seconds sound is out of time with the video, by index.
    var shifted: [Int: Double] = [:]
    /// Other problems, one line each.
    var doubts: [String] = []
  }

  /// Reads the file to its end and compares.
  ///
  /// A playable file is never a failure, whatever it lacks, since it may represent hours of work. Containers that are not
  /// known here only need to be readable, if FFmpeg can read them at all.
  func finding(path: String, container: String) -> Finding {
    let known = Self.known[container]
    guard let known, let format = av_find_input_format(known.reader) else { return Finding() }
    var context: UnsafeMutablePointer<AVFormatContext>?
    let (opened, log) = LibavLog.collecting {
      avformat_open_input(&context, FileName.cString(fileURL(path)), format, nil)
    }
    guard opened >= 0, let context else {
      return Finding(fault: "it cannot be read again: \(LibavError(code: opened, log: log))")
    }
    defer {
      var context: UnsafeMutablePointer<AVFormatContext>? = context
      avformat_close_input(&context)
    }
    let (described, _) = LibavLog.collecting { avformat_find_stream_info(context, nil) }
    guard described >= 0 else { return Finding(fault: "its streams cannot be determined") }
    var found: [Int: Stream] = [:]
    guard let packet = try? PacketOwner() else { return Finding() }
    while true {
      let (code, log) = LibavLog.collecting { av_read_frame(context, packet.raw) }
      if code == LibavError.endOfFile.code { break }
      guard code >= 0 else {
        return Finding(fault: "it cannot be read to its end: \(LibavError(code: code, log: log))")
      }
      let index = Int(packet.raw.pointee.stream_index)
      if let stream = context.pointee.streams[index], let parameters = stream.pointee.codecpar {
        found[
          index,
          default: Stream(kind: parameters.pointee.codec_type, timeBase: Rational(stream.pointee.time_base))
        ].note(packet.raw)
      }
      av_packet_unref(packet.raw)
    }
    return compare(with: found, container: container, keepsTimes: known.keepsTimes)
  }

  private func compare(with found: [Int: Stream], container: String, keepsTimes: Bool) -> Finding {
    var finding = Finding()
    for kind in [AVMEDIA_TYPE_AUDIO, AVMEDIA_TYPE_SUBTITLE, AVMEDIA_TYPE_DATA] {
      let wanted = streams.filter { $0.value.kind == kind && $0.value.packets > 0 }
      let there = found.filter { $0.value.kind == kind && $0.value.packets > 0 }
      guard there.count < wanted.count else { continue }
      let lost = wanted.keys.filter { there[$0] == nil }.sorted()
      finding.missing.formUnion(lost.prefix(wanted.count - there.count))
    }
    guard let videoIndex, let wrote = streams[videoIndex], wrote.packets > 0 else { return finding }
    let same = found[videoIndex].flatMap { $0.kind == AVMEDIA_TYPE_VIDEO ? $0 : nil }
    guard let read = same ?? found.values.first(where: { $0.kind == AVMEDIA_TYPE_VIDEO }) else {
      finding.fault = "0 of \(wrote.packets) frames are there"
      return finding
    }
    if read.packets < wrote.packets { finding.fault = "\(read.packets) of \(wrote.packets) frames are there" }
    // Both ends may be rounded to the ticks of either container.
    let tolerance = 0.002 + 2 * (wrote.timeBase.doubleValue + read.timeBase.doubleValue)
    if keepsTimes, abs(read.span - wrote.span) > tolerance {
      finding.doubts.append(
        "times: the frames span \(VideoIOError.text(read.span)) instead of \(VideoIOError.text(wrote.span))")
    }
    if container != "ogg" { finding.shifted = shifts(in: found, video: (wrote, read)) }
    return finding
  }

  /// By how many seconds the video is shorter than it was written if all frames last equally long; empty if that is nothing.
  func pauses(frameLength: Double?) -> [Double] {
    guard let frameLength, let video = videoIndex.flatMap({ streams[$0] }), video.packets > 0 else {
      return []
    }
    let loss = video.span - Double(video.packets - 1) * frameLength
    return loss > 1.5 * frameLength ? [loss] : []
  }

  /// By how many seconds streams of sound begin or end at another time than they were written, relative to the video. Some
  /// containers have no times, and lose the gaps in sound.
  private func shifts(in found: [Int: Stream], video: (wrote: Stream, read: Stream)) -> [Int: Double] {
    var result: [Int: Double] = [:]
    for (index, wrote) in streams where wrote.kind == AVMEDIA_TYPE_AUDIO && wrote.packets > 0 {
      guard let read = found[index], read.kind == wrote.kind, read.packets == wrote.packets else { continue }
      let start = (read.start - video.read.start) - (wrote.start - video.wrote.start)
      let shift = max(abs(start), abs(start + read.span - wrote.span))
      if shift > 0.1 { result[index] = shift }
    }
    return result
  }
}
