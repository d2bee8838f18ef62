// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Owns an opened input file.
struct Demuxer: ~Copyable {
  let path: String
  let context: UnsafeMutablePointer<AVFormatContext>
  /// Whether it is numbered pictures.
  let isSequence: Bool

  /// What reading a packet came to.
  enum Outcome {
    /// A packet, with the errors that FFmpeg logged on the way to it, such as damage that it skipped.
    case packet(log: [String])
    /// The end, with what FFmpeg logged about it.
    case end(log: [String])
    case failed(LibavError)
  }

  /// Opens the file and looks into its streams.
  ///
  /// The corresponding C functions are `avformat_open_input` and `avformat_find_stream_info`.
  /// - Parameter allowsPlaylists: whether a playlist is followed that the file's name does not promise.
  /// - Throws: `VideoIOError.cannotOpen`; `isPlaylist`, `badPlaylist`.
  init(path: String, allowsPlaylists: Bool = false) throws(VideoIOError) {
    let followsPlaylists = try Self.checkPlaylist(path, isAllowed: allowsPlaylists)
    var context: UnsafeMutablePointer<AVFormatContext>?
    let (url, protocols) = InputFormats.address(path)
    var options: OpaquePointer?
    // Names with % or * would be taken for picture sequences where they are none.
    let isSequence = InputFormats.isSequence(path)
    av_dict_set(&options, "pattern_type", isSequence ? "sequence" : "none", 0)
    // Pictures may be numbered from anywhere.
    if isSequence { av_dict_set(&options, "start_number_range", "1000000", 0) }
    let format = isSequence ? av_find_input_format("image2") : nil
    av_dict_set(&options, "format_whitelist", InputFormats.demuxers(playlists: followsPlaylists), 0)
    av_dict_set(&options, "protocol_whitelist", protocols, 0)
    let (opened, openLog) = LibavLog.collecting {
      avformat_open_input(&context, FileName.cString(url), format, &options)
    }
    av_dict_free(&options)
    guard opened >= 0, let raw = context else {
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
  }

  /// Whether the file is a playlist that may be followed.
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

  var streamCount: Int { Int(context.pointee.nb_streams) }

  /// The stream at an index that FFmpeg gave.
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
    if code >= 0 { return .packet(log: lines.filter(\.isError).map(\.text)) }
    let log = lines.map(\.text)
    // Some demuxers pass the end off as success while the byte stream failed.
    if code == LibavError.endOfFile.code {
      if let error = context.pointee.pb?.pointee.error, error < 0, error != code {
        return .failed(LibavError(code: error, log: log))
      }
      return .end(log: log)
    }
    return .failed(LibavError(code: code, log: log))
  }

  /// Moves to a key frame at or before a moment of the container's clock, in microseconds; where the container
  /// cannot, reading stays at its beginning.
  ///
  /// Containers look for decoding times, which lie before those of presentation by some frames.
  /// The corresponding C function is `avformat_seek_file`.
  func seek(to target: Int64) {
    _ = LibavLog.collecting { avformat_seek_file(context, -1, Int64.min, target, target, 0) }
  }

  /// Whether a frame has the same time wherever reading begins. AVI has no times of presentation; with
  /// reordered frames they are guessed from what came before.
  func hasFirmTimes(_ videoIndex: Int) -> Bool {
    let name = context.pointee.iformat?.pointee.name.map { String(cString: $0) }
    return name != "avi" || stream(videoIndex)?.pointee.codecpar?.pointee.video_delay == 0
  }

  /// Whether the announced duration is the last moment, wherever the first one is: so FFmpeg writes Matroska.
  var durationIncludesStart: Bool {
    context.pointee.iformat?.pointee.name.map { String(cString: $0).hasPrefix("matroska") } ?? false
  }

  /// Whether the container is a picture file.
  var isStillImage: Bool {
    guard let name = context.pointee.iformat?.pointee.name.map({ String(cString: $0) }) else { return false }
    return name.hasSuffix("_pipe") || name == "image2" && !isSequence
  }

  /// Checks the index of a stream to work on.
  /// - Throws: `VideoIOError.noSuchVideoStream` if there is no video of that index.
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

  /// The index of the stream to work on: never cover art; of default disposition before others, then the
  /// one with most pixels, then the first.
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

/// A name and a value of a dictionary of FFmpeg; names may repeat.
struct MetadataEntry: Sendable, Hashable {
  let key: String
  let value: String

  /// All entries in their order.
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

  /// Adds entries to a dictionary of FFmpeg.
  static func store(_ entries: [MetadataEntry], in dictionary: inout OpaquePointer?) {
    for entry in entries {
      av_dict_set(&dictionary, entry.key, entry.value, AV_DICT_MULTIKEY)
    }
  }
}
