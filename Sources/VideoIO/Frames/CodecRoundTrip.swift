// SPDX-License-Identifier: Apache-2.0
internal import CFFmpeg

/// Encodes and decodes frames in memory, to obtain a codec's losses.
package enum CodecRoundTrip {
  /// Frames after encoding and decoding.
  ///
  /// Postconditions: as many frames, in the same order, with the same times, colour, side data and
  /// metadata; only samples differ.
  ///
  /// - Parameters:
  ///   - frames: all of one size and layout; encoded in this order at 25 frames per second whatever their
  ///     times.
  ///   - codec: FFmpeg's name of the encoder, such as `libx264` or `mpeg2video`.
  ///   - options: the encoder's, such as `crf` or `b`.
  /// - Throws: `VideoIOError` of the encoder; `roundTripLost` if the number of frames changes.
  package static func recompress(
    _ frames: [VideoFrame], codec: String, options: [String: String] = [:]
  ) throws(VideoIOError) -> [VideoFrame] {
    try roundTrip(frames, codec: codec, options: options).map(\.frame)
  }

  /// Like `recompress`, but also returns the block quantizers of each frame where FFmpeg exports them.
  /// - Throws: as `recompress`.
  package static func roundTrip(
    _ frames: [VideoFrame], codec: String, options: [String: String] = [:]
  ) throws(VideoIOError) -> [(frame: VideoFrame, quantizers: BlockQuantizers?)] {
    guard let first = frames.first else { return [] }
    let timeBase = Rational(1, 25)
    let encoder = try VideoEncoder(
      .init(
        settings: EncoderSettings(codec: codec, options: options, threads: 1), width: first.width,
        height: first.height, format: first.format, color: first.color, timeBase: timeBase,
        frameRate: Rational(25, 1)))
    var session = try Session(encoder: encoder, codec: codec, timeBase: timeBase)
    for (index, frame) in frames.enumerated() {
      guard frame.width == first.width, frame.height == first.height, frame.format == first.format else {
        throw .frameMismatch(path: codec, expected: first.shapeText, found: frame.shapeText)
      }
      try session.encode(frame, number: Int64(index))
    }
    let decoded = try session.finish()
    guard decoded.count == frames.count else {
      throw .roundTripLost(codec: codec, frames: frames.count, returned: decoded.count)
    }
    var results: [(VideoFrame, BlockQuantizers?)] = []
    for (frame, original) in zip(decoded, frames) {
      guard frame.format == original.format, frame.width == original.width, frame.height == original.height
      else { throw .frameMismatch(path: codec, expected: original.shapeText, found: frame.shapeText) }
      let quantizers = frame.quantizers
      let copy = try frame.reference()
      try replaceProperties(of: copy.raw, with: original.raw)
      results.append((VideoFrame(adopting: copy, format: frame.format), quantizers))
    }
    return results
  }

  /// Encoder and decoder, back to back.
  private struct Session: ~Copyable {
    private var encoder: VideoEncoder
    private let decoder: VideoDecoder
    private let packet: PacketOwner
    private let codec: String
    private var intake: FrameIntake
    private var frames: [VideoFrame] = []

    init(encoder: consuming VideoEncoder, codec: String, timeBase: Rational) throws(VideoIOError) {
      var parameters = avcodec_parameters_alloc()
      defer { avcodec_parameters_free(&parameters) }
      guard let parameters, avcodec_parameters_from_context(parameters, encoder.context) >= 0 else {
        throw .outOfMemory
      }
      let decoder = try VideoDecoder(
        parameters: parameters, timeBase: timeBase, threads: 1, path: codec,
        exportsQuantizers: true)
      let packet = try PacketOwner()
      self.decoder = decoder
      self.packet = packet
      intake = FrameIntake(path: codec, timeBase: timeBase, frameRate: timeBase.inverse, isStillImage: false)
      self.encoder = encoder
      self.codec = codec
    }

    mutating func encode(_ frame: VideoFrame, number: Int64) throws(VideoIOError) {
      do throws(LibavError) {
        try encoder.send(frame, at: number)
      } catch {
        throw .cannotEncode(path: codec, reason: error)
      }
      try drainEncoder()
    }

    consuming func finish() throws(VideoIOError) -> [VideoFrame] {
      do throws(LibavError) {
        try encoder.finish()
      } catch {
        throw .cannotEncode(path: codec, reason: error)
      }
      try drainEncoder()
      try decode(nil)
      return frames
    }

    private mutating func drainEncoder() throws(VideoIOError) {
      while true {
        let outcome: VideoEncoder.Outcome
        do throws(LibavError) {
          outcome = try encoder.receive(into: packet)
        } catch {
          throw .cannotEncode(path: codec, reason: error)
        }
        guard case .packet = outcome else { return }
        try decode(packet.raw)
      }
    }

    private mutating func decode(_ packet: UnsafePointer<AVPacket>?) throws(VideoIOError) {
      if let reason = decoder.send(packet) { throw .cannotDecode(path: codec, seconds: 0, reason: reason) }
      while true {
        let frame = try FrameOwner()
        switch decoder.receive(into: frame) {
        case .frame: frames.append(try intake.take(frame))
        case .needsPacket, .end: return
        case .damaged(let reason): throw .cannotDecode(path: codec, seconds: 0, reason: reason)
        }
      }
    }
  }

  /// Replaces all properties except the picture with those of another frame.
  private static func replaceProperties(
    of target: UnsafeMutablePointer<AVFrame>, with source: UnsafePointer<AVFrame>
  ) throws(VideoIOError) {
    while let entry = target.pointee.side_data?.pointee, target.pointee.nb_side_data > 0 {
      av_frame_remove_side_data(target, entry.pointee.type)
    }
    av_dict_free(&target.pointee.metadata)
    try copyProperties(from: source, to: target)
  }
}
