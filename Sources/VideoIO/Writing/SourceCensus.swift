// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// An inventory of everything in a source besides pictures and packets: tags, side data, dispositions, languages, chapters,
/// attachments. The finished output is read back and compared, because muxers and encoders silently drop what they do not
/// support. Every difference is reported, except intended ones, which are listed here with their reasons: what is not listed is
/// reported under FFmpeg's name for it. The programs of a transport stream are its own structure, and not compared.
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

  /// The colour of the encoded frames.
  private let color: ColorDescription

  /// - Parameters:
  ///   - streams: maps indices in the source to indices in the output.
  ///   - video: the encoder.
  init(_ plan: MuxerPlan, streams routes: [Int: Int], video: UnsafePointer<AVCodecContext>) {
    color = ColorDescription(encoder: video)
    isEmpty = plan.isPicture || plan.containerName == "yuv4mpegpipe"
    tags = plan.fileMetadata.filter { !plan.isStoredElsewhere($0) }
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

  /// The dispositions to compare. Three are excluded: "default", which some containers lack and others set themselves; attached
  /// pictures, which are counted; and still images, which have a single frame.
  private static let dispositions =
    ~(AV_DISPOSITION_DEFAULT | AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_STILL_IMAGE)

  /// Stream side data that may be dropped: it describes the old encoding (buffer sizes, encryption, statistics, palettes), or
  /// repeats packets or tags, such as the audio service type and replay gain. Dolby Vision is reported by the writer.
  private static let intendedSideData = Set(
    [
      AV_PKT_DATA_CPB_PROPERTIES, AV_PKT_DATA_QUALITY_STATS, AV_PKT_DATA_FALLBACK_TRACK,
      AV_PKT_DATA_ENCRYPTION_INIT_INFO, AV_PKT_DATA_ENCRYPTION_INFO, AV_PKT_DATA_PALETTE,
      AV_PKT_DATA_NEW_EXTRADATA, AV_PKT_DATA_PARAM_CHANGE, AV_PKT_DATA_SKIP_SAMPLES,
      AV_PKT_DATA_AUDIO_SERVICE_TYPE, AV_PKT_DATA_REPLAYGAIN, AV_PKT_DATA_DOVI_CONF,
    ].map(\.rawValue))

  /// Frame side data that may be dropped: properties of the old encoding (motion vectors, quantizers, the encoder's own
  /// description, film grain that has been applied, GOP timecodes), and data that is compared or reported for the stream.
  private static let intendedFrameData = Set(
    [
      AV_FRAME_DATA_MOTION_VECTORS, AV_FRAME_DATA_VIDEO_ENC_PARAMS, AV_FRAME_DATA_REGIONS_OF_INTEREST,
      AV_FRAME_DATA_SEI_UNREGISTERED, AV_FRAME_DATA_FILM_GRAIN_PARAMS, AV_FRAME_DATA_GOP_TIMECODE,
      AV_FRAME_DATA_PANSCAN, AV_FRAME_DATA_DETECTION_BBOXES, AV_FRAME_DATA_A53_CC,
      AV_FRAME_DATA_DOVI_RPU_BUFFER, AV_FRAME_DATA_DOVI_METADATA, AV_FRAME_DATA_DISPLAYMATRIX,
      AV_FRAME_DATA_STEREO3D, AV_FRAME_DATA_SPHERICAL, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA,
      AV_FRAME_DATA_CONTENT_LIGHT_LEVEL, AV_FRAME_DATA_ICC_PROFILE,
    ].map(\.rawValue))

  /// Returns a user-friendly name for a type of side data; FFmpeg's name for types that are not listed.
  private static func name(ofSideData type: UInt32) -> String {
    switch AVPacketSideDataType(type) {
    case AV_PKT_DATA_DISPLAYMATRIX: "rotation"
    case AV_PKT_DATA_SPHERICAL: "360-degree data"
    case AV_PKT_DATA_STEREO3D: "stereoscopic arrangement"
    case AV_PKT_DATA_MASTERING_DISPLAY_METADATA: "HDR mastering display"
    case AV_PKT_DATA_CONTENT_LIGHT_LEVEL: "HDR light level"
    case AV_PKT_DATA_ICC_PROFILE: "ICC profile"
    case let other:
      av_packet_side_data_name(other).map { String(cString: $0) } ?? "side data of type \(type)"
    }
  }

  private static func name(ofFrameData type: UInt32) -> String {
    switch AVFrameSideDataType(type) {
    case AV_FRAME_DATA_DYNAMIC_HDR_PLUS: "HDR10+ metadata"
    case AV_FRAME_DATA_AFD: "active format descriptions"
    case AV_FRAME_DATA_DYNAMIC_HDR_VIVID: "HDR Vivid metadata"
    case AV_FRAME_DATA_S12M_TIMECODE: "timecodes in the frames"
    case let other:
      av_frame_side_data_name(other).map { String(cString: $0) } ?? "side data of type \(type) in the frames"
    }
  }

  /// Everything that a file lacks, one line each.
  /// - Parameter frameData: types of side data that the source's frames had.
  func losses(in path: String, container: String, frameData: Set<UInt32>) -> [String] {
    guard !isEmpty, var reader = try? VideoReader(path: path, threads: 1) else { return [] }
    let found = reader.info.source
    func fails(_ what: String) -> String { "\(what), which does not fit into \(container)" }
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
      let kept = Set(other.sideData.map(\.type)).union(Self.intendedSideData)
      for type in stream.sideData.map(\.type) where !kept.contains(type) {
        let hint = type == AV_PKT_DATA_DISPLAYMATRIX.rawValue ? "; mp4 and mov keep it" : ""
        lines.append(fails(Self.name(ofSideData: type) + place) + hint)
      }
      let lost = stream.disposition & ~other.disposition
      if lost != 0 { lines.append(fails("mark \(Self.names(lost).joined(separator: ", "))\(place)")) }
    }
    if let lost = Self.missing(color, in: reader.info) { lines.append(fails("colour \(lost)")) }
    if found.chapters.count < chapterCount {
      lines.append(fails("\(chapterCount - found.chapters.count) of \(chapterCount) chapters"))
    }
    let attachments = found.streams.filter { $0.info.kind == .attachment || $0.info.kind == .coverArt }.count
    if attachments < attachmentCount { lines.append(fails("\(attachmentCount - attachments) attachments")) }
    var kept: Set<UInt32> = []
    if case .frame(let frame)? = try? reader.next() { kept = frame.sideDataTypes }
    for type in frameData.subtracting(kept).subtracting(Self.intendedFrameData).sorted() {
      lines.append("\(Self.name(ofFrameData: type)), which the encoder does not write")
    }
    return lines
  }

  /// The properties of a colour that are missing from a file and differ from those that players assume; nil if there are none.
  private static func missing(_ color: ColorDescription, in info: MediaInfo) -> String? {
    let (found, code) = (info.color, av_get_pix_fmt(info.sourceFormatName))
    var lost: [String] = []
    // BT.709 and BT.601 have nearly the same primaries and transfer.
    if found.primaries == 2, ![1, 2, 4, 5, 6, 7].contains(color.primaries) {
      lost.append(color.primariesName)
    }
    if found.transfer == 2, ![1, 2, 4, 5, 6, 7, 14, 15].contains(color.transfer) {
      lost.append(color.transferName)
    }
    if !PixelFormat.isRGB(code.rawValue) {
      let matrix = found.assumingDefaults(width: info.width, height: info.height).matrix
      if found.matrix == 2, ![0, 2].contains(color.matrix), !FrameIntake.isSameMatrix(matrix, color.matrix) {
        lost.append("matrix \(color.matrixName)")
      }
      if found.range == 0, color.range == 2, !info.format.isGray { lost.append("full range") }
    }
    return lost.isEmpty ? nil : lost.joined(separator: ", ")
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
