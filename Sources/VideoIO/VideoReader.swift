// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Reads a video file: its best video stream as frames, all other streams as packets, in file order.
///
/// One owner, used by one task. Frames and packets it gives may go anywhere.
public struct VideoReader: ~Copyable {
  /// How strict reading is.
  public struct Options: Sendable {
    /// Whether a file that was cut off ends like a whole one, with a warning. If not, `next` throws at
    /// the end of what is there.
    public var toleratesEarlyEnd = false

    /// Strict.
    public init() {}
  }

  /// What the file holds.
  public let info: MediaInfo

  private var source: FrameSource
  private var first: VideoFrame?

  /// Opens a file and decodes its first frame.
  ///
  /// - Parameters:
  ///   - path: the file; `-` is standard input.
  ///   - threads: for decoding; 0 for as many as there are cores.
  /// - Throws: `VideoIOError` if the file cannot be opened, has no video or no frame can be decoded.
  public init(path: String, threads: Int = 0, options: Options = Options()) throws(VideoIOError) {
    var source = try FrameSource(path: path, threads: threads, options: options)
    let first = try source.firstFrame()
    info = source.info(first: first)
    self.source = source
    self.first = first
  }

  /// What was not quite right so far, one line each.
  public var warnings: [String] { source.warnings }

  /// The next frame or packet; nil at the end.
  ///
  /// - Throws: `VideoIOError.endsEarly` or `cannotRead` for a file that was cut off, after all frames that
  ///   could be saved; `pictureChanges` where size or layout changes.
  public mutating func next() throws(VideoIOError) -> MediaItem? {
    // Packets that stood before the first frame come first.
    if let packet = source.popEarlyPacket() { return .packet(packet) }
    if let frame = first {
      first = nil
      return .frame(frame)
    }
    return try source.next()
  }
}
