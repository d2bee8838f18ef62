// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The implementation of `VideoReader`: demuxer, decoder and everything in between.
struct FrameSource: ~Copyable {
  let demuxer: Demuxer
  private let decoder: VideoDecoder
  let packet: PacketOwner
  let videoIndex: Int
  let source: SourceFile
  let video: SourceStream
  let options: VideoReader.Options

  var intake: FrameIntake
  private var earlyItems: [MediaItem] = []
  private var earlyPosition = 0
  var isDraining = false
  private var isFinished = false
  private var isVideoDone = false
  /// Whether the video's packets are skipped.
  private var isCopying = false
  /// Time of the last video packet, in microseconds.
  private(set) var videoPosition = Int64.min
  /// Whether no key frame has arrived since seeking.
  private var isSeeking = false
  /// Whether a key frame at or before the start of the part has been found.
  private(set) var hasFoundStart = true
  private var progress: ReadingProgress
  var window: TrimWindow?
  var clock: ClockRepair
  /// Packets read ahead to judge the clock, and the result of reading beyond them.
  private var ahead = PacketQueue()
  /// Streams with encrypted packets.
  var encryptedStreams: Set<Int> = []
  /// Content that is missing from the output, one line each.
  var losses: [String] = []
  /// Whether the file ends early, and that is among the losses.
  var isCutOff = false
  /// The error that ended reading early, thrown after all decoded frames have been returned.
  private var pendingError: VideoIOError?
  var damagedCount = 0
  var lastDamage: LibavError?
  /// The number of damaged places that the demuxer skipped, and its message for the first.
  var skippedCount = 0
  var firstSkipped: String?
  let stamp: FileStamp?
  var unannouncedStreams: Set<Int> = []
  var damage = DamageWatch()
  /// Video packets read, those sent to the decoder, and frames that came from it.
  var (videoPackets, sentPackets, decodedFrames) = (0, 0, 0)
  /// Damaged parts since the first frame: recordings may begin anywhere.
  var lateDamage = 0
  /// The last correction of each stream's times.
  private var corrections: [Int: Int64] = [:]
  /// Usual duration of a frame, in microseconds; 0 if unknown.
  let frameLength: Int64
  /// Whether the rest of the file is left out.
  var isEnded = false

  /// - Parameter seekLead: how many microseconds before the start of a part to look for a key frame; nil
  ///   reads everything before it.
  init(
    path: String, threads: Int, options: VideoReader.Options, seekLead: Int64?
  ) throws(VideoIOError) {
    stamp = FileStamp(path: path)
    let demuxer = try Demuxer(
      path: path, allowsPlaylists: options.allowsPlaylists, ignoresEditLists: options.ignoresEditLists)
    let videoIndex: Int
    if let stream = options.stream {
      videoIndex = try demuxer.videoStream(stream)
    } else {
      videoIndex = try demuxer.bestVideoStream()
    }
    let source = try SourceFile(demuxer)
    let video = source.streams[videoIndex]
    if video.needsDolbyVision, !options.ignoresDolbyVision { throw .needsDolbyVision(path: path) }
    let decoder = try VideoDecoder(
      parameters: video.parameters.raw, timeBase: video.timeBase, threads: threads, path: path,
      exportsQuantizers: options.exportsQuantizers)
    let packet = try PacketOwner()
    let rate = Rational(av_guess_frame_rate(demuxer.context, demuxer.stream(videoIndex), nil))
    intake = FrameIntake(
      path: path, timeBase: video.timeBase, frameRate: rate, isStillImage: demuxer.isStillImage,
      start: source.startTime)
    frameLength = rate.isPositive ? rate.inverse.rescale(1, to: microseconds) : 0
    progress = ReadingProgress(demuxer, videoIndex: videoIndex)
    window = TrimWindow(options, source: source)
    clock = ClockRepair(
      leading: Set(
        source.streams.filter { $0.info.kind == .audio || $0.info.index == videoIndex }.map(\.info.index)),
      closesGaps: source.hasTimestampJumps, announcedEnd: progress.announcedEnd)
    if let window, let seekLead, window.start > source.startTime, demuxer.hasFirmTimes(videoIndex) {
      demuxer.seek(to: window.start.saturatingMinus(seekLead))
      isSeeking = true
      hasFoundStart = false
    }
    self.video = video
    self.demuxer = demuxer
    self.decoder = decoder
    self.packet = packet
    self.videoIndex = videoIndex
    self.source = window.map { source.trimmed(to: $0) } ?? source
    self.options = options
  }

