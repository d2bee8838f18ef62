// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Owns an open input file.
struct Demuxer: ~Copyable {
  let path: String
  let context: UnsafeMutablePointer<AVFormatContext>
  /// Whether the input is a sequence of numbered pictures.
  let isSequence: Bool
  /// Where the codec of a transport stream changes; reading ends there.
  let codecChange: CodecChange?
  /// Whether a stream of an MP4 file has a time scale of 0. FFmpeg takes it for 1, by which its edit list leaves
  /// almost nothing.
  let lacksTimeScale: Bool

  /// The result of reading a packet.
  enum Outcome {
    /// A packet, with the errors that FFmpeg logged before it, such as skipped damage.
    case packet(log: [String])
    /// The end, with what FFmpeg logged there.
    case end(log: [String])
    case failed(LibavError)
  }

  /// Opens the file and probes its streams.
  ///
  /// The corresponding C functions are `avformat_open_input` and `avformat_find_stream_info`.
  /// - Parameters:
  ///   - allowsPlaylists: whether to follow a playlist even if the file's name does not indicate one.
  ///   - ignoresEditLists: whether all of the media in an MP4 file is read, whatever its edit lists select.
  /// - Throws: `VideoIOError.cannotOpen`; `isPlaylist`, `badPlaylist`.
  init(path: String, allowsPlaylists: Bool = false, ignoresEditLists: Bool = false) throws(VideoIOError) {
    let followsPlaylists = try Self.checkPlaylist(path, isAllowed: allowsPlaylists)
    var context: UnsafeMutablePointer<AVFormatContext>?
    let change = InputFormats.isOnDisk(path) ? CodecChange.find(in: path) : nil
    let (url, protocols) = InputFormats.address(path, end: change?.offset)
    var options: OpaquePointer?
    // Otherwise, names with % or * would be mistaken for picture sequences.
    let isSequence = InputFormats.isSequence(path)
    av_dict_set(&options, "pattern_type", isSequence ? "sequence" : "none", 0)
    // Numbering may start anywhere.
    if isSequence { av_dict_set(&options, "start_number_range", "1000000", 0) }
    let format = isSequence ? av_find_input_format("image2") : nil
    av_dict_set(&options, "format_whitelist", InputFormats.demuxers(playlists: followsPlaylists), 0)
    av_dict_set(&options, "protocol_whitelist", protocols, 0)
    InputFormats.setNetworkOptions(&options, for: path)
    if ignoresEditLists { av_dict_set(&options, "ignore_editlist", "1", 0) }
    // Without it, parameters of streams that begin in a later part of a transport stream stay unknown.
    av_dict_set(&options, "scan_all_pmts", "1", 0)
    let (opened, openLog) = LibavLog.collecting {
      avformat_open_input(&context, FileName.cString(url), format, &options)
    }
    av_dict_free(&options)
    guard opened >= 0, let raw = context else {
      if InputFormats.isEmpty(path) { throw .emptyFile(path: path) }
      let isForeign = openLog.contains { $0.contains("whitelist") }
      let reason = isForeign ? .invalidData : LibavError(code: opened, log: openLog)
      throw .cannotOpen(path: path, reason: reason)
    }
    let (found, findLog) = LibavLog.collecting { avformat_find_stream_info(raw, nil) }
    guard found >= 0 else {
      avformat_close_input(&context)
      throw .cannotOpen(path: path, reason: LibavError(code: found, log: findLog))
    }
    self.path = path
    self.context = raw
    self.isSequence = isSequence
    codecChange = change
    lacksTimeScale = openLog.contains { $0.contains("mdhd time scale 0") }
    if !ignoresEditLists { keepFramesAtTheEnd() }
  }

  /// Whether the file is a playlist; throws if it must not be followed.
  private static func checkPlaylist(_ path: String, isAllowed: Bool) throws(VideoIOError) -> Bool {
    guard Playlist.isOne(path) else { return false }
    guard isAllowed || Playlist.isNamed(path) else { throw .isPlaylist(path: path) }
    try Playlist.check(path)
    return true
  }

