// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Owns a container being written, and its file.
struct Muxer: ~Copyable {
  /// The output stream of a source stream.
  struct Route {
    let outputIndex: Int
    let timeBase: Rational
    /// Kind and codec, for messages.
    let name: String
    /// Last decoding timestamp in the output's ticks.
    var lastTimestamp: Int64?
    var nextTimestamp: Int64?
    /// Ticks between the last two packets.
    var lastStep: Int64 = 0
    /// The header of the last AAC packet, if packets have one.
    var soundHeader: ADTSHeader?
    /// Generates decoding times for packets that have none.
    var order: DecodingOrder
    /// nil for other containers.
    let matroska: MatroskaTimes?
    var isBroken = false
    /// Packets of sound before the beginning that an edit list selects, of which decoders need the last ones.
    var preroll: [EncodedPacket] = []
    /// The last packets, if the container did not accept them.
    var rejection: RejectedPackets?
    /// How many packets before them were not accepted.
    var rejectedCount = 0
  }

  private let context: MuxerContext
  private let file: OutputFile
  /// The numbered pictures, for which `file` only serves as a lock against other runs; nil for all other outputs.
  private var pictures: PictureSequence?
  private let packet: PacketOwner
  private var routes: [Int: Route]
  private let videoIndex: Int
  /// Subtracted from all timestamps, in microseconds.
  private let shift: Int64
  private let isStrict: Bool
  private let census: SourceCensus
  private let containerName: String
  private let makesItsFiles: Bool
  private var cutCount = 0
  private var written: WrittenFile
  /// The lowest negative presentation time, in microseconds.
  private var lowestTime: Int64 = 0
  private let movesChapters: Bool
  /// Converters of streams that the container does not support, by their indices in the source.
  private let converters: [Int: any StreamConverter]
  /// Whether packets without a duration get that of the packet before: MP4 shows nothing of the last one otherwise.
  private let needsDurations: Bool
  /// Seconds per frame if all last equally long.
  private let frameLength: Double?
  /// Whether the container can mark packets that are not presented, by an edit list.
  private let hasEditLists: Bool
  /// Whether sound may change its parameters, since each packet has its own.
  private let keepsHeaders: Bool
  /// What the container does not support, although it seems to be there when the output is read back.
  private let unheld: [String]
  /// Remarks about converted streams.
  private let conversions: [MediaRemark]

  /// Streams that the container does not accept, one line each.
  private(set) var leftOut: [MediaRemark]

  /// Creates the file and writes its header.
  ///
  /// - Parameters:
  ///   - video: the encoder of stream `videoIndex`.
  ///   - overwrite: whether existing numbered pictures may be replaced.
  /// - Throws: `VideoIOError.cannotCreate`, `containerRefusesVideo`, `encoderOption` for container options.
  init(
    file: consuming OutputFile, plan: MuxerPlan, video: UnsafePointer<AVCodecContext>, overwrite: Bool
  ) throws(VideoIOError) {
    let pictures: PictureSequence?
    if plan.isSequence {
      pictures = try PictureSequence.open(plan.path, overwrite: overwrite)
    } else {
      pictures = nil
    }
    let choice = try plan.chooseStreams(video: video)
    let accepted = choice.accepted
    let path = file.path
    let context = try plan.build(
      streams: accepted, converters: choice.converters, video: video, path: path)
    try context.open(file.writingPath, path: path)
    try plan.writeHeader(context, path: path)
    var routes: [Int: Route] = [:]
    var index = 0
    for stream in plan.source.streams where accepted.contains(stream.info.index) {
      defer { index += 1 }
      if plan.isAttachment(stream) { continue }
      guard let output = context.raw.pointee.streams[index] else { throw .outOfMemory }
      routes[stream.info.index] = Route(
        outputIndex: index, timeBase: Rational(output.pointee.time_base),
        name: "\(stream.info.kind.rawValue), \(stream.info.codecName)",
        order: DecodingOrder(delay: Int(stream.parameters.raw.pointee.video_delay)),
        matroska: plan.isMatroska ? MatroskaTimes(output) : nil)
    }
    let packet = try PacketOwner()
    var written = WrittenFile()
    for (sourceIndex, route) in routes {
      guard let parameters = context.raw.pointee.streams[route.outputIndex]?.pointee.codecpar else {
        throw .outOfMemory
      }
      written.streams[route.outputIndex] = WrittenFile.Stream(
        kind: parameters.pointee.codec_type, timeBase: route.timeBase)
      if sourceIndex == plan.videoIndex { written.videoIndex = route.outputIndex }
    }
    isStrict = context.raw.pointee.oformat.pointee.flags & AVFMT_TS_NONSTRICT == 0
    self.packet = packet
    self.written = written
    self.routes = routes
    leftOut = choice.leftOut
    converters = choice.converters
    conversions = choice.conversions
    self.context = context
    self.file = file
    self.pictures = pictures
    videoIndex = plan.videoIndex
    shift = plan.shift
    census = SourceCensus(plan, streams: routes.mapValues(\.outputIndex), video: video)
    makesItsFiles = plan.format.pointee.flags & AVFMT_NOFILE != 0
    containerName = plan.containerName
    movesChapters = plan.writesChaptersLast
    needsDurations = plan.isQuickTime
    hasEditLists = plan.isQuickTime
    frameLength = plan.constantFrameLength
    keepsHeaders = plan.containerName == "mpegts"
    unheld = plan.unheld
  }

