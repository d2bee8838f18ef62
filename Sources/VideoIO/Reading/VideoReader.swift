// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Reads a video file: its best video stream as frames, all other streams as packets, in file order.
///
/// One owner, used by one task. Frames and packets it gives may go anywhere.
public struct VideoReader: ~Copyable {
  /// How strict reading is, and what part is read.
  public struct Options: Sendable {
    /// Whether a file that was cut off, or whose picture changes its size on the way, ends like a whole one, and `leftOut` says
    /// so. If not, `next` throws at the end of what is there.
    public var toleratesEarlyEnd = false

    /// Whether playlists (HLS, DASH, ffconcat) are followed that their names do not announce. They may name files in their own
    /// folder and below it.
    public var allowsPlaylists = false
    /// Whether Dolby Vision is taken whose picture has wrong colours without its metadata.
    public var ignoresDolbyVision = false

    /// How far behind the file's beginning reading starts; nil for the beginning. The first frame is the
    /// first one shown at this moment or later; other streams start there, too.
    public var start: Duration?
    /// How much is read, of the picture and all other streams; nil for all.
    public var length: Duration?

    /// The video stream to decode, by its index in the file; nil for the best one. Other video streams are copied.
    public var stream: Int?

    /// Whether frames carry the quantizers that their blocks were coded with: see `VideoFrame.quantizers`.
    public var exportsQuantizers = false

    /// Strict, the whole file.
    public init() {}
  }

  /// What the file holds.
  public let info: MediaInfo

  private var source: FrameSource

  /// Opens a file and decodes its first frame.
  ///
  /// - Parameters:
  ///   - path: the file; `-` is standard input.
  ///   - threads: for decoding; 0 for as many as there are cores.
  ///   - options: the part to read, and what is tolerated.
  /// - Throws: `VideoIOError` if the file cannot be opened, has no video or not the one asked for, or no frame can be decoded or lies
  ///   within the part.
  public init(path: String, threads: Int = 0, options: Options = Options()) throws(VideoIOError) {
    self = try Self.open(path: path, threads: threads, options: options)
  }

  private init(source: consuming FrameSource, first: VideoFrame) {
    info = source.info(first: first)
    self.source = source
  }

  /// Opens a file, and again with another way of finding the start if one lands behind it.
  private static func open(path: String, threads: Int, options: Options) throws(VideoIOError) -> VideoReader {
    // What was read from a pipe is gone: there is one try only, from its beginning.
    for lead: Int64 in [500_000, 12_000_000] where options.start != nil && !OutputFile.isStream(path) {
      var source = try FrameSource(path: path, threads: threads, options: options, seekLead: lead)
      // An error here may come from a place that only seeking leads to.
      if let first = try? source.firstFrame(), source.hasFoundStart {
        return VideoReader(source: source, first: first)
      }
    }
    var source = try FrameSource(path: path, threads: threads, options: options, seekLead: nil)
    let first = try source.firstFrame()
    return VideoReader(source: source, first: first)
  }

  /// What was not quite right so far, one line each.
  public var warnings: [String] { source.warnings }

  /// What of the source does not come out of the reader, one line each: all that is known when the end has been reached.
  public var leftOut: [String] { source.leftOut }

  /// The next frame or packet; nil at the end.
  ///
  /// - Throws: `VideoIOError.endsEarly` or `cannotRead` for a file that was cut off, after all frames that
  ///   could be saved; `pictureChanges` where size or layout changes.
  public mutating func next() throws(VideoIOError) -> MediaItem? {
    if let item = source.popEarlyItem() { return item }
    return try source.next()
  }

  /// From now on, the video's packets are passed over and `next` gives those of other streams, after what is left of what was
  /// read for the first frame. For a file whose frames come from elsewhere.
  package mutating func stopDecoding() { source.stopDecoding() }

  /// How far packets of the video have been passed over, in microseconds of the file's clock.
  package var videoPosition: Int64 { source.videoPosition }
}

extension MediaInfo {
  /// How far behind the file's beginning reading must start for a time to be within: not behind it, and before it by less
  /// than two microseconds.
  package func start(at timestamp: Int64, timeBase: Rational) -> Duration {
    let moment = timeBase.rescale(timestamp, to: VideoIO.microseconds).saturatingMinus(1)
    return .microseconds(max(0, moment.saturatingMinus(source.startTime)))
  }
}

extension Rational {
  /// A time in microseconds.
  package func microseconds(_ timestamp: Int64) -> Int64 { rescale(timestamp, to: VideoIO.microseconds) }
}