  deinit {
    var context: UnsafeMutablePointer<AVFormatContext>? = context
    avformat_close_input(&context)
  }

  /// The name of FFmpeg's demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2`.
  var formatName: String? { context.pointee.iformat?.pointee.name.map { String(cString: $0) } }

  var streamCount: Int { Int(context.pointee.nb_streams) }

  /// The stream at an index.
  func stream(_ index: Int) -> UnsafeMutablePointer<AVStream>? {
    guard index >= 0, index < streamCount else { return nil }
    return context.pointee.streams[index]
  }

  /// Reads the next packet of any stream.
  ///
  /// The corresponding C function is `av_read_frame`.
  func read(into packet: borrowing PacketOwner) -> Outcome {
    av_packet_unref(packet.raw)
    var code: Int32 = 0
    var lines: [LibavLog.Line] = []
    for _ in 0..<1000 {
      (code, lines) = LibavLog.collectingLines { av_read_frame(context, packet.raw) }
      if code != LibavError.again.code { break }
    }
    // Logged for a connection that was closed and then reopened, without loss; otherwise, reading fails.
    if code >= 0 || code == LibavError.endOfFile.code {
      lines.removeAll { $0.text.hasPrefix("Stream ends prematurely") }
    }
    if code >= 0 { return .packet(log: lines.filter(\.isError).map(\.text)) }
    let log = lines.map(\.text)
    // FFmpeg 5.1 compares the end of a file whose server announces no length with a length of 2^64-1.
    if log.contains(where: { $0.hasSuffix("should be \(UInt64.max)") }) { return .end(log: []) }
    // Some demuxers report a normal end although reading failed.
    if code == LibavError.endOfFile.code {
      if let error = context.pointee.pb?.pointee.error, error < 0, error != code {
        return .failed(LibavError(code: error, log: log))
      }
      return .end(log: log)
    }
    return .failed(LibavError(code: code, log: log))
  }

  /// Seeks to a key frame at or before a time on the container's clock, in microseconds; if the container does
  /// not support that, reading stays at the beginning.
  ///
  /// Containers search by decoding time, which is some frames earlier than the presentation time.
  /// The corresponding C function is `avformat_seek_file`.
  func seek(to target: Int64) {
    _ = LibavLog.collecting { avformat_seek_file(context, -1, Int64.min, target, target, 0) }
  }

  /// Whether a frame's time does not depend on where reading starts. AVI has no presentation times; with
  /// reordered frames, they are guessed from earlier packets.
  func hasFirmTimes(_ videoIndex: Int) -> Bool {
    formatName != "avi" || stream(videoIndex)?.pointee.codecpar?.pointee.video_delay == 0
  }

  /// Whether the announced duration is the end time regardless of the start time, as FFmpeg writes it in Matroska.
  var durationIncludesStart: Bool {
    formatName?.hasPrefix("matroska") == true
  }

  /// Whether the video's data cannot be reached because it precedes its index and the input is not seekable.
  var hasIndexBehindData: Bool {
    formatName?.hasPrefix("mov") == true && context.pointee.pb?.pointee.seekable == 0
  }

  /// A second file behind the first, of which FFmpeg reads nothing; nil if there is none.
  ///
  /// - Parameter end: where the last packet ends, in bytes; 0 if unknown.
  func joinedFile(behind end: Int) -> JoinedFile? {
    guard end > 0, isOnDisk, let containers = formatName.flatMap(JoinedFile.containers(behind:)) else {
      return nil
    }
    return JoinedFile.find(in: path, behind: end, containers: containers)
  }

