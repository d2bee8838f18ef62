// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Reads a video file: its best video stream as frames, all other streams as packets, in file order.
///
/// One owner, used by one task. The frames and packets it returns may be sent to other tasks.
package struct VideoReader: ~Copyable {
  /// The strictness of reading, and the part to read.
  package struct Options: Sendable {
    /// Whether a truncated file, or one whose picture changes size, ends normally and is reported in `leftOut`. If not, `next`
    /// throws at that point.
    package var toleratesEarlyEnd = false

    /// Whether to follow playlists (HLS, DASH, ffconcat) whose names do not identify them as such. They may refer to files in
    /// their own folder and below it.
    package var allowsPlaylists = false
    /// Whether to accept Dolby Vision whose colours are wrong without its metadata.
    package var ignoresDolbyVision = false

    /// Where reading starts, relative to the start of the file; nil for the start. The first frame is the first
    /// one presented at this time or later; other streams start there, too.
    package var start: Duration?
    /// How much to read of all streams; nil for everything.
    package var length: Duration?

    /// The video stream to decode, by its index in the file; nil for the best one. Other video streams are copied.
    package var stream: Int?

    /// Whether frames carry the quantizers of their blocks: see `VideoFrame.quantizers`.
    package var exportsQuantizers = false

    /// Whether all of the media in an MP4 file is read, whatever its edit lists select.
    var ignoresEditLists = false

    /// Strict reading of the whole file.
    package init() {}
  }

  /// Describes the file.
  package let info: MediaInfo

  private var source: FrameSource

  /// Opens a file and decodes its first frame.
  ///
  /// - Parameters:
  ///   - path: the file; `-` is standard input.
  ///   - threads: for decoding; 0 for as many as there are cores.
  ///   - options: the part to read, and the errors to tolerate.
  /// - Throws: `VideoIOError` if the file cannot be opened, lacks a video stream or the requested one, or has no decodable frame
  ///   within the part.
  package init(path: String, threads: Int = 0, options: Options = Options()) throws(VideoIOError) {
    self = try Self.open(path: path, threads: threads, options: options)
  }

  private init(source: consuming FrameSource, first: VideoFrame) {
    info = source.info(first: first)
    self.source = source
  }

  /// Opens a file; retries with another seek lead if seeking lands after the start.
  private static func open(path: String, threads: Int, options: Options) throws(VideoIOError) -> VideoReader {
    // A pipe cannot be read twice: there is only one attempt, from its start.
    for lead: Int64 in [500_000, 12_000_000] where options.start != nil && !OutputFile.isStream(path) {
      var source = try FrameSource(path: path, threads: threads, options: options, seekLead: lead)
      if source.lacksTimeScale, source.mayHaveEditLists {
        return try openWithoutEditLists(path: path, threads: threads, options: options)
      }
      // An error here may be due to seeking alone.
      if let first = try? source.firstFrame(), source.hasFoundStart {
        return VideoReader(source: source, first: first)
      }
    }
    var source = try FrameSource(path: path, threads: threads, options: options, seekLead: nil)
    let first: VideoFrame
    do throws(VideoIOError) { first = try source.firstFrame() } catch {
      guard case .noFrames = error, source.mayHaveEditLists else { throw error }
      return try openWithoutEditLists(path: path, threads: threads, options: options)
    }
    if source.lacksTimeScale, source.mayHaveEditLists {
      return try openWithoutEditLists(path: path, threads: threads, options: options)
    }
    return VideoReader(source: source, first: first)
  }

  private static func openWithoutEditLists(
    path: String, threads: Int, options: Options
  ) throws(VideoIOError) -> VideoReader {
    var options = options
    options.ignoresEditLists = true
    return try open(path: path, threads: threads, options: options)
  }

  /// Warnings so far, one line each.
  package var warnings: [MediaRemark] { source.warnings }

  /// Parts of the source that the reader leaves out, one line each; complete once the end has been reached.
  package var leftOut: [MediaRemark] { source.leftOut }

  /// The next frame or packet; nil at the end.
  ///
  /// - Throws: `VideoIOError.endsEarly` or `cannotRead` for a truncated file, after all frames that could be
  ///   recovered; `pictureChanges` if size or layout changes.
  package mutating func next() throws(VideoIOError) -> MediaItem? {
    if let item = source.popEarlyItem() { return item }
    return try source.next()
  }

  /// Skips the video's packets from now on: `next` only returns packets of other streams, beginning with
  /// those read together with the first frame. For files whose frames are taken from elsewhere.
  package mutating func stopDecoding() { source.stopDecoding() }

  /// Time of the last skipped video packet, in microseconds of the file's clock.
  package var videoPosition: Int64 { source.videoPosition }
}

extension MediaInfo {
  /// Returns the offset from the file's beginning at which reading has to start to include a time: at most two
  /// microseconds before it, never after it.
  package func start(at timestamp: Int64, timeBase: Rational) -> Duration {
    let moment = timeBase.rescale(timestamp, to: VideoIO.microseconds).saturatingMinus(1)
    return .microseconds(max(0, moment.saturatingMinus(source.startTime)))
  }
}

extension Rational {
  /// A time in microseconds.
  package func microseconds(_ timestamp: Int64) -> Int64 { rescale(timestamp, to: VideoIO.microseconds) }
}
