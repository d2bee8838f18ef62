// SPDX-License-Identifier: Apache-2.0
package import VideoIO

/// The frames of a file as input of a job's first step: the selected part, deinterlaced if requested.
package struct SourceFrames: ~Copyable {
  /// Seconds per tick of the frames' timestamps.
  package let timeBase: Rational
  /// Average frames per second; not positive if unknown.
  package let frameRate: Rational

  private var reader: VideoReader
  private var fields: FieldHandling
  private var waiting: [VideoFrame] = []
  private var isAtEnd = false

  /// Properties of the file.
  package var info: MediaInfo { reader.info }

  /// Opens a file.
  /// - Parameters:
  ///   - options: the part, the stream and the handling of fields; other options are ignored.
  ///   - threads: number of decoder threads; 0 for one per core.
  ///   - refusesFields: whether interlaced frames are an error unless they are deinterlaced.
  ///   - rescues: whether a damaged file ends at the damage without an error.
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

  /// Returns the next frame, or nil at the end.
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