  /// Seconds per tick of the video stream in the container.
  var videoTimeBase: Rational { routes[videoIndex]?.timeBase ?? microseconds }

  /// Writes an encoder packet whose times are in `timeBase`.
  mutating func writeVideo(_ packet: borrowing PacketOwner, timeBase: Rational) throws(VideoIOError) {
    guard let route = routes[videoIndex] else { return }
    prepare(packet.raw, from: timeBase, route: route, streamIndex: videoIndex)
    pictures?.begin()
    written.streams[route.outputIndex]?.note(packet.raw)
    let (code, log) = LibavLog.collecting { av_interleaved_write_frame(context.raw, packet.raw) }
    guard code >= 0 else { throw .cannotWrite(path: file.path, reason: LibavError(code: code, log: log)) }
  }

  /// Copies or converts a packet of another stream; ignores streams that are left out.
  ///
  /// Packets that the container rejects are left out, and a stream from where it has several of them in a row.
  /// - Throws: `VideoIOError.cannotWrite` if the file itself cannot be written.
  mutating func copy(_ encoded: EncodedPacket) throws(VideoIOError) {
    let index = encoded.streamIndex
    guard index != videoIndex, let route = routes[index], !route.isBroken else { return }
    if let converter = converters[index] { return try convert(encoded, by: converter, of: index) }
    if !hasEditLists, written.streams[route.outputIndex]?.kind == AVMEDIA_TYPE_AUDIO {
      if encoded.flags & AV_PKT_FLAG_DISCARD != 0 { return hold(encoded, of: index) }
      routes[index]?.preroll = []
      for packet in route.preroll { try copyUnchanged(packet) }
    }
    try copyUnchanged(encoded)
  }

  /// Keeps a packet of sound that is not presented, and drops those that are not needed to decode what follows it.
  private mutating func hold(_ encoded: EncodedPacket, of index: Int) {
    guard var preroll = routes[index]?.preroll else { return }
    preroll.append(encoded)
    func seconds(_ packet: EncodedPacket) -> Double {
      Double(packet.presentationTimestamp ?? 0) * packet.timeBase.doubleValue
    }
    // 80 ms suffice for Opus, which needs the most; one packet is always kept.
    while preroll.count > 1, seconds(encoded) - seconds(preroll[0]) > 0.08 { preroll.removeFirst() }
    routes[index]?.preroll = preroll
  }

  private mutating func copyUnchanged(_ encoded: EncodedPacket) throws(VideoIOError) {
    let index = encoded.streamIndex
    guard let route = routes[index], !route.isBroken else { return }
    let parameters = context.raw.pointee.streams[route.outputIndex]?.pointee.codecpar
    if !keepsHeaders, parameters?.pointee.codec_id == AV_CODEC_ID_AAC {
      let header = ADTSHeader(encoded.bytes)
      // Without its header, or with one that does not fit, a packet is damaged or of another codec.
      if let known = route.soundHeader, known != header {
        let time = encoded.presentationTimestamp.map { Double($0) * encoded.timeBase.doubleValue }
        let change = header.map { "its sound changes from \(known) to \($0)" } ?? "packet without its header"
        return reject(index, at: time, reason: LibavError(code: LibavError.invalidData.code, log: [change]))
      }
      routes[index]?.soundHeader = header
    }
    av_packet_unref(packet.raw)
    // FFmpeg's Matroska muxer writes new audio extradata over whatever follows the old, which makes the file unreadable.
    let ignored: Set<UInt32> = route.matroska == nil ? [] : [AV_PKT_DATA_NEW_EXTRADATA.rawValue]
    try encoded.store(in: packet.raw, without: ignored)
    try writePacket(of: index, from: encoded.timeBase)
  }

