// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Writes a video file like its source, with new frames and everything else copied.
///
/// One owner, used by one task. Writes to `<path>.part`, which `finish` renames to `path` and which is
/// removed if the writer goes out of scope earlier.
package struct VideoWriter: ~Copyable {
  /// The path as given.
  package let path: String
  /// Columns of luma.
  package let width: Int
  /// Rows of luma.
  package let height: Int
  /// The layout that frames must have.
  package let format: PixelFormat
  /// FFmpeg's name of the layout that is encoded, such as yuv420p.
  package let encodedFormat: String
  /// FFmpeg's name of the encoder in use.
  package let encoderName: String
  /// Frames written so far.
  package private(set) var frameCount = 0

  private var muxer: Muxer
  private var encoder: VideoEncoder
  private let request: VideoEncoder.Request
  private let videoIndex: Int
  private let packet: PacketOwner
  private let timeBase: Rational
  private let holdsOneFrame: Bool
  private let losesDolbyVision: Bool
  /// Whether packets go into the container; if not, the container only provides its clock and is never finished.
  private let isMuxing: Bool
  /// Warnings about a layout that was chosen by default, and about one that few players support.
  private let layoutNotes: [MediaRemark]
  private var losesCaptions = false
  /// Types of side data of the frames so far.
  private var frameData: Set<UInt32> = []
  /// Number of encoded packets.
  private var packetCount = 0
  private var encodedSizes = EncodedSizes()
  /// Times of the frames in the encoder, by the timestamps passed to it.
  private var times: [Int64: FrameTime] = [:]
  private var firstTime: FrameTime?
  private var lastTimestamp: Int64?
  private var repairCount = 0
  /// The job's segments; nil for a video that is encoded without them.
  private var segments: SegmentedStream?
  /// Frames sent to the encoder since it was opened.
  private var encodedCount = 0
  /// Whether the encoder has been flushed and accepts no more frames.
  private var isDrained = false
  private var origins: [Int] = []

  /// Opens an output and writes its header.
  ///
  /// - Parameters:
  ///   - path: the file; its extension selects the container. `-` is standard output.
  ///   - info: the source, whose other streams, tags, chapters and colour are copied.
  ///   - width: columns of the frames.
  ///   - height: rows of the frames.
  ///   - format: layout of the frames.
  ///   - color: colour of the frames; nil uses the source's. If neither specifies the matrix and players
  ///     would assume another one at the new size, the source's is written explicitly.
  ///   - timeBase: seconds per tick of the frames' timestamps; nil uses the source's.
  ///   - frameRate: average frames per second, a hint; nil uses the source's.
  ///   - overwrite: whether to replace an existing file.
  ///   - segments: the folder for finished segments; if given, the encoder restarts with each segment.
  /// - Throws: `VideoIOError` if the output exists, is the input or cannot be created, or if the encoder or
  ///   container fails.
  package init(
    path: String, like info: MediaInfo, width: Int, height: Int, format: PixelFormat,
    color: ColorDescription? = nil, timeBase: Rational? = nil, frameRate: Rational? = nil,
    settings: EncoderSettings = EncoderSettings(), overwrite: Bool = false, segments: SegmentFolder? = nil
  ) throws(VideoIOError) {
    try self.init(
      path: path, like: info, width: width, height: height, format: format, color: color, timeBase: timeBase,
      frameRate: frameRate, settings: settings, overwrite: overwrite, store: segments.map { .folder($0) },
      scratch: nil)
  }

  /// Opens a writer that joins pieces, or makes them.
  ///
  /// - Parameters:
  ///   - path: the final file.
  ///   - pieces: the folder of pieces; nil only checks that the video is supported and determines the frames'
  ///     times.
  ///   - scratch: path of a container that is never finished, for making pieces; nil joins them into `path`.
  package init(
    path: String, like info: MediaInfo, width: Int, height: Int, format: PixelFormat, timeBase: Rational,
    frameRate: Rational, settings: EncoderSettings, overwrite: Bool = false, pieces: PieceFolder?,
    scratch: String?
  ) throws(VideoIOError) {
    try self.init(
      path: path, like: info, width: width, height: height, format: format, color: nil, timeBase: timeBase,
      frameRate: frameRate, settings: settings, overwrite: overwrite, store: pieces.map { .pieces($0) },
      scratch: scratch)
  }

  private init(
    path: String, like info: MediaInfo, width: Int, height: Int, format: PixelFormat,
    color: ColorDescription?, timeBase: Rational?, frameRate: Rational?, settings: EncoderSettings,
    overwrite: Bool, store: SegmentStore?, scratch: String?
  ) throws(VideoIOError) {
    let file = try OutputFile(
      path: scratch ?? path, input: info.path, overwrite: overwrite || scratch != nil)
    let timeBase = timeBase ?? info.timeBase
    let (plan, request, note) = try Self.plan(
      for: VideoEncoder.Request(
        settings: settings, width: width, height: height, format: format,
        color: color ?? info.color(width: width, height: height), sampleAspectRatio: info.sampleAspectRatio,
        timeBase: timeBase, frameRate: frameRate ?? info.averageFrameRate),
      like: info, path: path, writingPath: file.writingPath)
    let encoder = try VideoEncoder(request)
    let packet = try PacketOwner()
    let name = encoder.name
    if store != nil || scratch != nil, plan.isPicture || name == "wrapped_avframe" {
      throw .segmentsImpossible(path: path, reason: "its frames are not encoded one after the other")
    }
    let extradata = encoder.extradata
    let muxer = try Muxer(file: file, plan: plan, video: encoder.context, overwrite: overwrite)
    let notes = [note, settings.pixelFormat == nil ? plan.playbackNote(encoder.context) : nil]
    self.path = path
    self.width = width
    self.height = height
    self.format = format
    self.timeBase = timeBase
    self.packet = packet
    encoderName = name
    encodedFormat =
      av_get_pix_fmt_name(encoder.context.pointee.pix_fmt).map { String(cString: $0) } ?? format.name
    layoutNotes = notes.compactMap { $0 }
    holdsOneFrame = plan.isPicture && !plan.isSequence
    losesDolbyVision = info.source.streams[info.videoStreamIndex].sideData.contains {
      $0.type == AV_PKT_DATA_DOVI_CONF.rawValue
    }
    self.request = request
    videoIndex = info.videoStreamIndex
    self.encoder = encoder
    self.muxer = muxer
    isMuxing = scratch == nil
    // Not by map: the result cannot be copied.
    if let store {
      segments = SegmentedStream(store, timeBase: timeBase, extradata: extradata)
    } else {
      segments = nil
    }
  }

  /// The source's streams that the output lacks, one line each with index, kind, codec and reason; also closed captions that
  /// the encoder does not write.
  package var leftOut: [MediaRemark] {
    var result = muxer.leftOut
    func add(_ what: String) {
      result.append(MediaRemark(.metadata, "\(what), which \(encoderName) does not write"))
    }
    if losesDolbyVision { add("Dolby Vision metadata") }
    if losesCaptions { add("closed captions") }
    return result
  }

  /// Warnings so far.
  package var warnings: [MediaRemark] {
    var result = encoder.layoutWarnings + layoutNotes + muxer.warnings
    if repairCount > 0 {
      result.append(
        MediaRemark(
          .times, "\(repairCount) frames had a timestamp that does not increase by a tick of the output"))
    }
    return result
  }

  /// Encodes a frame; its timestamps are in ticks of the time base passed to `init`.
  ///
  /// - Parameter origins: stored with the segment that ends with this frame, for resuming the work; must not decrease from
  ///   frame to frame.
  /// - Throws: `VideoIOError.frameMismatch` for another size or layout, `cannotEncode`, `cannotWrite`;
  ///   `holdsOneFrame` for the second frame of a picture file.
  package mutating func write(_ frame: VideoFrame, origins: [Int] = []) throws(VideoIOError) {
    guard frame.width == width, frame.height == height, frame.format == format else {
      throw .frameMismatch(path: path, expected: "\(width)x\(height) \(format)", found: frame.shapeText)
    }
    if frame.hasCaptions, !encoder.writesCaptions { losesCaptions = true }
    frameData.formUnion(frame.sideDataTypes)
    if holdsOneFrame, frameCount > 0 { throw .holdsOneFrame(path: path) }
    if segments?.isRecording == false { try beginSegment() }
    let time = place(frame.presentationTimestamp, duration: frame.duration)
    self.origins = origins
    if firstTime == nil { firstTime = time }
    let key = encoder.countsFrames ? Int64(encodedCount) : time.presentation
    times[key] = time
    frameCount += 1
    encodedCount += 1
    try segments?.record(time)
    do throws(LibavError) {
      try encoder.send(frame, at: key)
    } catch {
      throw .cannotEncode(path: path, reason: error)
    }
    try drain()
    if let length = segments?.segmentFrames, frameCount % length == 0 { try endSegment() }
  }

  /// Skips a frame of a finished segment: only its times are needed, as its packets come from the segment.
  ///
  /// - Throws: `VideoIOError.segmentsDamaged` if it differs from the frame in the segment; `cannotWrite`.
  package mutating func skip(presentationTimestamp: Int64, duration: Int64) throws(VideoIOError) {
    let time = place(presentationTimestamp, duration: duration)
    try segments?.pass(frameCount, time)
    frameCount += 1
    try replayPackets()
  }

  /// Skips a frame that belongs to another piece than the one being made: only its times are needed.
  /// - Returns: its time in the output.
  @discardableResult
  package mutating func pass(presentationTimestamp: Int64, duration: Int64) -> FrameTime {
    frameCount += 1
    return place(presentationTimestamp, duration: duration)
  }

  /// Writes the packets of the next frame from its piece.
  /// - Returns: its time, in ticks of the time base given at opening; nil without segments.
  /// - Throws: `VideoIOError.segmentsDamaged`, `cannotWrite`.
  package mutating func replay() throws(VideoIOError) -> FrameTime? {
    guard let time = try segments?.next(frameCount) else { return nil }
    frameCount += 1
    lastTimestamp = time.presentation
    try replayPackets()
    return time
  }

  /// Adds the record of a piece, for warnings at the end.
  package mutating func note(_ piece: PieceRecord) {
    frameData.formUnion(piece.frameData)
    if piece.losesCaptions { losesCaptions = true }
  }

  /// Completes the last piece and removes the container.
  package consuming func finishPieces() throws(VideoIOError) {
    try emptyEncoder()
    let facts = facts
    try segments?.commit(origins: origins, facts: facts)
  }

  /// Flushes the encoder of a writer created for a trial, and removes its container.
  /// - Returns: the sizes of the encoded packets.
  package consuming func finishTrial() throws(VideoIOError) -> EncodedSizes {
    try emptyEncoder()
    return encodedSizes
  }

  private var facts: SegmentStore.Facts {
    SegmentStore.Facts(frameData: frameData, losesCaptions: losesCaptions)
  }

  private mutating func replayPackets() throws(VideoIOError) {
    while let kept = try segments?.nextPacket(streamIndex: videoIndex) {
      av_packet_unref(packet.raw)
      try kept.store(in: packet.raw)
      packetCount += 1
      try muxer.writeVideo(packet, timeBase: timeBase)
    }
  }

  /// A frame's times, with a presentation time that increases even in the container's ticks.
  private mutating func place(_ timestamp: Int64, duration: Int64) -> FrameTime {
    var presentation = timestamp
    if let last = lastTimestamp {
      let ticks = muxer.videoTimeBase
      let lastTick = timeBase.rescale(last, to: ticks)
      if presentation <= last || timeBase.rescale(presentation, to: ticks) <= lastTick {
        repairCount += 1
        presentation = max(last.saturatingPlus(1), ticks.rescale(lastTick.saturatingPlus(1), to: timeBase))
      }
    }
    lastTimestamp = presentation
    return FrameTime(presentation: presentation, duration: duration)
  }

  // MARK: - Segments

  private mutating func beginSegment() throws(VideoIOError) {
    if isDrained || encodedCount > 0 {
      encoder = try VideoEncoder(request)
      times = [:]
      firstTime = nil
      encodedCount = 0
      isDrained = false
    }
    try segments?.begin(frameCount, extradata: encoder.extradata)
  }

  private mutating func endSegment() throws(VideoIOError) {
    try emptyEncoder()
    let facts = facts
    try segments?.commit(origins: origins, facts: facts)
  }

  /// Flushes the encoder.
  private mutating func emptyEncoder() throws(VideoIOError) {
    if isDrained || (segments != nil && encodedCount == 0) { return }
    do throws(LibavError) {
      try encoder.finish()
    } catch {
      throw .cannotEncode(path: path, reason: error)
    }
    try drain()
    isDrained = true
  }

  /// Copies a packet of another stream of the source.
  /// - Throws: `VideoIOError.cannotWrite`.
  package mutating func write(_ packet: EncodedPacket) throws(VideoIOError) {
    try muxer.copy(packet)
  }

  /// Writes a frame or a packet.
  package mutating func write(_ item: MediaItem) throws(VideoIOError) {
    switch item {
    case .frame(let frame): try write(frame)
    case .packet(let packet): try write(packet)
    }
  }

  /// Flushes the encoder, completes the file and renames it to its target.
  ///
  /// - Returns: the parts of the source that the file lacks, such as tags that the container does not support, one line each;
  ///   determined by reading the file back.
  /// - Throws: `VideoIOError.cannotEncode`, `cannotWrite`; in that case no file is left.
  @discardableResult
  package consuming func finish() throws(VideoIOError) -> [MediaRemark] {
    try emptyEncoder()
    let facts = facts
    try segments?.commit(origins: origins, facts: facts)
    // All frames of an animated WebP file are one packet.
    let dropped = encoderName == "libwebp_anim" ? 0 : frameCount - packetCount
    let lost = dropped > 0 ? [MediaRemark(.frames, "\(dropped) frames, which \(encoderName) dropped")] : []
    return lost + (try muxer.finish(frameData: frameData))
  }

  /// Writes the packets that are ready.
  private mutating func drain() throws(VideoIOError) {
    while true {
      let outcome: VideoEncoder.Outcome
      do throws(LibavError) {
        outcome = try encoder.receive(into: packet)
      } catch {
        throw .cannotEncode(path: path, reason: error)
      }
      guard case .packet = outcome else { return }
      packetCount += 1
      encodedSizes.add(packet)
      restoreTimes()
      try segments?.record(packet)
      if isMuxing { try muxer.writeVideo(packet, timeBase: timeBase) }
    }
  }

  /// Restores the source's times and duration in a packet.
  private mutating func restoreTimes() {
    let raw = packet.raw
    let key = raw.pointee.pts
    let time = times[key]
    if encoder.countsFrames {
      raw.pointee.dts = timestamp(ofFrame: raw.pointee.dts)
      if let time { raw.pointee.pts = time.presentation }
      // Frames before this one's decoding time are no longer needed.
      times = times.filter { $0.key >= key.saturatingMinus(64) }
    } else {
      times[key] = nil
    }
    raw.pointee.duration = time?.duration ?? 0
  }

  /// The decoding time for a frame number, for encoders that count frames.
  private func timestamp(ofFrame number: Int64) -> Int64 {
    if number == noTimestamp { return noTimestamp }
    if let time = times[number] { return time.presentation }
    let step = max(firstTime?.duration ?? 1, 1)
    return (firstTime?.presentation ?? 0).saturatingPlus(min(number, 0).saturatingTimes(step))
  }
}
