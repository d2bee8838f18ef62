// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// An inventory of everything in a source besides pictures and packets: tags, side data, dispositions, languages, chapters,
/// attachments. The finished output is read back and compared, because muxers and encoders silently drop what they do not
/// support. Every difference is reported, except intended ones, whose reasons are documented here.
struct SourceCensus: Sendable {
  /// The expected properties of a stream.
  private struct Stream: Sendable {
    let sourceIndex: Int
    let tags: [MetadataEntry]
    let language: String?
    let disposition: Int32
    let sideData: [EncodedPacket.SideData]
  }

  /// The streams by index in the output.
  private let streams: [Int: Stream]
  private let videoIndex: Int?
  private let tags: [MetadataEntry]
  private let chapterCount: Int
  private let attachmentCount: Int
  /// Whether there is nothing to compare, as with pictures and raw frames for another program.
  private let isEmpty: Bool

  /// - Parameter streams: maps indices in the source to indices in the output.
  init(_ plan: MuxerPlan, streams routes: [Int: Int]) {
    isEmpty = plan.isPicture || plan.containerName == "yuv4mpegpipe"
    tags = plan.fileMetadata.filter { !plan.isToldElsewhere($0) }
    chapterCount = plan.source.chapters.count
    attachmentCount = plan.source.streams.filter { plan.takesAttachment($0) }.count
    videoIndex = routes[plan.videoIndex]
    var streams: [Int: Stream] = [:]
    for (index, output) in routes {
      let stream = plan.source.streams[index]
      streams[output] = Stream(
        sourceIndex: index, tags: plan.expectedTags(of: index), language: stream.info.language,
        disposition: stream.disposition & Self.dispositions, sideData: stream.sideData)
    }
    self.streams = streams
  }

  /// Dispositions that matter for choosing a stream. "Default" is not one of them: containers without it play the first
  /// stream, and others set it themselves.
  private static let dispositions =
    AV_DISPOSITION_FORCED | AV_DISPOSITION_COMMENT | AV_DISPOSITION_HEARING_IMPAIRED
    | AV_DISPOSITION_VISUAL_IMPAIRED
    | AV_DISPOSITION_CLEAN_EFFECTS | AV_DISPOSITION_LYRICS | AV_DISPOSITION_KARAOKE | AV_DISPOSITION_ORIGINAL
    | AV_DISPOSITION_DUB

  /// Stream side data that affects presentation. Other types describe the old encoding (buffer sizes, encryption, statistics),
  /// or duplicate packets or tags, such as the audio service type and replay gain.
  private static let sideData: [(type: AVPacketSideDataType, name: String)] = [
    (AV_PKT_DATA_DISPLAYMATRIX, "rotation"), (AV_PKT_DATA_SPHERICAL, "360-degree data"),
    (AV_PKT_DATA_STEREO3D, "stereoscopic arrangement"),
    (AV_PKT_DATA_MASTERING_DISPLAY_METADATA, "HDR mastering display"),
    (AV_PKT_DATA_CONTENT_LIGHT_LEVEL, "HDR light level"), (AV_PKT_DATA_ICC_PROFILE, "ICC profile"),
  ]

  /// Frame side data that affects presentation. Motion vectors, quantizers, film grain that is already applied and the old
  /// encoder's description of itself belong to the old encoding.
  private static let frameData: [(type: AVFrameSideDataType, name: String)] = [
    (AV_FRAME_DATA_DYNAMIC_HDR_PLUS, "HDR10+ metadata"), (AV_FRAME_DATA_AFD, "active format descriptions"),
    (AV_FRAME_DATA_DYNAMIC_HDR_VIVID, "HDR Vivid metadata"),
  ]

  /// Everything that a file lacks, one line each.
  /// - Parameter frameData: types of side data that the source's frames had.
  func losses(in path: String, container: String, frameData: Set<UInt32>) -> [String] {
    guard !isEmpty, var reader = try? VideoReader(path: path, threads: 1) else { return [] }
    let found = reader.info.source
    func fails(_ what: String) -> String { "\(what) does not fit into \(container)" }
    var lines = Self.missing(tags, in: found.metadata).map { fails("tag \($0)") }
    for (index, stream) in streams.sorted(by: { $0.value.sourceIndex < $1.value.sourceIndex })
    where index < found.streams.count {
      let other = found.streams[index]
      let place = index == videoIndex ? "" : " of stream \(stream.sourceIndex)"
      lines += Self.missing(stream.tags, in: other.metadata).map {
        fails("tag \($0) of stream \(stream.sourceIndex)")
      }
      if let language = stream.language, language != "und", other.info.language == nil {
        lines.append(fails("language \(language) of stream \(stream.sourceIndex)"))
      }
      for (type, name) in Self.sideData
      where stream.sideData.contains(where: { $0.type == type.rawValue })
        && !other.sideData.contains(where: { $0.type == type.rawValue })
      {
        lines.append(fails(name + place))
      }
      let lost = stream.disposition & ~other.disposition
      if lost != 0 { lines.append(fails("mark \(Self.names(lost).joined(separator: ", "))\(place)")) }
    }
    if found.chapters.count < chapterCount {
      lines.append(fails("\(chapterCount - found.chapters.count) of \(chapterCount) chapters"))
    }
    let attachments = found.streams.filter { $0.info.kind == .attachment || $0.info.kind == .coverArt }.count
    if attachments < attachmentCount { lines.append(fails("\(attachmentCount - attachments) attachments")) }
    var kept: Set<UInt32> = []
    if case .frame(let frame)? = try? reader.next() { kept = frame.sideDataTypes }
    for (type, name) in Self.frameData
    where frameData.contains(type.rawValue) && !kept.contains(type.rawValue) {
      lines.append("\(name), which the encoder does not write")
    }
    return lines
  }

  /// The keys of `tags` that are missing from `found`, without duplicates.
  private static func missing(_ tags: [MetadataEntry], in found: [MetadataEntry]) -> [String] {
    let kept = Set(found.map { $0.key.lowercased() })
    var lost: [String] = []
    for tag in tags where !kept.contains(tag.key.lowercased()) && !lost.contains(tag.key) {
      lost.append(tag.key)
    }
    return lost
  }

  private static func names(_ disposition: Int32) -> [String] {
    (0..<32).compactMap { bit in
      let flag = Int32(truncatingIfNeeded: 1 << bit)
      guard disposition & flag != 0 else { return nil }
      return av_disposition_to_string(flag).map { String(cString: $0) }
    }
  }
}