  /// Decodes up to the first frame; keeps it and the packets before it for `popEarlyItem`.
  mutating func firstFrame() throws(VideoIOError) -> VideoFrame {
    do throws(VideoIOError) {
      while let item = try next() {
        earlyItems.append(item)
        if case .frame(let frame) = item { return frame }
      }
    } catch {
      if case .cannotRead(_, _, let reason) = error { throw .noFrames(path: demuxer.path, reason: reason) }
      throw error
    }
    if let window, lastDamage == nil, decodedFrames > 0, Double(window.start) >= progress.seconds * 1e6 {
      let start = Double(source.startTime) * microseconds.doubleValue
      throw .partBehindEnd(path: demuxer.path, seconds: progress.seconds - start)
    }
    // The file has frames, but none of them begins within the part.
    if window != nil, lastDamage == nil, decodedFrames > 0 { throw .emptyPart(path: demuxer.path) }
    if lastDamage == nil, demuxer.hasIndexBehindData { throw .needsSeeking(path: demuxer.path) }
    throw .noFrames(path: demuxer.path, reason: lastDamage)
  }

  /// Returns only packets of other streams from now on.
  mutating func stopDecoding() { isCopying = true }

  /// The next of the items read before the first frame.
  mutating func popEarlyItem() -> MediaItem? {
    guard earlyPosition < earlyItems.count else {
      earlyItems = []
      earlyPosition = 0
      return nil
    }
    defer { earlyPosition += 1 }
    return earlyItems[earlyPosition]
  }

  func info(first: VideoFrame) -> MediaInfo {
    MediaInfo(
      demuxer: demuxer, videoIndex: videoIndex, source: source, first: first,
      sourceFormatName: intake.sourceFormatName, isConverted: intake.isConverting,
      window: window)
  }

  mutating func next() throws(VideoIOError) -> MediaItem? {
    while !isFinished {
      if isVideoDone {
        if window?.hasAllSound != false {
          isFinished = true
        } else if let item = try readPacket() {
          return .packet(item)
        } else if isDraining {
          isFinished = true
        }
      } else if isCopying {
        if let item = try readPacket() { return .packet(item) }
        isFinished = isDraining
      } else if let item = try nextOfDecoder() {
        return item
      }
    }
    if let error = pendingError {
      pendingError = nil
      throw error
    }
    return nil
  }

  /// One step of decoding: a frame, or a packet read before it; nil if neither.
  private mutating func nextOfDecoder() throws(VideoIOError) -> MediaItem? {
    let frame = try FrameOwner()
    switch decoder.receive(into: frame) {
    case .frame:
      let taken: VideoFrame
      decodedFrames += 1
      let isConcealed = frame.raw.pointee.decode_error_flags & Self.concealment != 0
      do throws(VideoIOError) {
        taken = try intake.take(frame, isAtEnd: isDraining)
      } catch {
        guard case .pictureChanges = error, options.toleratesEarlyEnd else { throw error }
        losses.append("what follows, as the \(error)")
        isFinished = true
        return nil
      }
      let frame = taken
      damage.noteFrame(
        at: video.timeBase.rescale(frame.presentationTimestamp, to: microseconds), length: frameLength,
        isConcealed: isConcealed)
      switch window?.place(of: frame.presentationTimestamp, timeBase: video.timeBase) {
      case .before: return nil
      case .behind: isVideoDone = true
      case .within, nil: return .frame(frame)
      }
    case .damaged(let reason):
      note(damage: reason)
      // Do not loop forever on a decoder that keeps failing while being flushed.
      if isDraining, damagedCount > 100_000 { isFinished = true }
    case .end:
      isFinished = true
    case .needsPacket:
      if isDraining {
        isFinished = true
      } else if let item = try readPacket() {
        return .packet(item)
      }
    }
    return nil
  }

