// SPDX-License-Identifier: Apache-2.0
package import VideoIO

extension PieceJob {
  /// Writes the whole film from its pieces, with all other streams of the source. Decodes only the first
  /// frame.
  ///
  /// - Parameter records: the records of the pieces, in order.
  /// - Throws: `VideoIOError`, `CancellationError`; leaves no file then.
  package func join(
    _ records: [PieceRecord], progress: @escaping @Sendable (EnhancementProgress) -> Void = { _ in }
  ) async throws -> EnhancementSummary {
    var reader = try VideoReader(
      path: job.input, threads: 1, options: job.options.reading(rescues: true))
    reader.stopDecoding()
    var media = reader.info
    if let ratio = film.sampleAspectRatio { media.sampleAspectRatio = Rational(ratio[0], ratio[1]) }
    var writer = try VideoWriter(
      path: job.output, like: media, width: film.width, height: film.height, format: media.format,
      timeBase: film.ticks, frameRate: Rational(film.frameRate[0], film.frameRate[1]),
      settings: job.encoder, overwrite: job.options.overwrites, pieces: folder, scratch: nil)
    for record in records { writer.note(record) }
    var position = Int64.min
    while let item = try reader.next() {
      guard case .packet(let packet) = item else { continue }
      try Task.checkCancellation()
      // Keep pace with the source's video: the muxer interleaves streams, but its queue is limited.
      while writer.frameCount < film.frames, position < reader.videoPosition {
        guard let time = try writer.replay() else { break }
        position = film.ticks.microseconds(time.presentation)
      }
      try writer.write(packet)
      progress(progressState(writer.frameCount))
    }
    while writer.frameCount < film.frames {
      try Task.checkCancellation()
      guard try writer.replay() != nil else { break }
      progress(progressState(writer.frameCount))
    }
    try Task.checkCancellation()
    var summary = EnhancementSummary(
      frames: writer.frameCount, resumedFrames: writer.frameCount, width: writer.width,
      height: writer.height, format: writer.encodedFormat, encoder: writer.encoderName)
    summary.sceneCuts = film.sceneCuts
    summary.warnings = Self.merged(film.warnings, writer.warnings)
    let found = writer.leftOut
    summary.leftOut = Self.merged(film.leftOut, found + (try writer.finish()))
    return summary
  }

  private func progressState(_ frames: Int) -> EnhancementProgress {
    EnhancementProgress(
      frames: frames, estimatedFrames: film.frames, position: Double(frames), duration: Double(film.frames))
  }

  /// Returns the remarks of the scan and of the writer without duplicates.
  /// - Parameter lines: remarks of the scan, which a plan stores as text.
  private static func merged(_ lines: [String], _ remarks: [MediaRemark]) -> [MediaRemark] {
    lines.map { line in remarks.first { $0.description == line } ?? MediaRemark(.source, line) }
      + remarks.filter { !lines.contains($0.description) }
  }
}