  /// Converts a packet; nil ends the stream.
  private mutating func convert(
    _ encoded: EncodedPacket?, by converter: any StreamConverter, of index: Int
  ) throws(VideoIOError) {
    do throws(LibavError) {
      try converter.push(encoded)
    } catch {
      return breakOff(index, at: nil, reason: error)
    }
    while routes[index]?.isBroken == false {
      let isThere: Bool
      do throws(LibavError) { isThere = try converter.next(into: packet) } catch {
        return breakOff(index, at: nil, reason: error)
      }
      guard isThere else { return }
      try writePacket(of: index, from: converter.timeBase)
    }
  }

  /// Writes `packet`, which belongs to another stream than the video.
  private mutating func writePacket(of index: Int, from timeBase: Rational) throws(VideoIOError) {
    guard let route = routes[index] else { return }
    let time = packet.raw.pointee.pts
    prepare(packet.raw, from: timeBase, route: route, streamIndex: index)
    let record = written.streams[route.outputIndex]
    written.streams[route.outputIndex]?.note(packet.raw)
    let (code, log) = LibavLog.collecting { av_interleaved_write_frame(context.raw, packet.raw) }
    if code >= 0 {
      routes[index]?.rejectedCount += route.rejection?.count ?? 0
      routes[index]?.rejection = nil
      return
    }
    written.streams[route.outputIndex] = record
    let reason = LibavError(code: code, log: log)
    if let error = context.raw.pointee.pb?.pointee.error, error < 0 {
      throw .cannotWrite(path: file.path, reason: reason)
    }
    if code == LibavError.outOfMemory.code { throw .cannotWrite(path: file.path, reason: reason) }
    reject(index, at: time == noTimestamp ? nil : Double(time) * timeBase.doubleValue, reason: reason)
  }

  /// Leaves out a packet that the container does not accept; after several in a row, the rest of the stream.
  private mutating func reject(_ index: Int, at seconds: Double?, reason: LibavError) {
    var rejection = routes[index]?.rejection ?? RejectedPackets(start: seconds, reason: reason)
    rejection.count += 1
    routes[index]?.rejection = rejection
    guard rejection.count > RejectedPackets.most else { return }
    breakOff(index, at: rejection.start, reason: rejection.reason)
  }

  /// Leaves out a stream from now on.
  private mutating func breakOff(_ index: Int, at seconds: Double?, reason: LibavError) {
    guard let route = routes[index], !route.isBroken else { return }
    routes[index]?.isBroken = true
    written.streams[route.outputIndex] = nil
    let reached = Double(route.lastTimestamp ?? 0) * route.timeBase.doubleValue
    leftOut.append(
      MediaRemark(
        .stream(index),
        "stream \(index) (\(route.name)) is cut off at \(VideoIOError.text(seconds ?? reached)): \(reason)"))
  }

  /// Warnings about the written streams, one line each.
  var warnings: [MediaRemark] {
    var result = conversions
    if cutCount > 0 {
      result.append(
        MediaRemark(.times, "\(cutCount) packets with durations of more than a day were shortened"))
    }
    if file.isUnlocked {
      result.append(
        MediaRemark(
          .storage,
          "the file system of \(file.path) has no locks: a second run for the same output is not refused immediately"
        ))
    }
    return result
  }

  /// Writes the index, reads the file back to verify it, and renames it to its target.
  /// - Parameter frameData: types of side data that the source's frames had.
  /// - Returns: one line for everything in the source that the file lacks.
  /// - Throws: `VideoIOError.cannotWrite`; `outputDamaged` if frames are missing.
  consuming func finish(frameData: Set<UInt32> = []) throws(VideoIOError) -> [MediaRemark] {
    let path = file.path
    let known = leftOut.count
    for (index, converter) in converters.sorted(by: { $0.key < $1.key })
    where routes[index]?.isBroken == false {
      try convert(nil, by: converter, of: index)
    }
    for (index, route) in routes.sorted(by: { $0.key < $1.key }) {
      guard let rejection = route.rejection else { continue }
      breakOff(index, at: rejection.start, reason: rejection.reason)
    }
    let damages = converters.sorted { $0.key < $1.key }.compactMap { index, converter -> MediaRemark? in
      guard converter.damagedCount > 0, let name = routes[index]?.name else { return nil }
      return MediaRemark(
        .damage,
        "\(converter.damagedCount) damaged parts of stream \(index) (\(name)), which could not be decoded")
    }
    let rejections = routes.sorted { $0.key < $1.key }.compactMap { $1.rejected(of: $0, by: containerName) }
    if movesChapters { moveChapters() }
    do throws(LibavError) {
      try LibavLog.check { av_write_trailer(context.raw) }
      try context.close()
    } catch {
      throw .cannotWrite(path: path, reason: error)
    }
    var lost = Array(leftOut[known...]) + damages + rejections + unheld.map { MediaRemark(.metadata, $0) }
    lost += written.pauses(frameLength: frameLength).map { .pauses(of: $0, in: containerName) }
    if let pictures = pictures.take() {
      try pictures.commit()
      return lost
    }
    if !file.isStream { lost += try readBack(frameData: frameData) }
    try file.commit(isReplaced: makesItsFiles)
    return lost
  }