  /// Reads one packet; sends it to the decoder if it is the video's, otherwise returns it.
  private mutating func readPacket() throws(VideoIOError) -> EncodedPacket? {
    guard !isEnded else { return nil }
    switch ahead.next(of: demuxer, into: packet) {
    case .packet(let log):
      if let line = log.first {
        skippedCount += 1
        firstSkipped = firstSkipped ?? line
      }
    case .end(let log):
      if demuxer.isSequence, let gap = PictureGap.first(in: demuxer.path) {
        losses.append("\(gap)")
        finishReading(nil)
        return nil
      }
      let isCutOff = FileEnd.isCutOff(demuxer, end: progress.endOfPackets, isShort: progress.isShort)
      finishReading(progress.shortfall(log: log, path: demuxer.path, isCutOff: isCutOff))
      if let joined = demuxer.joinedFile(behind: progress.endOfPackets) {
        losses.append(describe(joined))
      }
      if let change = demuxer.codecChange { losses.append(describe(change)) }
      return nil
    case .failed(let reason):
      finishReading(.cannotRead(path: demuxer.path, seconds: progress.seconds, reason: reason))
      return nil
    }
    let index = Int(packet.raw.pointee.stream_index)
    guard index < source.streams.count else {
      unannouncedStreams.insert(index)
      return nil
    }
    if av_packet_get_side_data(packet.raw, AV_PKT_DATA_ENCRYPTION_INFO, nil) != nil {
      if index == videoIndex { throw .encrypted(path: demuxer.path) }
      encryptedStreams.insert(index)
      return nil
    }
    if endsAtJoint(index) { return nil }
    try correctClock(of: index)
    noteDamage(of: index)
    progress.note(packet.raw, timeBase: source.streams[index].timeBase, isVideo: index == videoIndex)
    guard index == videoIndex else {
      let encoded = EncodedPacket(packet.raw, timeBase: source.streams[index].timeBase)
      let isCoverArt = source.streams[index].info.kind == .coverArt
      return window?.wants(encoded, isCoverArt: isCoverArt) == false ? nil : encoded
    }
    if isCopying { notePosition() }
    if isCopying || isVideoDone || !hasBegun(with: packet.raw) { return nil }
    sentPackets += 1
    if let reason = decoder.send(packet.raw) { note(damage: reason) }
    return nil
  }

  /// Whether reading without edit lists may help.
  var mayHaveEditLists: Bool { !options.ignoresEditLists && demuxer.mayHaveEditLists }

  /// See `Demuxer.lacksTimeScale`.
  var lacksTimeScale: Bool { demuxer.lacksTimeScale }

  private func describe(_ joined: JoinedFile) -> String {
    "a second file that follows the first in \(demuxer.path) (\(joined.length) bytes): "
      + "tail -c +\(joined.offset + 1) separates it"
  }

  private func describe(_ change: CodecChange) -> String {
    let end = progress.seconds - Double(source.startTime) * microseconds.doubleValue
    return "what follows \(VideoIOError.text(end)), where the codec of the video changes from "
      + "\(change.from) to \(change.to): tail -c +\(change.offset + 1) separates it"
  }

  /// Ends reading where a second Matroska file begins that needs other decoders.
  private mutating func endsAtJoint(_ index: Int) -> Bool {
    let end = progress.endOfPackets
    let position = Int(packet.raw.pointee.pos)
    // Without a header in between, packets are some bytes apart.
    guard end > 0, position > end + 100, demuxer.formatName?.hasPrefix("matroska") == true,
      let joined = demuxer.otherMatroska(in: end..<position, parameters: source.headerParameters(videoIndex))
    else { return false }
    losses.append(describe(joined))
    endReading()
    return true
  }

  private mutating func endReading() {
    isEnded = true
    finishReading(nil)
  }

  private mutating func notePosition() {
    let time = packet.raw.pointee.dts != noTimestamp ? packet.raw.pointee.dts : packet.raw.pointee.pts
    guard time != noTimestamp else { return }
    videoPosition = max(videoPosition, video.timeBase.rescale(time, to: microseconds))
    if case .behind = window?.place(of: time, timeBase: video.timeBase) { isVideoDone = true }
  }

