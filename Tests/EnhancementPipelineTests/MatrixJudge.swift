// SPDX-License-Identifier: Apache-2.0

/// Compares ffprobe's output for a source and its enhanced copy; each difference is a line.
///
/// Ignores what has to differ: the video's codec, its sizes and bit rates, tags about the old encoding, and
/// times below the container's resolution.
struct MatrixJudge {
  let source, output: Probe
  let work: MatrixCase.Work
  /// Indices of the source's streams that are missing in the output.
  let leftOut: Set<Int>
  /// Whether the encoding is lossless.
  let isLossless: Bool

  private var lines: [String] = []

  init(source: Probe, output: Probe, work: MatrixCase.Work, leftOut: Set<Int>, isLossless: Bool) {
    self.source = source
    self.output = output
    self.work = work
    self.leftOut = leftOut
    self.isLossless = isLossless
  }

  /// All differences.
  mutating func differences() -> [String] {
    lines = []
    compareVideo()
    comparePictures()
    compareStreams()
    compareChapters()
    compareTags(source.format.entry("tags"), output.format.entry("tags"), "file")
    return lines
  }

  private mutating func expect(_ isEqual: Bool, _ line: String) {
    if !isEqual { lines.append(line) }
  }

  // MARK: - Times

  /// The shift of all times in seconds: program clocks are set to zero, and Matroska has no negative times.
  private var shift: Double {
    let (from, to) = (source.format.text("format_name") ?? "", output.format.text("format_name") ?? "")
    let hasProgramClock = from == "mpegts" || from == "mpeg"
    if hasProgramClock, to == "mpegts" || to == "mpeg" { return (first(output) ?? 0) - (first(source) ?? 0) }
    if hasProgramClock { return -(source.format.number("start_time") ?? 0) }
    // The muxer chooses the beginning of a transport stream.
    if to == "mpegts" { return (first(output) ?? 0) - (first(source) ?? 0) }
    guard to.contains("matroska") || to == "nut" || to == "avi" else { return 0 }
    // Opus has a pre-skip, which Matroska subtracts by itself.
    let least =
      source.streams.indices
      .filter { !leftOut.contains($0) && source.streams[$0].text("codec_name") != "opus" }
      .flatMap { source.packets(of: $0).compactMap { $0.number("pts_time") } }.min() ?? 0
    return max(0, -least)
  }

  private func first(_ probe: Probe) -> Double? { probe.frames.first?.number(Self.time) }

  private static let time = "best_effort_timestamp_time"

  /// Half a tick of the coarser of two streams' clocks, and of ffprobe's microseconds.
  private func tolerance(_ a: ProbeEntry, _ b: ProbeEntry) -> Double {
    0.51 * (max(a.number("time_base") ?? 0, b.number("time_base") ?? 0)) + 2e-6
      // The shift itself is rounded to a tick.
      + (shift == 0 ? 0 : 0.51 * max(a.number("time_base") ?? 0, b.number("time_base") ?? 0))
  }

  /// The expected times of frames; nil where any time after the previous one is accepted.
  private var wantedTimes: [Double?] {
    var last = -Double.infinity
    var times: [Double?] = source.frames.map { frame in
      guard let time = frame.number(Self.time), time > last else { return nil }
      last = time
      return time + shift
    }
    if case .interpolation(let factor) = work {
      let all = times.compactMap { $0 }
      let length = lastLength(source) ?? 0
      times = all.indices.flatMap { index -> [Double?] in
        let step = index + 1 < all.count ? all[index + 1] - all[index] : length
        return (0..<factor).map { all[index] + step * Double($0) / Double(factor) }
      }
    }
    return times
  }

  /// Duration of the last frame in seconds.
  private func lastLength(_ probe: Probe) -> Double? {
    let reported = probe.frames.last?.number("pkt_duration_time")
    // FFmpeg's demuxer subtracts a late start from the last frame; the file's own tables are correct.
    guard probe.format.text("format_name")?.contains("mov") == true,
      let start = probe.streams[probe.video].number("start_time"), start > 0,
      let length = probe.streams[probe.video].number("duration"),
      let last = probe.frames.last?.number(Self.time),
      probe.frames.allSatisfy({ $0.number(Self.time) ?? .infinity <= last })
    else { return reported }
    return start + length - last
  }

  // MARK: - The picture