  /// Reads the finished file; returns a line for everything that it lacks.
  private func readBack(frameData: Set<UInt32>) throws(VideoIOError) -> [MediaRemark] {
    let finding = written.finding(path: file.writingPath, container: containerName)
    if let fault = finding.fault { throw .outputDamaged(path: file.path, detail: fault) }
    var lost: [MediaRemark] = []
    for (index, route) in routes.sorted(by: { $0.key < $1.key }) {
      if finding.missing.contains(route.outputIndex) { lost.append(route.missing(index, in: containerName)) }
      if let shift = finding.shifted[route.outputIndex] {
        lost.append(route.shifted(index, by: shift, in: containerName))
      }
    }
    lost += finding.doubts.map { MediaRemark(.times, $0) }
    lost += census.losses(in: file.writingPath, container: containerName, frameData: frameData).map {
      MediaRemark(.metadata, $0)
    }
    return lost
  }

  /// Shifts the chapters like FFmpeg's Matroska muxer shifts all streams when a time is negative, as with the lead-in of
  /// audio.
  private func moveChapters() {
    for index in 0..<Int(context.raw.pointee.nb_chapters) {
      guard let chapter = context.raw.pointee.chapters[index] else { continue }
      let offset = microseconds.rescale(-lowestTime, to: Rational(chapter.pointee.time_base))
      chapter.pointee.start = chapter.pointee.start.saturatingPlus(offset)
      chapter.pointee.end = chapter.pointee.end.saturatingPlus(offset)
    }
  }

  /// Converts times to the output's ticks and makes decoding times increase, as muxers require.
  private mutating func prepare(
    _ raw: UnsafeMutablePointer<AVPacket>, from timeBase: Rational, route: Route, streamIndex: Int
  ) {
    av_packet_rescale_ts(raw, timeBase.libav, route.timeBase.libav)
    // Shift in the output's ticks, which may be finer than the source's: audio and video must shift alike.
    let offset = microseconds.rescale(shift, to: route.timeBase)
    if raw.pointee.pts != noTimestamp { raw.pointee.pts = raw.pointee.pts.saturatingMinus(offset) }
    if raw.pointee.dts != noTimestamp { raw.pointee.dts = raw.pointee.dts.saturatingMinus(offset) }
    raw.pointee.stream_index = Int32(route.outputIndex)
    raw.pointee.pos = -1
    let day = min(microseconds.rescale(86_400_000_000, to: route.timeBase), Int64(Int32.max))
    if raw.pointee.duration > day {
      cutCount += 1
      raw.pointee.duration = min(microseconds.rescale(10_000_000, to: route.timeBase), day)
    }
    if raw.pointee.dts == noTimestamp {
      if raw.pointee.pts != noTimestamp {
        raw.pointee.dts =
          routes[streamIndex]?.order.decodingTime(
            presentation: raw.pointee.pts, duration: raw.pointee.duration)
          ?? raw.pointee.pts
      } else {
        raw.pointee.dts = route.nextTimestamp ?? 0
      }
    }
    route.matroska?.correct(raw)
    if let last = route.lastTimestamp {
      let least = isStrict ? last.saturatingPlus(1) : last
      if raw.pointee.dts < least {
        raw.pointee.dts = least
        if raw.pointee.pts != noTimestamp { raw.pointee.pts = max(raw.pointee.pts, least) }
      }
    }
    if raw.pointee.pts == noTimestamp { raw.pointee.pts = raw.pointee.dts }
    if raw.pointee.pts < 0 {
      lowestTime = min(lowestTime, route.timeBase.rescale(raw.pointee.pts, to: microseconds))
    }
    if needsDurations, streamIndex != videoIndex, raw.pointee.duration <= 0 {
      raw.pointee.duration = route.lastStep
    }
    if let last = route.lastTimestamp {
      routes[streamIndex]?.lastStep = raw.pointee.dts.saturatingMinus(last)
    }
    routes[streamIndex]?.lastTimestamp = raw.pointee.dts
    routes[streamIndex]?.nextTimestamp = raw.pointee.dts.saturatingPlus(max(raw.pointee.duration, 1))
  }
}

/// FFmpeg's URL of a file, safe for any file name.
func fileURL(_ path: String) -> String { path == "-" ? "pipe:1" : "file:" + path }
