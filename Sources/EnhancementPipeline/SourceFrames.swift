// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// The frames of a file as the first step of a job gets them: of the part that is wanted, deinterlaced where that is.
package struct SourceFrames: ~Copyable {
  /// Seconds per tick of the frames' times.
  package let timeBase: Rational
  /// Frames per second on average; not positive if unknown.
  package let frameRate: Rational

  private var reader: VideoReader
  private var fields: FieldHandling
  private var waiting: [VideoFrame] = []
  private var isAtEnd = false

  /// The file.
  package var info: MediaInfo { reader.info }

  /// - Parameters:
  ///   - options: the part, the stream, and what is made of fields; others are ignored.
  ///   - threads: of the decoder; 0 for as many as there are cores.
  ///   - refusesFields: whether interlaced frames are an error where nothing is made of them.
  ///   - rescues: whether a damaged file ends normally where it does.
  /// - Throws: `VideoIOError`.
  package init(
    path: String, options: EnhancementJob.Options, threads: Int, refusesFields: Bool = true,
    rescues: Bool = true
  ) throws {
    var reading = options.reading(rescues: rescues)
    reading.exportsQuantizers = false
    reader = try VideoReader(path: path, threads: threads, options: reading)
    fields = FieldHandling(
      options.deinterlacing, of: reader.info, threads: max(1, options.threads), refusesFields: refusesFields)
    (timeBase, frameRate) = (fields.shape.timeBase, fields.shape.frameRate)
  }

  /// The next frame; nil at the end.
  /// - Throws: `VideoIOError`, or `PipelineError.interlaced`.
  package mutating func next() throws -> VideoFrame? {
    while waiting.isEmpty, !isAtEnd {
      guard let item = try reader.next() else {
        isAtEnd = true
        waiting = try fields.finish()
        break
      }
      if case .frame(let frame) = item { waiting = try fields.push(frame, profile: nil) }
    }
    return waiting.isEmpty ? nil : waiting.removeFirst()
  }
}
