// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// The machinery behind `VideoReader`: demuxer, decoder and what lies between.
struct FrameSource: ~Copyable {
  private let demuxer: Demuxer
  private let decoder: VideoDecoder
  private let packet: PacketOwner
  private let videoIndex: Int
  private let source: SourceFile
  private let options: VideoReader.Options

  private var intake: FrameIntake
  private var earlyPackets: [EncodedPacket] = []
  private var earlyPosition = 0
  private var isDraining = false
  private var isFinished = false
  private var progress: ReadingProgress
  /// Why reading stopped before the end, to be thrown when all decoded frames are out.
  private var pendingError: VideoIOError?
  private var damagedCount = 0
  private var lastDamage: LibavError?
  private var unannouncedStreams: Set<Int> = []
  private var endWarnings: [String] = []

  init(path: String, threads: Int, options: VideoReader.Options) throws(VideoIOError) {
    let demuxer = try Demuxer(path: path)
    let videoIndex = try demuxer.bestVideoStream()
    let source = try SourceFile(demuxer)
    let video = source.streams[videoIndex]
    let decoder = try VideoDecoder(
      parameters: video.parameters.raw, timeBase: video.timeBase, threads: threads, path: path)
    let packet = try PacketOwner()
    intake = FrameIntake(
      path: path, timeBase: video.timeBase,
      frameRate: Rational(av_guess_frame_rate(demuxer.context, demuxer.stream(videoIndex), nil)),
      isStillImage: demuxer.isStillImage)
    progress = ReadingProgress(demuxer, videoIndex: videoIndex)
    self.demuxer = demuxer
    self.decoder = decoder
    self.packet = packet
    self.videoIndex = videoIndex
    self.source = source
    self.options = options
  }

  /// Decodes up to the first frame; packets on the way are kept for `popEarlyPacket`.
  mutating func firstFrame() throws(VideoIOError) -> VideoFrame {
    do throws(VideoIOError) {
      while let item = try next() {
        switch item {
        case .frame(let frame): return frame
        case .packet(let packet): earlyPackets.append(packet)
        }
      }
    } catch {
      if case .cannotRead(_, _, let reason) = error { throw .noFrames(path: demuxer.path, reason: reason) }
      throw error
    }
    throw .noFrames(path: demuxer.path, reason: lastDamage)
  }

  mutating func popEarlyPacket() -> EncodedPacket? {
    guard earlyPosition < earlyPackets.count else {
      earlyPackets = []
      earlyPosition = 0
      return nil
    }
    defer { earlyPosition += 1 }
    return earlyPackets[earlyPosition]
  }

  func info(first: VideoFrame) -> MediaInfo {
    MediaInfo(
      demuxer: demuxer, videoIndex: videoIndex, source: source, first: first,
      sourceFormatName: intake.sourceFormatName, isConverted: intake.isConverting)
  }

  var warnings: [String] {
    var lines: [String] = []
    if let line = intake.timestamps.warning { lines.append(line) }
    if damagedCount > 0 {
      let said = lastDamage.map { ": \($0)" } ?? ""
      lines.append("\(damagedCount) damaged parts of the video could not be decoded\(said)")
    }
    for index in unannouncedStreams.sorted() {
      lines.append("stream \(index) begins within the file and is left out")
    }
    return lines + endWarnings
  }

  mutating func next() throws(VideoIOError) -> MediaItem? {
    while !isFinished {
      let frame = try FrameOwner()
      switch decoder.receive(into: frame) {
      case .frame:
        return .frame(try intake.take(frame, isAtEnd: isDraining))
      case .damaged(let reason):
        note(damage: reason)
        // A decoder that fails for ever while draining must not hold us.
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
    }
    if let error = pendingError {
      pendingError = nil
      throw error
    }
    return nil
  }

  /// Reads one packet; the video's goes to the decoder, any other is returned.
  private mutating func readPacket() throws(VideoIOError) -> EncodedPacket? {
    switch demuxer.read(into: packet) {
    case .packet:
      break
    case .end(let log):
      finishReading(progress.shortfall(log: log, path: demuxer.path))
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
    progress.note(packet.raw, timeBase: source.streams[index].timeBase, isVideo: index == videoIndex)
    guard index == videoIndex else {
      return EncodedPacket(packet.raw, timeBase: source.streams[index].timeBase)
    }
    if let reason = decoder.send(packet.raw) { note(damage: reason) }
    return nil
  }

  private mutating func finishReading(_ error: VideoIOError?) {
    isDraining = true
    _ = decoder.send(nil)
    guard let error else { return }
    if options.toleratesEarlyEnd {
      endWarnings.append("\(error)")
    } else {
      pendingError = error
    }
  }

  private mutating func note(damage reason: LibavError) {
    damagedCount += 1
    lastDamage = reason
  }
}

/// How far reading has come, to tell a whole file from one that was cut off.
struct ReadingProgress: Sendable {
  /// End of the latest packet of any stream, in seconds of the container's clock.
  private(set) var seconds = 0.0
  private var videoSeconds = 0.0
  private let expectedEnd: Double?
  private let expectedVideoEnd: Double?

  init(_ demuxer: borrowing Demuxer, videoIndex: Int) {
    let context = demuxer.context.pointee
    let isAnnounced = context.duration > 0 && context.duration_estimation_method != AVFMT_DURATION_FROM_BITRATE
    let start = context.start_time == noTimestamp ? 0 : context.start_time
    expectedEnd = isAnnounced ? Double(start) / 1e6 + Double(context.duration) / 1e6 : nil
    if let stream = demuxer.stream(videoIndex)?.pointee, isAnnounced, stream.duration > 0 {
      let start = stream.start_time == noTimestamp ? 0 : stream.start_time
      // Of an AVI file that was cut off, FFmpeg estimates the duration anew; the frame count stays announced.
      let isAVI = context.iformat?.pointee.name.map { String(cString: $0) } == "avi"
      let ticks = isAVI ? max(stream.duration, stream.nb_frames) : stream.duration
      expectedVideoEnd = (Double(start) + Double(ticks)) * Rational(stream.time_base).doubleValue
    } else {
      expectedVideoEnd = nil
    }
  }

  mutating func note(_ packet: UnsafePointer<AVPacket>, timeBase: Rational, isVideo: Bool) {
    let value = packet.pointee
    let time = value.pts != noTimestamp ? value.pts : value.dts
    guard time != noTimestamp else { return }
    let end = (Double(time) + Double(max(value.duration, 0))) * timeBase.doubleValue
    seconds = max(seconds, end)
    if isVideo { videoSeconds = max(videoSeconds, end) }
  }

  /// The error for a file whose end has been reached too soon; nil for a whole file.
  ///
  /// Announced lengths may be a little wrong, so a lack of less than a second or 1 % counts for nothing
  /// unless FFmpeg said that the file is incomplete.
  func shortfall(log: [String], path: String) -> VideoIOError? {
    let expected = expectedVideoEnd ?? expectedEnd
    let reached = expectedVideoEnd == nil ? seconds : videoSeconds
    if log.contains(where: { $0.contains("prematurely") || $0.contains("partial file") }) {
      return .endsEarly(path: path, seconds: reached, expectedSeconds: expected)
    }
    guard let expected, expected - reached > max(1, expected * 0.01) else { return nil }
    return .endsEarly(path: path, seconds: reached, expectedSeconds: expected)
  }
}

extension Demuxer {
  /// Whether the container is a picture file.
  var isStillImage: Bool {
    guard let name = context.pointee.iformat?.pointee.name.map({ String(cString: $0) }) else { return false }
    return name.hasSuffix("_pipe") || name == "image2"
  }
}