  private mutating func compareVideo() {
    let (before, after) = (source.streams[source.video], output.streams[output.video])
    let factor = work.scale
    let (wanted, times) = (wantedTimes, output.frames.map { $0.number(Self.time) ?? .nan })
    expect(wanted.count == times.count, "video: \(wanted.count) frames -> \(times.count)")
    let most = tolerance(before, after)
    if let wrong = zip(wanted, times).enumerated().first(where: { abs(($1.0 ?? $1.1) - $1.1) > most }) {
      lines.append("video: time of frame \(wrong.offset) \(wrong.element.0 ?? 0) -> \(wrong.element.1)")
    }
    expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 }, "video: times do not increase: \(times)")
    if let a = lastLength(source), let b = lastLength(output) {
      expect(abs(a - b * work.lengths) < 2 * most + 0.001, "video: last frame lasts \(a) -> \(b)")
    }
    let steps = zip(wanted, wanted.dropFirst()).map { ($1 ?? .nan) - ($0 ?? .nan) }
    if (steps.max() ?? 0) - (steps.min() ?? 0) < 0.003, let a = before.number("avg_frame_rate"),
      let b = after.number("avg_frame_rate"), a > 0
    {
      expect(abs(b / a - work.lengths) < 0.05, "video: average rate \(a) -> \(b)")
    }
    let common = min(source.frames.count, output.frames.count)
    for index in 0..<common {
      let count = lines.count
      compareFrame(source.frames[index], output.frames[index * Int(work.lengths)], scale: factor)
      if lines.count > count { break }
    }
    compareDescription(before, after, "video")
  }

  private mutating func compareFrame(_ a: ProbeEntry, _ b: ProbeEntry, scale: Int) {
    for key in ["width", "height"] {
      let wanted = (a.number(key) ?? 0) * Double(scale)
      expect(b.number(key) == wanted, "frame: \(key) \(wanted) -> \(b.text(key) ?? "none")")
    }
    for key in [
      "pix_fmt", "sample_aspect_ratio", "color_range", "color_space", "color_primaries", "color_transfer",
      "chroma_location", "interlaced_frame",
    ] {
      let (x, y) = (Self.plain(a.text(key)), Self.plain(b.text(key)))
      expect(x == y, "frame: \(key) \(x ?? "none") -> \(y ?? "none")")
    }
    // Encoder names, the clock of MPEG-2, and its pan-scan window.
    let ofBitstream = ["H.26[45] User Data Unregistered SEI message", "GOP timecode", "AVPanScan"]
    compareSideData(a.entries("side_data_list"), b.entries("side_data_list"), "frame", except: ofBitstream)
  }

  /// Different names for the same value.
  private static func plain(_ text: String?) -> String? {
    switch text {
    case "1:1", "0:1": nil
    // The defaults of unspecified video; H.264 writes them explicitly.
    case "tv", "left": nil
    case let text? where text.hasPrefix("yuvj"): "yuv" + text.dropFirst(4)
    default: text
    }
  }

  private mutating func compareSideData(
    _ a: [ProbeEntry], _ b: [ProbeEntry], _ what: String, except: [String]
  ) {
    for entry in a {
      guard let type = entry.text("side_data_type"), !except.contains(type) else { continue }
      let same = b.first { $0.text("side_data_type") == type }
      expect(same != nil, "\(what): \(type) is missing")
      if let same { expect(same.pairs == entry.pairs, "\(what): \(type) \(entry.pairs) -> \(same.pairs)") }
    }
  }

  private mutating func comparePictures() {
    guard isLossless, work.scale == 1 else { return }
    let kept = output.pictures.enumerated().filter { $0.offset % Int(work.lengths) == 0 }.map(\.element)
    let wrong = zip(source.pictures, kept).filter { $0 != $1 }.count
    expect(
      wrong == 0 && source.pictures.count == kept.count,
      "video: \(wrong) of \(source.pictures.count) pictures differ")
  }

  // MARK: - Other streams

  private mutating func compareStreams() {
    func order(_ probe: Probe, _ indices: [Int]) -> [Int] {
      // Attached files come last, wherever they were.
      let kept = indices.filter { !probe.streams[$0].isHelper }
      return kept.filter { !probe.streams[$0].isAttached } + kept.filter { probe.streams[$0].isAttached }
    }
    let before = order(source, source.streams.indices.filter { !leftOut.contains($0) })
    let after = order(output, Array(output.streams.indices))
    let names = { (probe: Probe, all: [Int]) in all.map { probe.streams[$0].text("codec_type") ?? "?" } }
    expect(
      names(source, before) == names(output, after),
      "streams: \(names(source, before)) -> \(names(output, after))")
    for (a, b) in zip(before, after) where a != source.video {
      compareCopy(a, b)
    }
  }

  private mutating func compareCopy(_ a: Int, _ b: Int) {
    let (before, after) = (source.streams[a], output.streams[b])
    let what = "stream \(a) (\(before.text("codec_name") ?? "?"))"
    for key in [
      "codec_name", "codec_type", "profile", "sample_rate", "channels", "channel_layout",
      "bits_per_raw_sample", "width",
      "height", "initial_padding",
    ] where before.text(key) != nil {
      expect(
        before.text(key) == after.text(key),
        "\(what): \(key) \(before.text(key)!) -> \(after.text(key) ?? "none")")
    }
    compareDescription(before, after, what)
    if let bytes = source.samples[a] {
      // Muxers split PCM sound into packets as they like.
      expect(bytes == output.samples[b], "\(what): bytes differ")
      return
    }
    let (x, y) = (source.packets(of: a), output.packets(of: b))
    expect(x.count == y.count, "\(what): \(x.count) packets -> \(y.count)")
    let (hashes, others) = (x.map { $0.text("data_hash") }, y.map { $0.text("data_hash") })
    expect(hashes == others, "\(what): bytes differ")
    // Cover art has no times.
    if before.isAttached { return }
    let most = tolerance(before, after)
    for (p, q) in zip(x, y) {
      guard let time = p.number("pts_time") else { continue }
      let found = q.number("pts_time") ?? .nan
      guard abs(time + shift - found) > most else { continue }
      lines.append("\(what): time \(time + shift) -> \(found)")
      break
    }
  }

  /// Properties of all kinds of streams.
  private mutating func compareDescription(_ before: ProbeEntry, _ after: ProbeEntry, _ what: String) {
    let (a, b) = (before.entry("disposition").pairs, after.entry("disposition").pairs)
    // Transport streams have no default stream; other muxers set one if the source has none.
    let type = before.text("codec_type")
    let isDefaultMarked =
      output.format.text("format_name") != "mpegts"
      && source.streams.contains {
        $0.text("codec_type") == type && $0.entry("disposition").text("default") == "1"
      }
    let changed = a.keys.filter { a[$0] != b[$0] && ($0 != "default" || isDefaultMarked) }.sorted()
    expect(
      changed.isEmpty,
      "\(what): disposition \(changed.map { "\($0)=\(a[$0]!) -> \(b[$0] ?? "none")" }.joined(separator: ", "))"
    )
    compareTags(before.entry("tags"), after.entry("tags"), what)
    compareSideData(
      before.entries("side_data_list"), after.entries("side_data_list"), what, except: ["CPB properties"])
  }

  private mutating func compareTags(_ before: ProbeEntry, _ after: ProbeEntry, _ what: String) {
    func tags(_ entry: ProbeEntry) -> [String: String] {
      Dictionary(entry.pairs.map { ($0.key.lowercased(), $0.value) }) { first, _ in first }
    }
    // Properties of the old container and encoding, or created anew.
    let old = [
      "encoder", "duration", "major_brand", "minor_version", "compatible_brands", "vendor_id", "handler_name",
      "software",
    ]
    let found = tags(after)
    for (key, value) in tags(before).sorted(by: { $0.key < $1.key }) where !old.contains(key) {
      expect(found[key] == value, "\(what): tag \(key)=\(value) -> \(found[key] ?? "none")")
    }
  }

  private mutating func compareChapters() {
    func list(_ probe: Probe, _ shift: Double) -> [String] {
      probe.chapters.map {
        let times = [$0.number("start_time"), $0.number("end_time")].map {
          Int((($0 ?? 0) + shift) * 1000 + 0.5)
        }
        return "\(times[0])-\(times[1]) \($0.entry("tags").text("title") ?? "")"
      }
    }
    let (a, b) = (list(source, shift), list(output, 0))
    expect(a == b, "chapters: \(a) -> \(b)")
  }
}
