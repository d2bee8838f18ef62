// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Generates decoding times for a stream copied from a container without them, such as Matroska: the presentation times in
/// sorted order, shifted earlier by the decoder's reordering depth.
struct DecodingOrder: Sendable {
  private let delay: Int
  private var held: [Int64] = []

  /// - Parameter delay: the decoder's reordering depth in frames.
  init(delay: Int) { self.delay = min(max(delay, 0), 16) }

  /// The next packet's decoding time, at most its presentation time.
  mutating func decodingTime(presentation: Int64, duration: Int64) -> Int64 {
    if held.isEmpty {
      let step = max(duration, 1)
      held = (0...delay).map { presentation.saturatingMinus(Int64(delay - $0).saturatingTimes(step)) }
      return held[0]
    }
    held[0] = presentation
    held.sort()
    return held[0]
  }
}

/// Owns an output `AVFormatContext` and its `AVIOContext`.
struct MuxerContext: ~Copyable {
  let raw: UnsafeMutablePointer<AVFormatContext>

  /// - Throws: `LibavError` if FFmpeg fails.
  init(format: UnsafePointer<AVOutputFormat>, url: String) throws(LibavError) {
    var context: UnsafeMutablePointer<AVFormatContext>?
    try LibavLog.check { avformat_alloc_output_context2(&context, format, nil, FileName.cString(url)) }
    guard let context else { throw .outOfMemory }
    raw = context
  }

  deinit {
    if raw.pointee.oformat.pointee.flags & AVFMT_NOFILE == 0, raw.pointee.pb != nil {
      avio_closep(&raw.pointee.pb)
    }
    avformat_free_context(raw)
  }

  /// Opens the container's file.
  func open(_ writingPath: String, path: String) throws(VideoIOError) {
    guard raw.pointee.oformat.pointee.flags & AVFMT_NOFILE == 0 else { return }
    let (code, log) = LibavLog.collecting {
      avio_open(&raw.pointee.pb, FileName.cString(fileURL(writingPath)), AVIO_FLAG_WRITE)
    }
    guard code >= 0 else { throw .cannotCreate(path: path, reason: LibavError(code: code, log: log)) }
  }

  /// Flushes and closes the file.
  func close() throws(LibavError) {
    guard raw.pointee.oformat.pointee.flags & AVFMT_NOFILE == 0, raw.pointee.pb != nil else { return }
    avio_flush(raw.pointee.pb)
    let failed = raw.pointee.pb.pointee.error
    let closed = avio_closep(&raw.pointee.pb)
    if failed < 0 { throw LibavError(code: failed) }
    if closed < 0 { throw LibavError(code: closed) }
  }
}