  /// A second Matroska file between two packets, of which FFmpeg reads only the packets, that has other decoder parameters than
  /// some of the streams; nil if there is none.
  func otherMatroska(in gap: Range<Int>, parameters: [[UInt8]]) -> JoinedFile? {
    guard isOnDisk, !parameters.isEmpty else { return nil }
    return JoinedFile.matroska(in: path, gap: gap, lacking: parameters)
  }

  /// Whether the input is a file that can be read again.
  var isOnDisk: Bool { !isSequence && InputFormats.isOnDisk(path) }

  /// The number of frames of the video in the index of an AVI file; nil for all other files. FFmpeg skips entries whose frames
  /// are not where they should be. Parsers may split or join frames of H.264 and HEVC.
  func indexedFrameCount(_ videoIndex: Int) -> Int? {
    guard formatName == "avi", let stream = stream(videoIndex),
      let codec = stream.pointee.codecpar?.pointee.codec_id,
      codec != AV_CODEC_ID_H264, codec != AV_CODEC_ID_HEVC
    else { return nil }
    let count = Int(avformat_index_get_entries_count(stream))
    return count > 0 ? count : nil
  }

  /// Whether the container may have edit lists.
  var mayHaveEditLists: Bool { formatName?.hasPrefix("mov") == true && isOnDisk }

  /// Whether the container is a picture file.
  var isStillImage: Bool {
    guard let name = formatName else { return false }
    return name.hasSuffix("_pipe") || name == "image2" && !isSequence
  }

  /// Checks the index of the requested video stream.
  /// - Throws: `VideoIOError.noSuchVideoStream` if there is no video stream with this index.
  func videoStream(_ index: Int) throws(VideoIOError) -> Int {
    if isMovingPicture(index) { return index }
    var videos: [Int] = []
    for other in 0..<streamCount where isMovingPicture(other) { videos.append(other) }
    throw .noSuchVideoStream(path: path, index: index, videos: videos)
  }

  private func isMovingPicture(_ index: Int) -> Bool {
    guard let stream = stream(index)?.pointee, stream.codecpar?.pointee.codec_type == AVMEDIA_TYPE_VIDEO
    else {
      return false
    }
    return stream.disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS) == 0
  }

  /// The index of the best video stream: never cover art; streams of default disposition before others, then
  /// by most pixels, then the first.
  func bestVideoStream() throws(VideoIOError) -> Int {
    var best: (index: Int, rank: (Int, Int64))?
    for index in 0..<streamCount {
      guard isMovingPicture(index), let stream = stream(index)?.pointee,
        let parameters = stream.codecpar?.pointee
      else { continue }
      let hasDecoder = avcodec_find_decoder(parameters.codec_id) != nil
      let isDefault = stream.disposition & AV_DISPOSITION_DEFAULT != 0
      let rank = (
        (hasDecoder ? 2 : 0) + (isDefault ? 1 : 0), Int64(parameters.width) * Int64(parameters.height)
      )
      if let best, best.rank >= rank { continue }
      best = (index, rank)
    }
    guard let best else { throw .noVideoStream(path: path) }
    return best.index
  }
}

/// An entry of an FFmpeg dictionary; keys may repeat.
struct MetadataEntry: Sendable, Hashable {
  let key: String
  let value: String

  /// All entries in order.
  static func entries(of dictionary: OpaquePointer?) -> [MetadataEntry] {
    var result: [MetadataEntry] = []
    var entry: UnsafeMutablePointer<AVDictionaryEntry>?
    while let next = av_dict_get(dictionary, "", entry, AV_DICT_IGNORE_SUFFIX) {
      if let key = next.pointee.key, let value = next.pointee.value {
        result.append(MetadataEntry(key: String(cString: key), value: String(cString: value)))
      }
      entry = next
    }
    return result
  }

  /// Adds entries to an FFmpeg dictionary.
  static func store(_ entries: [MetadataEntry], in dictionary: inout OpaquePointer?) {
    for entry in entries {
      av_dict_set(&dictionary, entry.key, entry.value, AV_DICT_MULTIKEY)
    }
  }
}