  /// Whether a video packet is the first key packet after seeking, or follows it.
  private mutating func hasBegun(with packet: UnsafePointer<AVPacket>) -> Bool {
    guard isSeeking else { return true }
    guard packet.pointee.flags & AV_PKT_FLAG_KEY != 0 else { return false }
    isSeeking = false
    let time = packet.pointee.pts != noTimestamp ? packet.pointee.pts : packet.pointee.dts
    if time != noTimestamp {
      hasFoundStart = window?.isAtOrBeforeStart(time, timeBase: video.timeBase) == true
    }
    return true
  }

  /// Removes clock jumps from the packet's times.
  private mutating func correctClock(of index: Int) throws(VideoIOError) {
    let raw = packet.raw
    let timeBase = source.streams[index].timeBase
    if raw.pointee.pts != noTimestamp, raw.pointee.dts != noTimestamp {
      // Reordering delays frames by a few frames, not by minutes.
      let wait = timeBase.rescale(raw.pointee.pts.saturatingMinus(raw.pointee.dts), to: microseconds)
      let limit = max(10_000_000, 20 * length(of: raw, in: source.streams[index]))
      if wait > limit || wait < -limit { raw.pointee.pts = raw.pointee.dts }
    }
    let described = describe(raw)
    var answer = clock.answer(for: described)
    if case .needs(let own, let packets) = answer {
      try ahead.fill(from: demuxer, packets: packets, own: own, stream: index)
      let following = ClockRepair.Lookahead(packets: ahead.map { describe($0) }, reachesEnd: ahead.reachesEnd)
      answer = clock.answer(for: described, following: following)
    }
    guard case .offset(let correction) = answer else { return }
    if corrections.updateValue(correction, forKey: index) ?? 0 != correction, let time = described.time {
      damage.noteClockChange(at: time.saturatingPlus(correction))
    }
    guard correction != 0 else { return }
    let ticks = microseconds.rescale(correction, to: timeBase)
    if raw.pointee.pts != noTimestamp { raw.pointee.pts = raw.pointee.pts.saturatingPlus(ticks) }
    if raw.pointee.dts != noTimestamp { raw.pointee.dts = raw.pointee.dts.saturatingPlus(ticks) }
  }

  /// The properties of a packet for `ClockRepair`.
  private func describe(_ raw: UnsafePointer<AVPacket>) -> ClockRepair.Packet {
    let index = Int(raw.pointee.stream_index)
    guard index < source.streams.count else {
      return ClockRepair.Packet(stream: index, time: nil, duration: 0)
    }
    let stream = source.streams[index]
    let isDecoding = raw.pointee.dts != noTimestamp
    let time = isDecoding ? raw.pointee.dts : raw.pointee.pts
    let length = length(of: raw, in: stream)
    return ClockRepair.Packet(
      stream: index, time: time == noTimestamp ? nil : stream.timeBase.rescale(time, to: microseconds),
      duration: raw.pointee.duration > 0 ? length : 0, reordering: isDecoding ? 0 : 20 * length)
  }

  /// A packet's own duration or that given by the stream's rate, in microseconds; at most an hour.
  private func length(of raw: UnsafePointer<AVPacket>, in stream: SourceStream) -> Int64 {
    let own = stream.timeBase.rescale(max(raw.pointee.duration, 0), to: microseconds)
    let usual =
      stream.averageFrameRate.isPositive ? stream.averageFrameRate.inverse.rescale(1, to: microseconds) : 0
    return min(own > 0 ? own : usual, 3_600_000_000)
  }

  private mutating func finishReading(_ error: VideoIOError?) {
    isDraining = true
    _ = decoder.send(nil)
    guard let error else { return }
    if options.toleratesEarlyEnd, !error.isWantOfMemory {
      losses.append("what is missing in the source: \(error)")
      isCutOff = true
    } else {
      pendingError = error
    }
  }

  private mutating func note(damage reason: LibavError) {
    damagedCount += 1
    if decodedFrames > 0 { lateDamage += 1 }
    lastDamage = reason
  }
}
